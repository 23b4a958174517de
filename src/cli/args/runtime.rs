//! Arguments of `lapidary runtime`.

use std::path::PathBuf;

use clap::Subcommand;

/// `lapidary runtime`
#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Install pinned, hash-checked native libraries with the user's own pip (mirrors are honoured)
    Install {
        /// Where to, instead of the user's data folder; point LAPIDARY_NATIVE there afterwards
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,

        /// The CUDA build of ONNX Runtime with the CUDA and cuDNN libraries (1.5 GB, 2.5 GB unpacked). An NVIDIA driver that is
        /// too old for it is an error before anything is fetched
        #[arg(long)]
        cuda: bool,

        /// TensorRT 10 as well, which NVIDIA hands out itself: the folder of an unpacked archive, or site-packages/tensorrt_libs.
        /// Its libraries are linked, or else copied. Goes with --cuda, or with a folder that has it already
        #[arg(long, value_name = "DIR")]
        tensorrt: Option<PathBuf>,
    },
}
