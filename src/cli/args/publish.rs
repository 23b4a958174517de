//! Arguments of `lapidary publish`, as typed.

use std::path::PathBuf;

use clap::Args;

/// `lapidary publish`
#[derive(Debug, Args)]
#[command(after_help = "Parts that are there already with the same content are not sent again, and the manifest, \
    `_lapidary/manifest.json`, is put there last: while it is there, all parts are. Stopped anywhere, the same command goes on.\n\n\
    Who you are is taken from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, and \
    AWS_ENDPOINT_URL for other services that speak S3 (AWS_ALLOW_HTTP=true where it is not encrypted); \
    GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY; \
    else from the machine's own role.\n\n\
    Example: lapidary publish out/invoices s3://archive/invoices\n\n\
    Exit codes: 0 it is there; 2 it is not.")]
pub struct PublishArguments {
    /// A finished dataset: what was given as `--output` of `lapidary run`
    #[arg(value_name = "DIR")]
    pub dataset: PathBuf,

    /// Where to: s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, or abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH
    #[arg(value_name = "URL")]
    pub url: String,

    /// Instead of the dataset that is there, or that was on its way there. Its manifest goes first, so nobody takes a mixture
    /// for a whole
    #[arg(long)]
    pub replace: bool,
}
