//! `cargo xtask fuzz`: each fuzz target for a while, from seeds that the repository's own files give.

use std::{fs, path::Path, process::Stdio};

use crate::step::{Result, cargo, root, run, say};

#[path = "../../fuzz/src/seeds.rs"]
mod seeds;

/// Seconds that each target runs where nobody says otherwise.
const SECONDS: u64 = 60;

/// Most memory of a target, in megabytes: a parser that wants more of a small input is at fault.
const MOST_MEGABYTES: u64 = 2048;

/// What is asked for.
struct Request {
    seconds: u64,
    targets: Vec<&'static str>,
}

/// `[--seconds N] [TARGET ...]`; all targets where none is named.
pub fn run_fuzz(arguments: &[String]) -> Result<()> {
    let request = request(arguments)?;
    if !has_cargo_fuzz() {
        return Err("cargo-fuzz is not installed: `cargo install cargo-fuzz --locked` does it".to_owned());
    }
    for target in &request.targets {
        plant(target)?;
    }
    let found: Vec<&str> =
        request.targets.into_iter().filter(|target| fuzz(target, request.seconds).is_err()).collect();
    match found.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("{} found something: fuzz/artifacts holds the input, make a test of it", found.join(", ")))
        }
    }
}

fn request(arguments: &[String]) -> Result<Request> {
    let (mut request, mut rest) = (Request { seconds: SECONDS, targets: Vec::new() }, arguments.iter());
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let seconds = rest.next().and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0);
            request.seconds = seconds.ok_or("--seconds wants a number above 0")?;
        } else {
            let target = seeds::TARGETS.into_iter().find(|target| target == argument);
            request.targets.push(target.ok_or(format!("`{argument}` is none of {}", seeds::TARGETS.join(", ")))?);
        }
    }
    if request.targets.is_empty() {
        request.targets = seeds::TARGETS.to_vec();
    }
    Ok(request)
}

fn has_cargo_fuzz() -> bool {
    let probe = cargo(&["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

/// Lays the seeds where libFuzzer begins.
fn plant(target: &str) -> Result<()> {
    let folder = root().join("fuzz/corpus").join(target);
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    for (number, seed) in seeds::seeds(target, &root()).iter().enumerate() {
        let path = folder.join(format!("seed-{number}"));
        fs::write(&path, seed).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// The sanitizers' flags are unstable ones, which the pinned compiler takes when it is told to. The program has little
/// unsafe code and what is fuzzed has none, so it runs without AddressSanitizer, at several times the speed.
fn fuzz(target: &str, seconds: u64) -> Result<()> {
    say(&format!("Fuzzing {target} for {seconds} s"));
    let (time, memory) = (format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MOST_MEGABYTES}"));
    let arguments =
        ["fuzz", "run", "--sanitizer", "none", target, "--", &time, &memory, "-timeout=10", "-print_final_stats=1"];
    run(cargo(&arguments).env("RUSTC_BOOTSTRAP", "1"))
}
