//! Arguments of `lapidary model`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DeviceName;

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
    /// Build TensorRT's engines for a model's encoders ahead of its runs; what is there and whole is left as it is
    Prepare(PrepareArguments),
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
    /// Which part gets what [default: cpu-int4, with experts in 8 bits where there are any]: f32, cpu-int8, cpu-int4, cpu-int4-asymmetric, cpu-int4-experts-int8, cuda-f16, cuda-int4,
    /// or a TOML file like those in onnx/recipes
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["dtype", "quantize"])]
    pub recipe: Option<String>,

    /// How weights that are not quantised, activations and KV buffers are stored: alone, all weights so
    #[arg(long, value_enum)]
    pub dtype: Option<DtypeName>,

    /// Quantise the decoder and the embeddings, over `--dtype` [default: f32]
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
    /// The repository as ORG/NAME, or a name of `lapidary model list`, with @REVISION behind it for another branch, tag
    /// or commit than `main`
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

    /// Where the graphs run. A named device that cannot be had is an error; `auto` says what it took
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
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

    /// Where the graphs run. A named device that cannot be had is an error; `auto` says what it took
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

/// `lapidary model prepare`
#[derive(Debug, Args)]
#[command(
    after_help = "A run with `--device tensorrt` builds nothing: it wants an engine for each budget that its pipeline asks for, \
    and one for sound, built on this card with this driver. One that is missing is named with this command.\n\n\
    Examples:\n  lapidary model prepare bundles/gemma-4-e2b --pipeline pipelines/invoice.toml\n  \
    lapidary model prepare bundles/gemma-4-e2b --budget 280,1120 --devices 0,1\n\n\
    Environment: LAPIDARY_TENSORRT (where engines are kept, instead of the user's cache folder)."
)]
pub struct PrepareArguments {
    /// A bundle, or the folder of an ONNX export, with #VARIANT behind it where it holds several
    #[arg(value_name = "MODEL")]
    pub bundle: PathBuf,

    /// Prepare for the budgets of this pipeline, its films and its ladder
    #[arg(long, value_name = "PIPELINE.toml")]
    pub pipeline: Option<PathBuf>,

    /// Prepare for these numbers of soft tokens per picture [default: all that the model supports, or the pipeline's]
    #[arg(long = "budget", value_name = "TOKENS", value_delimiter = ',')]
    pub budgets: Vec<u32>,

    /// What is prepared for: nothing else has engines
    #[arg(long, value_enum, default_value_t = DeviceName::Tensorrt)]
    pub device: DeviceName,

    /// The cards to build on, as CUDA counts them; cards of one kind share engines
    #[arg(
        long,
        value_name = "CARDS",
        value_delimiter = ',',
        default_value = "0",
        value_parser = clap::value_parser!(u32).range(..1024)
    )]
    pub devices: Vec<u32>,
}
