//! The whole Gemma 4 family in plain f32: a checkpoint and a prompt in, features and logits out.
//!
//! This is what a bundle's graphs are held against, so it shares no code with what writes them: it follows
//! transformers' `modeling_gemma4.py` with loops and matrix products, and streams the weights one chunk of rows at a time.
//! Whoever asks for it sees the weights as a bundle stores them, rounded, by way of a [`Storage`].

mod attention;
mod audio;
mod elementary;
mod rotary;
mod storage;
mod text;
mod vision;
mod weights;

use ndarray::Array2;

use super::{Checkpoint, Config};
use crate::base::{Fatal, Prompt};
pub use storage::{Part, Storage};
use weights::Weights;

/// What the model makes of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// `[soft tokens of all pictures, hidden]`.
    pub image_features: Array2<f32>,
    /// `[soft tokens of all clips, hidden]`.
    pub audio_features: Array2<f32>,
    /// `[kept positions, vocabulary]`: the last ones of the prompt.
    pub logits: Array2<f32>,
}

/// Evaluates a prompt and gives the logits of its last `keep` positions, of all when it has no more.
///
/// # Errors
/// When the prompt holds what the model has no encoder for or does not belong to it, or a weight is missing, cannot be
/// read or has another shape than the configuration says.
pub fn evaluate(
    checkpoint: &Checkpoint,
    config: &Config,
    storage: Storage,
    prompt: &Prompt,
    keep: usize,
) -> Result<Evaluated, Fatal> {
    let weights = Weights::new(checkpoint, storage);
    let sequence = text::Sequence::new(config, &prompt.tokens)?;
    let image_features = vision::features(&weights, config, &prompt.images)?;
    let audio_features = audio::features(&weights, config, &prompt.clips)?;
    let embedded = text::embed(&weights, config, &sequence, &image_features, &audio_features)?;
    let logits = text::logits(&weights, config, &sequence, embedded, keep)?;
    Ok(Evaluated { image_features, audio_features, logits })
}

/// A prompt that does not belong to the model.
fn unfit(what: impl Into<String>) -> Fatal {
    Fatal::new(what, "the prompt does not belong to this checkpoint")
}
