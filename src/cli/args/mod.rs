//! Arguments as typed. Nothing in here is checked beyond its form; `app` turns it into a plan.

mod captions;
mod doctor;
mod failures;
mod model;
mod publish;
mod runtime;
mod schema;
mod score;
mod timeline;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use captions::*;
pub use doctor::*;
pub use failures::*;
pub use model::*;
pub use publish::*;
pub use runtime::*;
pub use schema::*;
pub use score::*;
pub use timeline::*;

use crate::base::Budget;

/// Typed Parquet from folders of PDFs, pictures, sound and video, with Gemma 4 under ONNX Runtime
#[derive(Debug, Parser)]
#[command(name = "lapidary", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Exit codes: 0 finished, with no more failures than allowed; 1 finished with more; \
    2 could not start, could not finish, or the totals do not balance; 130 interrupted: the same command goes on.")]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// What is said on standard error, as text or as one JSON object a line. LAPIDARY_LOG sets the filter of log lines (default
    /// `warn`, as JSON `info`); what ends a command is said whatever it is
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// No progress, no notes and no summary; errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl LogFormat {
    /// The form that words ask for which are no command line as a whole: the last one that is named, else text.
    pub fn asked(words: impl Iterator<Item = OsString>) -> Self {
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let spaced = words.windows(2).filter(|pair| pair[0] == "--log-format").map(|pair| pair[1].as_str());
        let joined = words.iter().filter_map(|word| word.strip_prefix("--log-format="));
        spaced.chain(joined).filter_map(|name| Self::from_str(name, false).ok()).next_back().unwrap_or(Self::Text)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Extract documents into a Parquet dataset
    Run(RunArguments),
    /// Find every problem of a pipeline at once; touches no document
    Check(CheckArguments),
    /// Examine JSON Schemas
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Print rows or failures of a dataset
    Show(ShowArguments),
    /// Failures of a dataset: counted, or each exported with what reproduces it
    #[command(subcommand)]
    Failures(FailuresCommand),
    /// Ask for a row of a dataset again, and show what differs
    Replay(ReplayArguments),
    /// Show how a row of a dataset came about
    Explain(ExplainArguments),
    /// Compare a dataset with what is known of some of its documents
    Score(ScoreArguments),
    /// Write what is said in recordings as SubRip, WebVTT or plain text
    Captions(CaptionsArguments),
    /// Write what datasets hold of recordings and films, sound and frames, as one table in the order of time
    Timeline(TimelineArguments),
    /// Put a finished dataset into a bucket: S3 and what speaks like it, Google Cloud Storage, Azure
    Publish(PublishArguments),
    /// Write what the model would receive for each unit as safetensors
    Encode(EncodeArguments),
    /// Make and examine model bundles
    #[command(subcommand)]
    Model(ModelCommand),
    /// Native libraries: ONNX Runtime, PDFium, ffmpeg; CUDA, TensorRT
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Say what this machine has: libraries, their versions, what runs, which walls hold, which cards can be used
    Doctor(DoctorArguments),
    /// The decoder process; started by `run`, not by people
    #[command(hide = true)]
    DecodeChild,
}

/// What to read.
#[derive(Debug, Args)]
pub struct InputArguments {
    /// Files, folders (walked in a stable order), or glob patterns
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// A file with one path a line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// How far the decoder processes are shut in.
#[derive(Debug, Clone, Copy, Args)]
pub struct SandboxArguments {
    /// The walls around the processes that read documents: `auto` raises what the system has, `off` none; the others refuse
    /// to work below that level (`require` is `full`). `lapidary doctor` says and proves what this machine has
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = SandboxName::Auto)]
    pub sandbox: SandboxName,
}

/// A level of the walls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SandboxName {
    /// What the system has.
    Auto,
    /// No walls.
    Off,
    /// At least limits on memory, time and files.
    Limits,
    /// At least these and an allow-list of system calls.
    Seccomp,
    /// All walls: these and no files but what decoding takes.
    Full,
    /// As `full`.
    Require,
}

/// `lapidary run`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: lapidary run pipelines/invoice.toml scans/ --model bundles/gemma-4-e2b --output out/invoices"
)]
pub struct RunArguments {
    /// The pipeline: prompt, schema, budgets, limits (see pipelines/)
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,

    /// What to extract from
    #[command(flatten)]
    pub inputs: InputArguments,

    /// Where the dataset goes. A run on a dataset goes on with it: what is there and still holds is kept, what is new, changed
    /// or asked otherwise now is done
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// The model instead of the pipeline's own: a bundle or the folder of an ONNX export, with #VARIANT behind it where
    /// it holds several
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Ask again for what has failed before; else it is asked again only when limits or settings have changed
    #[arg(long)]
    pub retry_failures: bool,

    /// Stop after this many new units (pages, pictures, clips; a document that cannot be decoded is one); where
    /// documents become one record, at the end of the document
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Only these pages of each document, such as `1-3,7,10-`
    #[arg(long, value_name = "RANGES")]
    pub pages: Option<String>,

    /// Soft tokens per page or picture: 70, 140, 280, 560, 1120, or `auto`, as few as the print allows
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<Budget>,

    /// Where the model runs. A named device that cannot be had is an error; `auto` says what it took
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,

    /// The cards that the model runs on, as CUDA counts them, such as `0,1`: an engine on each, which share the work. The
    /// first when left out. With `--device auto` it means CUDA: nothing falls back to the processor then
    #[arg(long, value_name = "CARDS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(..1024))]
    pub devices: Vec<u32>,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,

    /// Only the I-th of N shares of the documents, told apart by content; I counts from 1
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Play back the answers of a file instead of running the decoder, to test or measure the line
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "devices")]
    pub replay: Option<PathBuf>,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The processor.
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    Tensorrt,
    /// The best that can be had.
    Auto,
}

/// `lapidary check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The pipeline to check
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,

    /// The model instead of the pipeline's own: a bundle or the folder of an ONNX export, with #VARIANT behind it where
    /// it holds several
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,
}

/// `lapidary show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// A dataset made by `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// The failures instead of the rows
    #[arg(long)]
    pub failures: bool,

    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,

    /// Only these columns, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// One JSON object a line, whole values
    #[arg(long)]
    pub json: bool,
}

/// `lapidary replay`
#[derive(Debug, Args)]
#[command(after_help = "The row's file, settings, schema and model are those of then, as the dataset remembers them. \
    Exit codes: 0 the answer is identical; 1 it differs or failed; 2 it could not be asked for again.")]
pub struct ReplayArguments {
    /// A dataset made by `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// The row, from 1, in the order of `lapidary show`
    #[arg(long, value_name = "K")]
    pub row: usize,

    /// The model, where it does not lie any more where it did
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Where the model runs. A named device that cannot be had is an error; `auto` says what it took
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}

/// `lapidary explain`
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// A dataset made by `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// The row, from 1, in the order of `lapidary show`
    #[arg(long, value_name = "K")]
    pub row: usize,

    /// The model, where it does not lie any more where it did
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}

/// `lapidary encode`
#[derive(Debug, Args)]
#[command(
    after_help = "For one unit the tensors are called input_ids, pixel_values, pixel_position_ids, input_features and \
    input_features_mask, as `lapidary model eval` reads them; for several, unit0.input_ids and so on."
)]
pub struct EncodeArguments {
    /// What to encode
    #[command(flatten)]
    pub inputs: InputArguments,

    /// The pipeline whose prompt and settings to use
    #[arg(long, short, value_name = "PIPELINE.toml", default_value = "pipelines/demo.toml")]
    pub pipeline: PathBuf,

    /// The model instead of the pipeline's own: a bundle or the folder of an ONNX export, with #VARIANT behind it where
    /// it holds several
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Soft tokens per page or picture: 70, 140, 280, 560, 1120, or `auto`, as few as the print allows
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<Budget>,

    /// Only these pages of each document, such as `1-3,7,10-`
    #[arg(long, value_name = "RANGES")]
    pub pages: Option<String>,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,

    /// The safetensors file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
