//! Arguments as typed. Nothing in here is checked beyond its form; `app` turns it into a plan.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Typed Parquet from folders of PDFs, pictures, sound and video, with Gemma 4 under ONNX Runtime
#[derive(Debug, Parser)]
#[command(name = "lapidary", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Exit codes: 0 all extracted; 1 finished with more failures than allowed; \
    2 could not start or could not finish; 130 interrupted, rows written so far are whole.")]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// Log lines as text or as one JSON object a line, on standard error. LAPIDARY_LOG sets the filter (default `warn`)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// No progress and no summary; errors only
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Extract documents into a Parquet dataset
    Run(RunArguments),
    /// Find every problem of a pipeline at once; touches no document
    Check(CheckArguments),
    /// Print rows or failures of a dataset
    Show(ShowArguments),
    /// Write what the model would receive for each unit as safetensors
    Encode(EncodeArguments),
    /// Make and examine model bundles
    #[command(subcommand)]
    Model(ModelCommand),
    /// Native libraries: ONNX Runtime, PDFium, ffmpeg
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Say what this machine has: libraries, their versions, what runs
    Doctor,
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

/// `lapidary run`
#[derive(Debug, Args)]
#[command(after_help = "Example: lapidary run pipelines/invoice.toml scans/ --model gemma-4-e2b --output out/invoices")]
pub struct RunArguments {
    /// The pipeline: prompt, schema, budgets, limits (see pipelines/)
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,

    /// What to extract from
    #[command(flatten)]
    pub inputs: InputArguments,

    /// Where the dataset goes: a new or empty folder
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// The model instead of the pipeline's own: a bundle or the folder of an ONNX export, with #VARIANT behind it where
    /// it holds several
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Stop after this many units (pages, pictures, clips)
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Only these pages of each document, such as `1-3,7,10-`
    #[arg(long, value_name = "RANGES")]
    pub pages: Option<String>,

    /// Soft tokens per page or picture: 70, 140, 280, 560 or 1120
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<u32>,

    /// Where the model runs. A named device that cannot be had is an error; `auto` says what it took
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,

    /// Only the I-th of N shares of the documents, told apart by content; I counts from 1
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Play back the answers of a file instead of running the decoder, to test or measure the line
    #[arg(long, value_name = "FILE", hide = true)]
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

    /// Soft tokens per page or picture: 70, 140, 280, 560 or 1120
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<u32>,

    /// Only these pages of each document, such as `1-3,7,10-`
    #[arg(long, value_name = "RANGES")]
    pub pages: Option<String>,

    /// The safetensors file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// `lapidary model`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Turn a Hugging Face checkpoint folder into a bundle of ONNX graphs
    Export(ExportArguments),
    /// Fetch a model from Hugging Face or a mirror, and export it if it is a checkpoint
    Pull(PullArguments),
    /// Make a bundle of full size with random weights, to measure what size costs; or its sizes, or a checkpoint
    Synthesize(SynthesizeArguments),
    /// Print the models that are known by name
    List,
    /// Run given inputs through the engine and write the logits, to compare with another implementation
    Eval(EvalArguments),
    /// Check a bundle's files, and that the engine makes of its self-test, or of a prompt from the checkpoint, what an
    /// evaluation without graphs makes of it
    Verify(VerifyArguments),
    /// Print what a model says of itself and check every file's hash
    Inspect {
        /// A bundle, or the folder of an ONNX export
        #[arg(value_name = "MODEL")]
        bundle: PathBuf,
    },
}

/// `lapidary model export`
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Folder with config.json, safetensors files, tokenizer.json and, where there are, chat_template.jinja and
    /// generation_config.json
    #[arg(value_name = "CHECKPOINT_DIR")]
    pub checkpoint: PathBuf,

    /// The bundle to make; must not exist
    #[arg(value_name = "OUT_DIR")]
    pub output: PathBuf,

    /// How the bundle stores its numbers
    #[command(flatten)]
    pub precision: PrecisionArguments,
}

/// How a bundle stores its numbers: by recipe, or by shorthand.
#[derive(Debug, Args)]
pub struct PrecisionArguments {
    /// Which part gets what: f32, cpu-int8, cpu-int4, cpu-int4-asymmetric, cpu-int4-experts-int8, cuda-f16, cuda-int4,
    /// or a TOML file like those in onnx/recipes
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["dtype", "quantize"])]
    pub recipe: Option<String>,

    /// How weights that are not quantised, activations and KV buffers are stored [default: f32]
    #[arg(long, value_enum)]
    pub dtype: Option<DtypeName>,

    /// Quantise the decoder and the embeddings
    #[arg(long, value_enum, value_name = "BITS")]
    pub quantize: Option<QuantizeName>,
}

/// `lapidary model pull`
#[derive(Debug, Args)]
#[command(
    after_help = "Standard output gets one line: what can be given to `--model` (with --no-export, the snapshot's folder).\n\n\
    Examples:\n  lapidary model pull google/gemma-4-E2B-it bundles/gemma-4-e2b --recipe cpu-int4\n  \
    lapidary model pull onnx-community/gemma-4-E2B-it-ONNX --variant q4f16\n\n\
    Environment: HF_ENDPOINT (a mirror), HF_TOKEN or the token file of `hf auth login`, HF_HUB_CACHE and HF_HOME (where \
    files are kept, shared with huggingface_hub), HF_HUB_OFFLINE=1, HTTPS_PROXY and NO_PROXY, SSL_CERT_FILE."
)]
pub struct PullArguments {
    /// The repository as ORG/NAME, with @REVISION behind it for another branch, tag or commit than `main`
    #[arg(value_name = "REPO[@REV]")]
    pub repository: String,

    /// The folder to make, which must not exist: the bundle of a checkpoint; of ready graphs, a folder beside the cache
    #[arg(value_name = "OUT_DIR")]
    pub output: Option<PathBuf>,

    /// Which of a repository's ready graphs (onnx/*.onnx): fp32, fp16, q4, q4f16, quantized and so on, as far as it has them
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,

    /// How the bundle of a checkpoint stores its numbers
    #[command(flatten)]
    pub precision: PrecisionArguments,

    /// Download only
    #[arg(long, conflicts_with_all = ["output", "recipe", "dtype", "quantize"])]
    pub no_export: bool,

    /// Only what the cache holds; no connection is made
    #[arg(long)]
    pub offline: bool,
}

/// `lapidary model synthesize`
#[derive(Debug, Args)]
#[command(after_help = "Example: lapidary model synthesize gemma-4-e2b out/e2b --recipe cpu-int4 --dry-run")]
pub struct SynthesizeArguments {
    /// A name (see `lapidary model list`), or the path of a manifest (.toml) or of a config.json
    #[arg(value_name = "MODEL")]
    pub model: String,

    /// The bundle to make; must not exist
    #[arg(value_name = "OUT_DIR", required_unless_present = "dry_run")]
    pub output: Option<PathBuf>,

    /// How the bundle stores its numbers
    #[command(flatten)]
    pub precision: PrecisionArguments,

    /// Tells random models apart
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// The tokenizer.json to put in. Without it a stand-in of three tokens goes in, with which `run` cannot work
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,

    /// Only print the size of every file, to the byte
    #[arg(long)]
    pub dry_run: bool,

    /// A Hugging Face checkpoint folder in bf16 instead of a bundle
    #[arg(long, conflicts_with_all = ["recipe", "dtype", "quantize"])]
    pub as_checkpoint: bool,
}

/// A floating-point type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DtypeName {
    /// 32 bits: for CPU.
    F32,
    /// 16 bits: for CUDA.
    F16,
}

/// An integer type for weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QuantizeName {
    /// Per-column weights, per-row activations.
    Int8,
    /// Blocks of 32.
    Int4,
}

/// `lapidary model eval`
#[derive(Debug, Args)]
pub struct EvalArguments {
    /// A bundle, or the folder of an ONNX export
    #[arg(value_name = "MODEL")]
    pub bundle: PathBuf,

    /// input_ids i64 [1,S]; optional pixel_values f32 [n,P,768] with pixel_position_ids i64 [n,P,2] (-1 = padding) and
    /// input_features f32 [m,T,128] with input_features_mask u8 [m,T]
    #[arg(value_name = "INPUTS.safetensors")]
    pub inputs: PathBuf,

    /// logits f32 [S,V] and, with --greedy, greedy i64 [N]
    #[arg(value_name = "OUT.safetensors")]
    pub output: PathBuf,

    /// Also generate this many tokens greedily
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub greedy: usize,
}

/// `lapidary model verify`
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The bundle
    pub bundle: PathBuf,

    /// The checkpoint that the bundle was made of: it is evaluated anew, and the graphs are held against that
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,

    /// Tokens of the prompt that is evaluated from the checkpoint, instead of the prompt of the self-test
    #[arg(long, value_name = "N", requires = "checkpoint")]
    pub tokens: Option<usize>,
}

/// `lapidary runtime`
#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Install pinned, hash-checked native libraries with the user's own pip (mirrors are honoured)
    Install {
        /// Where to, instead of the user's data folder; point LAPIDARY_NATIVE there afterwards
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,

        /// The CUDA build of ONNX Runtime with the CUDA and cuDNN libraries (about 1.5 GB)
        #[arg(long)]
        cuda: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
