//! `cargo xtask deny`: what comes into the tree, held to deny.toml.

use std::path::Path;

use crate::{
    python::TOOLS,
    step::{Result, command, run, say},
};

/// Checks that need the registry at most.
const NEAR: [&str; 3] = ["bans", "licenses", "sources"];

/// Known weaknesses; they are fetched from a Git repository.
const ADVISORIES: &str = "advisories";

/// What becomes of the known weaknesses where they cannot be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreachable {
    IsAnError,
    IsSaid,
}

/// All checks. With `--advisories-if-reachable` known weaknesses that cannot be fetched are left out, which is said.
pub fn run_deny(arguments: &[String]) -> Result<()> {
    let unreachable = match arguments {
        [] => Unreachable::IsAnError,
        [flag] if flag == "--advisories-if-reachable" => Unreachable::IsSaid,
        _ => return Err("deny takes no arguments but --advisories-if-reachable".to_owned()),
    };
    let deny = TOOLS.program("cargo-deny")?;
    say("What comes into the tree: licences, sources, bans");
    check(&deny, &NEAR)?;
    say("Known weaknesses of what comes into the tree: fetching their list");
    match (run(&mut command(&deny, &["fetch", "db"])), unreachable) {
        (Ok(()), _) => check(&deny, &["--disable-fetch", ADVISORIES]),
        (Err(error), Unreachable::IsAnError) => Err(error),
        (Err(error), Unreachable::IsSaid) => {
            say(&format!(
                "LEFT OUT: known weaknesses were NOT looked for, since their list cannot be fetched ({error})"
            ));
            Ok(())
        }
    }
}

fn check(deny: &Path, checks: &[&str]) -> Result<()> {
    run(command(deny, &["--workspace", "--all-features", "check", "--hide-inclusion-graph"]).args(checks))
}
