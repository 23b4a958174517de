//! `cargo xtask fuzz`: each fuzz target for a while, from seeds that the repository's own files give.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Instant,
};

use crate::step::{Result, cargo, command, debug_program, root, run, say, status};

#[path = "../../fuzz/src/seeds.rs"]
mod seeds;

/// Seconds that each target runs where nobody says otherwise.
const SECONDS: u64 = 60;

/// Most memory of a target, in megabytes: a parser that wants more of a small input is at fault.
const MOST_MEGABYTES: u64 = 2048;

/// Seconds after which an input has hung its target, also on a machine with other work.
const MOST_SECONDS: u64 = 30;

/// Lines of its log that tell what a target has done, or found.
const TELLING: [&str; 6] = ["panicked", "ERROR", "SUMMARY", "Test unit written", "stat::", "DONE"];

/// What is asked for.
struct Request {
    seconds: u64,
    targets: Vec<&'static str>,
}

/// `[--seconds N] [TARGET ...]`; all targets where none is named. As many run at a time as there are cores.
pub fn run_fuzz(arguments: &[String]) -> Result<()> {
    let request = request(arguments)?;
    let program = build()?;
    let count = request.targets.len();
    say(&format!("Fuzzing {} for {} s each", request.targets.join(", "), request.seconds));
    let (todo, found) = (Mutex::new(request.targets.iter()), Mutex::new(Vec::new()));
    let next = || todo.lock().ok()?.next();
    let work = || {
        while let Some(target) = next() {
            let told = fuzz(&program, target, request.seconds);
            found.lock().map(|mut found| found.extend(told.err())).unwrap_or_default();
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (0..cores.min(count)).for_each(|_| drop(scope.spawn(work)));
    });
    let found = found.into_inner().map_err(|_| "a thread that watched a target has panicked")?;
    if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
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

/// Our own crates count what they run (`fuzz/rustc`); all others are those of a debug build and are compiled once for both.
/// AddressSanitizer is left out: what is fuzzed has no unsafe code.
fn build() -> Result<PathBuf> {
    if !cfg!(unix) {
        return Err("fuzzing needs a Unix system: `fuzz/rustc` is a shell script".to_owned());
    }
    say("Building the fuzz targets");
    let optimised = "profile.dev.package.lapidary.opt-level=1";
    let mut build = cargo(&["build", "--package", "lapidary-fuzz", "--bin", "fuzz", "--config", optimised]);
    run(build.env("RUSTC_WORKSPACE_WRAPPER", root().join("fuzz/rustc")))?;
    Ok(debug_program("fuzz"))
}

/// One target to its end; what it says goes to a log, and what matters of that is printed.
fn fuzz(program: &Path, target: &str, seconds: u64) -> Result<()> {
    let (corpus, artifacts) = (plant(target)?, folder("artifacts", target)?);
    let (log, began) = (artifacts.join("log"), Instant::now());
    let file = File::create(&log).map_err(|error| failed(&log, error))?;
    let mut fuzz = command(program, &[]);
    fuzz.arg(corpus).arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-rss_limit_mb={MOST_MEGABYTES}"));
    fuzz.arg(format!("-timeout={MOST_SECONDS}")).arg("-print_final_stats=1");
    let ended = status(fuzz.env("LAPIDARY_FUZZ", target).stderr(file))?;
    let told = fs::read_to_string(&log).map_err(|error| failed(&log, error))?;
    let telling: Vec<&str> = told.lines().filter(|line| TELLING.iter().any(|word| line.contains(word))).collect();
    println!("{target}, {:.0} s\n  {}", began.elapsed().as_secs_f64(), telling.join("\n  "));
    match ended.success() {
        true => Ok(()),
        false => Err(format!("{target} found something: {} holds it, make a test of it", artifacts.display())),
    }
}

/// Lays the seeds where libFuzzer begins.
fn plant(target: &str) -> Result<PathBuf> {
    let folder = folder("corpus", target)?;
    for (number, seed) in seeds::seeds(target, &root()).iter().enumerate() {
        let path = folder.join(format!("seed-{number}"));
        fs::write(&path, seed).map_err(|error| failed(&path, error))?;
    }
    Ok(folder)
}

fn folder(what: &str, target: &str) -> Result<PathBuf> {
    let folder = root().join("fuzz").join(what).join(target);
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    Ok(folder)
}

fn failed(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
