//! Arguments of `lapidary score`, as typed.

use std::path::PathBuf;

use clap::Args;

/// `lapidary score`
#[derive(Debug, Args)]
#[command(
    after_help = "Each line of TRUTH.jsonl is an object with the end of a file's path, the record that ought to be \
    extracted from it and, where a file has several, its page from 1: \
    {\"file\": \"scans/7.pdf\", \"page\": 2, \"record\": {\"total\": 12.5}}. \
    Where a file or page has several records, their lines stand in the order of its rows. \
    Of several lines that fit a row, the one that names more of the path is for it, then the one that names the page. \
    Fields that a record does not name are not looked at. A document without a row has everything wrong. \
    Texts are compared letter by letter, however their accents are composed (both sides become Unicode NFC, names of \
    files too), and a `date-time` by the moment that it names, in whatever zone.\n\n\
    Exit codes: 0 compared; 1 less is right than --at-least asks for; 2 could not be compared."
)]
pub struct ScoreArguments {
    /// The dataset: what was given as `--output` of `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// What is known, as JSON lines
    #[arg(value_name = "TRUTH.jsonl")]
    pub truth: PathBuf,

    /// Exit with 1 when a smaller share of values than this, from 0 to 1, is right
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub at_least: Option<f64>,

    /// List every value that is not right
    #[arg(long)]
    pub differences: bool,

    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("it is a share, from 0 to 1".to_owned()) }
}
