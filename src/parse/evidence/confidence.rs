//! How sure the model was of a stretch of its answer.

use std::ops::Range;

use crate::base::{Confidence, Generation};

/// The probabilities of the tokens that `span`, bytes of the answer's text, touches. `None` where they are not known, or
/// where one of them was not chosen but said to close the answer.
pub fn confidence(generation: &Generation, span: &Range<usize>) -> Option<Confidence> {
    let ends = &generation.places.ends;
    let first = ends.partition_point(|end| *end as usize <= span.start);
    let last = ends.partition_point(|end| (*end as usize) < span.end);
    if last >= generation.places.open.min(ends.len()) {
        return None;
    }
    let logprobs = generation.logprobs.get(first..=last)?;
    let sum: f64 = logprobs.iter().map(|one| f64::from(*one)).sum();
    let mean = sum / logprobs.len().max(1) as f64;
    let least = logprobs.iter().copied().fold(0.0, f32::min);
    Some(Confidence { mean: mean.exp() as f32, least: least.exp() })
}
