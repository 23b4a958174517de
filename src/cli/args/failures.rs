//! Arguments of `lapidary failures`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SandboxArguments;
use crate::base::{FaultKind, StageName};

/// `lapidary failures`
#[derive(Debug, Subcommand)]
pub enum FailuresCommand {
    /// Count failures by stage, kind and limit, with an example of each
    List(FailuresListArguments),
    /// Write a folder for each failure: what failed, all that is known of it, and a script that reproduces it
    Export(FailuresExportArguments),
}

/// Which failures are meant.
#[derive(Debug, Args)]
pub struct FailuresWanted {
    /// Only those of this stage: collect, decode, encode, generate, parse, write
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    pub stage: Option<StageName>,

    /// Only those of this kind, as `lapidary failures list` shows it
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<FaultKind>,
}

/// `lapidary failures list`
#[derive(Debug, Args)]
pub struct FailuresListArguments {
    /// A dataset made by `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// Which of them
    #[command(flatten)]
    pub wanted: FailuresWanted,
}

/// `lapidary failures export`
#[derive(Debug, Args)]
#[command(
    after_help = "A page of a PDF is cut out within the walls of a decoder process and kept where alone it behaves as in its \
    document; else the whole document is copied, and failure.json says why. Pages of a TIFF become PNG and clips of sound WAV \
    where the decoder gave them. Call this where the run was called: names of documents are relative. \
    Exit codes: 0 every failure is there with what failed; 1 some documents are gone, changed or too large, as their \
    failure.json says; 2 nothing could be exported."
)]
pub struct FailuresExportArguments {
    /// A dataset made by `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// Where the folders go: a new or empty folder
    #[arg(value_name = "OUT")]
    pub out: PathBuf,

    /// Which of them
    #[command(flatten)]
    pub wanted: FailuresWanted,

    /// At most this many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Documents and parts of more megabytes than this are named and not copied
    #[arg(long, value_name = "MB", default_value_t = 256)]
    pub largest_mb: u64,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}

fn stage(text: &str) -> Result<StageName, String> {
    StageName::from_name(text).ok_or_else(|| listed(StageName::ALL.map(StageName::as_str)))
}

fn kind(text: &str) -> Result<FaultKind, String> {
    FaultKind::from_name(text).ok_or_else(|| listed(FaultKind::ALL.map(FaultKind::as_str)))
}

fn listed<const N: usize>(names: [&str; N]) -> String {
    format!("there are {}", names.join(", "))
}
