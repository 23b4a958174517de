//! `cargo xtask bench-peers`: lapidary beside what a user would pick instead, on the same weights and this machine.

use std::path::{Path, PathBuf};

use crate::step::{Result, cargo, command, install_native, root, run, say};

/// What the Python side needs.
const REQUIREMENTS: &str = "benches/peers/engines/requirements.txt";

/// Sets up the peers, runs all in turn and writes BENCHMARKS.md. `--out DIR` holds models and environment (30 GB at full
/// size); `--quick`, `--rounds N` and `--only NAMES` are handed on.
pub fn run_peers(arguments: &[String]) -> Result<()> {
    let (out, rest) = out_of(arguments)?;
    // Commands run in the root of the repository, whoever called.
    let out = std::path::absolute(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let python = environment(&out)?;
    say("Building lapidary and its bench for release");
    run(&mut cargo(&["build", "--release", "--package", "lapidary", "--bin", "lapidary", "--bench", "peers"]))?;
    let release =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("release");
    let lapidary = release.join(format!("lapidary{}", std::env::consts::EXE_SUFFIX));
    install_native(&lapidary)?;
    say("Contestants in turn; the first time their models are made, which takes a while");
    let bench = newest(&release.join("deps"), "peers")?;
    let mut contest = command(&python, &["benches/peers/engines/bench.py"]);
    run(contest.arg("--out").arg(&out).arg("--lapidary").arg(lapidary).arg("--bench").arg(bench).args(rest))
}

fn out_of(arguments: &[String]) -> Result<(PathBuf, Vec<&String>)> {
    let Some(place) = arguments.iter().position(|argument| argument == "--out") else {
        return Ok((root().join("target/peers"), arguments.iter().collect()));
    };
    let out = arguments.get(place + 1).ok_or("--out wants a folder")?;
    let rest = arguments.iter().enumerate().filter(|(index, _)| *index != place && *index != place + 1);
    Ok((PathBuf::from(out), rest.map(|(_, argument)| argument).collect()))
}

/// Makes `OUT/venv` and gives its interpreter.
fn environment(out: &Path) -> Result<PathBuf> {
    let python = out.join("venv/bin/python");
    if !python.exists() {
        say("Python environment of the peers");
        run(command("python3", &["-m", "venv"]).arg(out.join("venv")))?;
    }
    run(&mut command(
        &python,
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
    ))?;
    Ok(python)
}

/// The bench program of that name that cargo has just built.
pub fn newest(folder: &Path, name: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let is_bench = |path: &PathBuf| {
        let file = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
        file.starts_with(&format!("{name}-")) && path.extension().is_none()
    };
    let programs = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_bench);
    let newest = programs.max_by_key(|path| path.metadata().and_then(|facts| facts.modified()).ok());
    newest.ok_or_else(|| format!("no bench program `{name}` in {}", folder.display()))
}
