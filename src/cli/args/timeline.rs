//! Arguments of `lapidary timeline`, as typed.

use std::path::PathBuf;

use clap::Args;

/// `lapidary timeline`
#[derive(Debug, Args)]
#[command(
    after_help = "A row for each span of sound and each span of frames, by file and time: source, kind (sound, frames), start, \
    end, text, record (JSON), said (of frames: what is said while they are shown), finish, mean_logprob, failure. Datasets may \
    be of different pipelines over the same files, such as transcribe and describe-video.\n\n\
    Exit codes: 0 written; 2 could not be written."
)]
pub struct TimelineArguments {
    /// Datasets: what was given as `--output` of `lapidary run`
    #[arg(value_name = "DIR", required = true)]
    pub datasets: Vec<PathBuf>,

    /// The Parquet file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,

    /// The field that holds what is said
    #[arg(long, value_name = "FIELD", default_value = "text")]
    pub field: String,
}
