//! Rotary positions: frequencies, and tables for GroupQueryAttention of cos and sin, `[positions, head_dim / 2]`.

use rayon::prelude::*;

use crate::{
    base::Fatal,
    bundle::{Rotary, TextConfig, draft::Draft, graph::Value, quantize},
};

/// Positions that are computed at a time.
const ROWS: usize = 4096;

/// The cos and the sin table of one kind of layer.
#[derive(Clone)]
pub struct Tables {
    /// `[positions, head_dim / 2]`.
    pub cos: Value,
    /// `[positions, head_dim / 2]`.
    pub sin: Value,
}

/// The width of the heads of sliding or of full layers; of the others where there are none.
pub fn head_dim(config: &TextConfig, sliding: bool) -> usize {
    let of = |sliding| config.layers.iter().find(|layer| layer.sliding == sliding).map(|layer| layer.head_dim);
    of(sliding).or(of(!sliding)).unwrap_or(2)
}

/// Writes both tables.
pub fn tables(
    draft: &mut Draft,
    name: &str,
    rotary: Rotary,
    head_dim: usize,
    positions: usize,
) -> Result<Tables, Fatal> {
    let frequencies = frequencies(rotary, head_dim);
    Ok(Tables {
        cos: table(draft, &format!("{name}.cos"), &frequencies, positions, f64::cos)?,
        sin: table(draft, &format!("{name}.sin"), &frequencies, positions, f64::sin)?,
    })
}

/// `theta^(-2j / head_dim)` for the rotated share, then zeros: those dimensions get cos 1 and sin 0
/// ("proportional", transformers' `modeling_rope_utils.py`).
pub fn frequencies(rotary: Rotary, head_dim: usize) -> Vec<f32> {
    let rotated = (rotary.fraction * head_dim as f64 / 2.0).floor() as usize;
    let frequency = |j: usize| rotary.theta.powf(-2.0 * j as f64 / head_dim as f64) as f32;
    (0..head_dim / 2).map(|j| if j < rotated { frequency(j) } else { 0.0 }).collect()
}

fn table(
    draft: &mut Draft,
    name: &str,
    frequencies: &[f32],
    positions: usize,
    function: fn(f64) -> f64,
) -> Result<Value, Fatal> {
    let element = draft.dtype();
    draft.store(name, element, &[positions, frequencies.len()], |out| {
        (0..positions).step_by(ROWS).try_for_each(|first| {
            let rows = first..positions.min(first + ROWS);
            let values: Vec<f32> = rows.into_par_iter().flat_map_iter(|at| row(frequencies, at, function)).collect();
            quantize::write_dense(out, name, &values, element)
        })
    })
}

/// The angle is rounded to f32 before the function is taken, as transformers does.
fn row(frequencies: &[f32], position: usize, function: fn(f64) -> f64) -> impl Iterator<Item = f32> {
    let angles = frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency));
    angles.map(move |angle| function(angle) as f32)
}
