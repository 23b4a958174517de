//! The decoder: ids with features in their places in, logits out.

mod attention;
mod embedding;
mod experts;
mod layer;
mod per_layer;
mod sequence;

use ndarray::{Array2, s};

use super::{
    Part, Weights,
    elementary::{rms_norm, softcap},
};
use crate::{base::Fatal, bundle::Config};
pub use embedding::{Embedded, embed};
pub use sequence::Sequence;

/// Logits of the last `keep` positions, `[kept, vocabulary]`.
pub fn logits(
    weights: &Weights,
    config: &Config,
    sequence: &Sequence,
    embedded: Embedded,
    keep: usize,
) -> Result<Array2<f32>, Fatal> {
    let text = &config.text;
    let x = layer::layers(weights, text, sequence, embedded, keep)?;
    let kept = x.slice(s![x.nrows().saturating_sub(keep).., ..]).to_owned();
    let weight = weights.vector("language_model.norm.weight", text.hidden_size)?;
    let normed = rms_norm(&kept, Some(&weight), text.rms_norm_eps);
    let head = if text.tied_head { "language_model.embed_tokens.weight" } else { "lm_head.weight" };
    let logits = weights.linear(Part::Head, head, &normed, text.vocab_size)?;
    Ok(match text.logit_softcap {
        Some(cap) => logits.mapv(|logit| softcap(logit, cap)),
        None => logits,
    })
}
