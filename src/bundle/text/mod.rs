//! The two graphs of the language model: `embed_tokens` and `decoder_model_merged`.

mod attention;
mod decoder;
mod embed;
mod experts;
mod layer;
mod pictures;
mod rotary;

use std::path::Path;

use super::{Checkpoint, Config, Precision, quantize::Losses};
use crate::base::Fatal;

/// Writes both graphs into `folder`. Returns what quantisation cost.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, folder: &Path) -> Result<Losses, Fatal> {
    let mut losses = embed::write(checkpoint, config, precision, folder)?;
    losses.merge(decoder::write(checkpoint, &config.text, precision, folder)?);
    Ok(losses)
}
