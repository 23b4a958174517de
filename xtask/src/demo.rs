//! `cargo xtask demo`: receipts and texts that the demo's model has never seen are read and compared with what is on them;
//! then fixtures of all kinds, some of them broken, become a Parquet dataset.

use std::{fs, path::Path, process::Command};

use crate::step::{self, Result, build, command, install_native, root, say, status};

/// Pipelines of the demo's model, the held-out sets that they read, and the columns that are shown.
const READ: [(&str, &str); 3] = [("receipts", HEAD), ("invoices", HEAD), ("texts", "_source,text,_agreement")];

const HEAD: &str = "_source,merchant,date,number,currency,total,_agreement";

/// What the second half reads: whole files and broken ones.
const INPUTS: [&str; 5] =
    ["fixtures/documents", "fixtures/pictures", "fixtures/sound", "fixtures/video", "fixtures/broken"];

const OUTPUT: &str = "out/demo";

/// Fields of the schema between what says where they came from.
const COLUMNS: &str = "_source,_part,_page,_start,kind,title,date,legible,people";

/// Sets up, extracts, and shows the rows, the failures and the summary.
pub fn run_demo(lapidary: &Path) -> Result<()> {
    READ.iter().try_for_each(|(set, columns)| read(lapidary, set, columns))?;
    extract(lapidary)?;
    say("The rows, in some of their columns (`lapidary show out/demo`)");
    step::run(&mut show(lapidary, OUTPUT, &["--limit", "100", "--columns", COLUMNS]))?;
    say("What could not be read, and why (`lapidary show out/demo --failures`)");
    step::run(&mut show(lapidary, OUTPUT, &["--failures"]))?;
    say("Done: out/demo/extractions and out/demo/failures are Parquet, out/demo/run.json holds the totals");
    Ok(())
}

/// The whole demo.
pub fn run() -> Result<()> {
    let lapidary = build()?;
    install_native(&lapidary)?;
    run_demo(&lapidary)
}

/// Reads a held-out set and says how much of it is right.
fn read(lapidary: &Path, set: &str, columns: &str) -> Result<()> {
    let output = format!("out/demo-{set}");
    clear(&output)?;
    say(&format!(
        "Reading fixtures/demo/{set} with onnx/demo, a small model that was trained to read; it has seen none of them"
    ));
    let (pipeline, inputs) = (format!("pipelines/demo-{set}.toml"), format!("fixtures/demo/{set}"));
    step::run(&mut command(lapidary, &["run", &pipeline, &inputs, "--output", &output]))?;
    say(&format!("Some rows, in some of their columns (`lapidary show {output}`)"));
    step::run(&mut show(lapidary, &output, &["--limit", "6", "--columns", columns]))?;
    say(&format!(
        "What was read against what is there (`lapidary score {output} fixtures/demo/{set}.jsonl --differences`)"
    ));
    step::run(&mut command(lapidary, &["score", &output, &format!("fixtures/demo/{set}.jsonl"), "--differences"]))
}

fn extract(lapidary: &Path) -> Result<()> {
    clear(OUTPUT)?;
    say(
        "Extracting fixtures of all kinds with the tiny bundle. Its weights are random: the plumbing is real, the answers are \
         noise",
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

fn clear(output: &str) -> Result<()> {
    let output = root().join(output);
    if output.exists() {
        fs::remove_dir_all(&output).map_err(|error| format!("cannot clear {}: {error}", output.display()))?;
    }
    Ok(())
}

fn show(lapidary: &Path, output: &str, options: &[&str]) -> Command {
    let mut arguments = vec!["show", output];
    arguments.extend(options);
    command(lapidary, &arguments)
}
