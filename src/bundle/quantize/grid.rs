//! Blocks that lie on a grid of 4 bits already: checkpoints that were trained with quantisation (QAT, the `q4_0` of
//! llama.cpp: `d * (q - 8)`, `d` an f16), also when their values were rounded to bf16 afterwards.

use super::block::{Block, ROUNDING};

/// How far a value may lie beside its step, per step: a rounding of the value and one of the largest value to bf16,
/// `2^-8` each, and a little for this arithmetic. A value of another grid lies an eighth of a step beside at least,
/// and twice this tolerance on 7 steps is less.
const TOLERANCE: f32 = 1.0 / 127.0;

/// The step of the coarsest grid on which every value of the block lies, or none. `extreme` is the value of largest
/// size. Positive where both signs would do.
pub(super) fn step(block: &Block, extreme: f32) -> Option<f32> {
    let size = extreme.abs();
    let steps = (1..=7).map(|steps| steps as f32).find(|steps| fits(block, steps / size));
    // Only -8 has a code, and no 8.
    steps.map(|steps| size / steps).or((fits(block, -8.0 / extreme)).then_some(extreme / -8.0))
}

/// Is every value a step, when multiplied with the inverse of one?
fn fits(block: &Block, inverse: f32) -> bool {
    inverse.is_finite()
        && block.iter().all(|value| {
            let place = value * inverse;
            let nearest = (place + ROUNDING) - ROUNDING;
            (-8.0..=7.0).contains(&nearest) && (place - nearest).abs() <= TOLERANCE * nearest.abs()
        })
}
