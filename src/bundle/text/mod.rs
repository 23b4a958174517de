//! The two graphs of the language model: `embed_tokens` and `decoder_model_merged`.

mod attention;
mod decoder;
mod embed;
mod experts;
mod layer;
mod pictures;
mod rotary;
mod table;

use super::{Checkpoint, Config, Precision, output::Output, quantize::Losses};
use crate::base::Fatal;

/// Writes both graphs. Returns what quantisation cost.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, output: &Output) -> Result<Losses, Fatal> {
    let (mut losses, table) = embed::write(checkpoint, config, precision, output)?;
    losses.merge(decoder::write(checkpoint, &config.text, precision, table, output)?);
    Ok(losses)
}
