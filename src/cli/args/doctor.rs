//! Arguments of `lapidary doctor`.

use clap::Args;

use super::{DeviceName, SandboxArguments};

/// `lapidary doctor`
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all is well; 1 something failed.")]
pub struct DoctorArguments {
    /// Where the model is to run. For `cuda` and `tensorrt` whatever of them is missing is a failure; for `auto` it is a
    /// note, since runs go to the processor then; `cpu` looks at no card
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,

    /// How far the decoder processes are shut in
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}
