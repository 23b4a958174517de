//! Arguments of `lapidary schema`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `lapidary schema`
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Say for each keyword of a JSON Schema whether it is enforced while decoding, checked afterwards or refused, and
    /// which columns come of it
    Check(SchemaCheckArguments),
}

/// `lapidary schema check`
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the schema can be used; 2 it is refused or cannot be read.")]
pub struct SchemaCheckArguments {
    /// A JSON Schema, draft 2020-12
    #[arg(value_name = "SCHEMA.json")]
    pub schema: PathBuf,

    /// Take the bounds of this pipeline's `[parse]` table instead of the default ones
    #[arg(long, short, value_name = "PIPELINE.toml")]
    pub pipeline: Option<PathBuf>,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
