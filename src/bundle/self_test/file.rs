//! `self_test.safetensors`: written into a bundle, and read back with the prompt left to whoever reads inputs.

use std::{fs, path::Path};

use ndarray::{Array2, ArrayView1};
use safetensors::{Dtype, SafeTensors};

use super::KEPT;
use crate::{
    base::{
        Fatal, Prompt,
        tensors::{Flat, tensors},
    },
    bundle::{Config, draft::write_fatal, output::Output, plain::Evaluated},
};

/// The file's name in a bundle.
pub const SELF_TEST: &str = "self_test.safetensors";

/// What a self-test expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Features and logits of the plain evaluation, with the weights as the bundle stores them.
    pub stored: Evaluated,
    /// The same logits with the weights as the checkpoint holds them.
    pub original_logits: Array2<f32>,
}

impl Expectation {
    /// Zeros in the shapes that the expectation of this prompt has.
    pub(super) fn blank(config: &Config, prompt: &Prompt) -> Self {
        let (hidden, vocabulary) = (config.text.hidden_size, config.text.vocab_size);
        let seen = prompt.images.iter().map(|image| image.soft_tokens).sum();
        let heard = prompt.clips.iter().map(|clip| clip.soft_tokens).sum();
        let logits = Array2::zeros((KEPT.min(prompt.tokens.len()), vocabulary));
        let stored = Evaluated {
            image_features: Array2::zeros((seen, hidden)),
            audio_features: Array2::zeros((heard, hidden)),
            logits: logits.clone(),
        };
        Self { stored, original_logits: logits }
    }

    /// What storing the weights costs: the norm of the change of the logits over their norm.
    pub fn cost(&self) -> f64 {
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let change = self.stored.logits.iter().zip(&self.original_logits).map(|(stored, original)| stored - original);
        let size = squares(&mut self.original_logits.iter().copied()).max(f64::MIN_POSITIVE);
        (squares(&mut change.into_iter()) / size).sqrt()
    }

    /// Positions whose best token stays.
    pub fn agreeing(&self) -> usize {
        let best = |row: ArrayView1<f32>| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let rows = self.stored.logits.rows().into_iter().zip(self.original_logits.rows());
        rows.filter(|(stored, original)| best(*stored) == best(*original)).count()
    }
}

/// Writes it into the bundle's folder.
pub(super) fn write(output: &Output, prompt: &Prompt, expectation: &Expectation) -> Result<(), Fatal> {
    let Expectation { stored, original_logits } = expectation;
    let mut tensors = tensors(prompt);
    tensors.push(("logits", floats(&stored.logits)));
    tensors.push(("original_logits", floats(original_logits)));
    tensors.push(("image_features", floats(&stored.image_features)));
    tensors.push(("audio_features", floats(&stored.audio_features)));
    let written = safetensors::serialize(tensors, None).map_err(std::io::Error::other);
    let written = written.and_then(|bytes| output.write(SELF_TEST, &bytes));
    written.map_err(|error| write_fatal(&output.path(SELF_TEST), error))
}

fn floats(values: &Array2<f32>) -> Flat {
    Flat::f32(values.shape().to_vec(), values.iter().copied())
}

/// Reads what a self-test expects.
///
/// # Errors
/// When the file is not one that [`super::write`] makes.
pub fn read(path: &Path) -> Result<Expectation, Fatal> {
    let wrong = |what: String| {
        Fatal::new(
            format!("`{}` is no self-test: {what}", path.display()),
            "export the bundle again from its checkpoint",
        )
    };
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let rows = |name: &str| rows(&file, name).map_err(wrong);
    let stored = Evaluated {
        image_features: rows("image_features")?,
        audio_features: rows("audio_features")?,
        logits: rows("logits")?,
    };
    Ok(Expectation { stored, original_logits: rows("original_logits")? })
}

fn rows(file: &SafeTensors, name: &str) -> Result<Array2<f32>, String> {
    let view = file.tensor(name).map_err(|error| format!("`{name}`: {error}"))?;
    let [rows, width] = view.shape()[..] else { return Err(format!("`{name}` has shape {:?}", view.shape())) };
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` is {:?} instead of F32", view.dtype()));
    }
    let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Array2::from_shape_vec((rows, width), values).map_err(|error| format!("`{name}`: {error}"))
}
