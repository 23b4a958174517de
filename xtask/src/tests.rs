//! `cargo xtask test`: set up, then every test, with nextest where it is installed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    python,
    step::{self, Result, build, cargo, install_native, say},
};

/// Builds, installs the native libraries and makes the Python environment. Gives the interpreter.
pub fn set_up() -> Result<PathBuf> {
    install_native(&build()?)?;
    python::READERS.interpreter()
}

/// Runs all tests; `filters` go to the test runner.
pub fn run(filters: &[String]) -> Result<()> {
    let python = set_up()?;
    let nextest = has_nextest();
    say(if nextest { "All tests (cargo nextest)" } else { "All tests (cargo test)" });
    let runner: &[&str] = if nextest { &["nextest", "run"] } else { &["test"] };
    run_tests(runner, filters, &python)
}

fn run_tests(runner: &[&str], filters: &[String], python: &Path) -> Result<()> {
    step::run(cargo(runner).args(["--package", "lapidary"]).args(filters).env("LAPIDARY_TEST_PYTHON", python))
}

/// Kills a run as often as it is told, or a hundred times.
pub fn kill(arguments: &[String]) -> Result<()> {
    let times = arguments.first().map_or("100", String::as_str);
    times.parse::<u32>().map_err(|_| format!("`{times}` is no number of kills"))?;
    let python = set_up()?;
    say(&format!("A run killed {times} times"));
    let mut tests = cargo(&["test", "--package", "lapidary", "--test", "it", "--", "--nocapture", "kills_at_random"]);
    step::run(tests.env("LAPIDARY_KILLS", times).env("LAPIDARY_TEST_PYTHON", python))
}

/// Runs the fuzz targets over mutations for so many seconds each, or sixty.
pub fn mutate(arguments: &[String]) -> Result<()> {
    let seconds = arguments.first().map_or("60", String::as_str);
    seconds.parse::<u32>().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    say(&format!("Each fuzz target over mutations, {seconds} s"));
    let mut tests = cargo(&["test", "--package", "lapidary", "--test", "it", "--", "--nocapture", "mutations::"]);
    step::run(tests.env("LAPIDARY_MUTATE_SECONDS", seconds))
}

fn has_nextest() -> bool {
    let probe = cargo(&["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}
