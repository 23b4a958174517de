//! `cargo xtask demo`: fixtures of all four kinds, some of them broken, become a Parquet dataset.

use std::{fs, path::Path, process::Command};

use crate::step::{self, Result, build, command, install_native, root, say, status};

/// What the demo reads: whole files and broken ones.
const INPUTS: [&str; 5] =
    ["fixtures/documents", "fixtures/pictures", "fixtures/sound", "fixtures/video", "fixtures/broken"];

const OUTPUT: &str = "out/demo";

/// Fields of the schema between what says where they came from.
const COLUMNS: &str = "_source,_part,_page,_start,kind,title,date,legible,people";

/// Sets up, extracts, and shows the rows, the failures and the summary.
pub fn run_demo(lapidary: &Path) -> Result<()> {
    extract(lapidary)?;
    say("The rows, in some of their columns (`lapidary show out/demo`)");
    step::run(&mut show(lapidary, &["--limit", "100", "--columns", COLUMNS]))?;
    say("What could not be read, and why (`lapidary show out/demo --failures`)");
    step::run(&mut show(lapidary, &["--failures"]))?;
    say("Done: out/demo/extractions and out/demo/failures are Parquet, out/demo/run.json holds the totals");
    Ok(())
}

/// The whole demo.
pub fn run() -> Result<()> {
    let lapidary = build()?;
    install_native(&lapidary)?;
    run_demo(&lapidary)
}

fn extract(lapidary: &Path) -> Result<()> {
    let output = root().join(OUTPUT);
    if output.exists() {
        fs::remove_dir_all(&output).map_err(|error| format!("cannot clear {}: {error}", output.display()))?;
    }
    say(
        "Extracting the fixtures with the committed tiny bundle. Its weights are random: the plumbing is real, the answers are noise",
    );
    let mut arguments = vec!["run", "pipelines/demo.toml"];
    arguments.extend(INPUTS);
    arguments.extend(["--output", OUTPUT]);
    let ended = status(&mut command(lapidary, &arguments))?;
    match ended.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(format!("the run ended with {ended}")),
    }
}

fn show(lapidary: &Path, options: &[&str]) -> Command {
    let mut arguments = vec!["show", OUTPUT];
    arguments.extend(options);
    command(lapidary, &arguments)
}
