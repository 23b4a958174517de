//! Arguments of `lapidary captions`, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `lapidary captions`
#[derive(Debug, Args)]
#[command(
    after_help = "Of a row for each clip the span of the clip is taken, of a row for each recording those of its parts. \
    What two clips say that overlap is written once; long spans are cut at the ends of sentences, and their times are shared \
    out by the number of characters.\n\n\
    Exit codes: 0 written; 1 some files could not be written, which are named; 2 nothing could be written."
)]
pub struct CaptionsArguments {
    /// The dataset: what was given as `--output` of `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// A folder for the files; those that are there under the same names are replaced
    #[arg(value_name = "OUT")]
    pub out: PathBuf,

    /// The form
    #[arg(long, value_enum, default_value_t = CaptionFormat::Srt)]
    pub format: CaptionFormat,

    /// The field that holds what is said
    #[arg(long, value_name = "FIELD", default_value = "text")]
    pub field: String,
}

/// Forms of captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CaptionFormat {
    /// SubRip
    Srt,
    /// WebVTT
    Vtt,
    /// The text alone
    Txt,
}
