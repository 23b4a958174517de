//! Embeddings: rows of the table at text, features at soft tokens; and the per-layer inputs of E2B and E4B.

use half::{bf16, f16};
use ndarray::Array2;
use safetensors::Dtype;

use super::{
    super::{Part, Weights, unfit},
    per_layer::per_layer_inputs,
    sequence::{Kind, Sequence},
};
use crate::{base::Fatal, bundle::Config};

/// What goes into the first layer.
pub struct Embedded {
    /// `[positions, hidden]`.
    pub x: Array2<f32>,
    /// `[positions, layers * width]`, where the model has them.
    pub per_layer: Option<Array2<f32>>,
}

/// Looks up the ids and puts features in their places, in order.
///
/// # Errors
/// When there are more or fewer features than places.
pub fn embed(
    weights: &Weights,
    config: &Config,
    sequence: &Sequence,
    pictures: &Array2<f32>,
    sound: &Array2<f32>,
) -> Result<Embedded, Fatal> {
    let shape = [config.text.vocab_size, config.text.hidden_size];
    let mut x = scaled_rows(weights, Part::Embedding, "language_model.embed_tokens.weight", shape, 1, sequence)?;
    splice(&mut x, sequence, Kind::Picture, pictures)?;
    splice(&mut x, sequence, Kind::Sound, sound)?;
    let per_layer = match config.text.per_layer_size {
        0 => None,
        _ => Some(per_layer_inputs(weights, &config.text, sequence, &x)?),
    };
    Ok(Embedded { x, per_layer })
}

/// Rows of a table that holds `parts` embeddings side by side, times the root of the width of one. The root is rounded
/// to the type that the checkpoint is stored in.
pub(super) fn scaled_rows(
    weights: &Weights,
    part: Part,
    name: &str,
    shape: [usize; 2],
    parts: usize,
    sequence: &Sequence,
) -> Result<Array2<f32>, Fatal> {
    let (rows, dtype) = weights.looked_up(part, name, shape, &sequence.rows)?;
    let root = ((shape[1] / parts) as f64).sqrt();
    let scale = match dtype {
        Dtype::BF16 => f32::from(bf16::from_f64(root)),
        Dtype::F16 => f32::from(f16::from_f64(root)),
        _ => root as f32,
    };
    Ok(rows * scale)
}

fn splice(x: &mut Array2<f32>, sequence: &Sequence, kind: Kind, features: &Array2<f32>) -> Result<(), Fatal> {
    let places: Vec<usize> = (0..sequence.len()).filter(|&place| sequence.kinds[place] == kind).collect();
    if places.len() != features.nrows() {
        return Err(unfit(format!("the prompt has {} places for {} features", places.len(), features.nrows())));
    }
    for (place, row) in places.into_iter().zip(features.rows()) {
        x.row_mut(place).assign(&row);
    }
    Ok(())
}
