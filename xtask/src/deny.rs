//! `cargo xtask deny`: what comes into the tree, held to deny.toml.

use std::process::Stdio;

use crate::step::{self, Result, cargo, say};

/// Checks that need nothing but Cargo.lock and the crates themselves.
const OFFLINE: [&str; 3] = ["bans", "licenses", "sources"];

/// Known weaknesses; they are fetched from a Git repository.
const ADVISORIES: &str = "advisories";

/// Runs cargo-deny where it is installed, and says so where it is not.
pub fn run(arguments: &[String]) -> Result<()> {
    let checks = match arguments {
        [] => OFFLINE.to_vec(),
        [flag] if flag == "--advisories" => [&OFFLINE[..], &[ADVISORIES]].concat(),
        _ => return Err("deny takes no arguments but --advisories".to_owned()),
    };
    if !is_installed() {
        say("Left out: cargo-deny is not installed (`cargo install cargo-deny --locked`)");
        return Ok(());
    }
    say(&format!("What comes into the tree (cargo deny check {})", checks.join(" ")));
    step::run(cargo(&["deny", "--workspace", "--all-features", "check"]).args(checks))
}

fn is_installed() -> bool {
    let probe = cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}
