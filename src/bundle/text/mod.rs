//! The graphs of the language model: `embed_tokens`, `decoder_model_merged`, and where the CPU computes in f32 also
//! `decoder_slots`, the same decoder for our own engine.

mod attention;
mod decoder;
mod embed;
mod experts;
mod grouped;
mod layer;
mod pictures;
mod rotary;
mod slots;
mod table;
mod widths;

use super::{Checkpoint, Config, Dtype, Precision, output::Output, quantize::Losses};
use crate::base::Fatal;

/// Writes all of them, where ONNX Runtime can run them. Returns what quantisation cost.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, output: &Output) -> Result<Losses, Fatal> {
    widths::check(&config.text, precision)?;
    let (mut losses, table) = embed::write(checkpoint, config, precision, output)?;
    let table = table.as_ref();
    let (of_decoder, weights) = decoder::write(checkpoint, &config.text, precision, table, output)?;
    losses.merge(of_decoder);
    if has_slots(precision) {
        decoder::write_slots(checkpoint, &config.text, precision, table, weights, output)?;
    }
    Ok(losses)
}

/// Our own operators run on the CPU and compute in f32.
pub fn has_slots(precision: Precision) -> bool {
    precision.dtype == Dtype::F32
}
