//! Per-layer inputs: for every layer a small embedding of the token, blended with what the embeddings give.

use ndarray::Array2;

use super::{
    super::{Part, Weights, elementary::rms_norm, weights::recut},
    embedding::scaled_rows,
    sequence::Sequence,
};
use crate::{base::Fatal, bundle::TextConfig};

/// `[positions, layers * width]`; `x` are the embeddings with features in their places.
pub fn per_layer_inputs(
    weights: &Weights,
    config: &TextConfig,
    sequence: &Sequence,
    x: &Array2<f32>,
) -> Result<Array2<f32>, Fatal> {
    let (layers, size) = (config.layers.len(), config.per_layer_size);
    let (part, name) = (Part::PerLayerEmbedding(size), "language_model.embed_tokens_per_layer.weight");
    let token = scaled_rows(weights, part, name, [config.vocab_size, layers * size], layers, sequence)?;
    let name = "language_model.per_layer_model_projection.weight";
    let context = weights.linear(Part::Decoder, name, x, layers * size)? / (config.hidden_size as f32).sqrt();
    let weight = weights.vector("language_model.per_layer_projection_norm.weight", size)?;
    let context = rms_norm(&recut(context, size), Some(&weight), config.rms_norm_eps);
    Ok((recut(context, layers * size) + token) * std::f32::consts::FRAC_1_SQRT_2)
}
