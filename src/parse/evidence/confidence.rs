//! How sure the model was of a stretch of its answer.

use std::ops::Range;

use crate::base::{Confidence, Generation};

/// The probabilities of the tokens that `span`, bytes of the answer's text, touches. `None` where they are not known, or
/// where one of them, or the token with the byte `behind` the value, was not chosen but said to close the answer: that the
/// value ends there was then not the model's choice.
pub fn confidence(generation: &Generation, span: &Range<usize>, behind: usize) -> Option<Confidence> {
    let (ends, open) = (&generation.places.ends, generation.places.open);
    let first = ends.partition_point(|end| *end as usize <= span.start);
    let last = ends.partition_point(|end| (*end as usize) < span.end);
    let is_cut = open < ends.len() && ends.partition_point(|end| *end as usize <= behind) >= open;
    if is_cut || last >= open.min(ends.len()) {
        return None;
    }
    let logprobs = generation.logprobs.get(first..=last)?;
    let sum: f64 = logprobs.iter().map(|one| f64::from(*one)).sum();
    let mean = sum / logprobs.len().max(1) as f64;
    let least = logprobs.iter().copied().fold(0.0, f32::min);
    Some(Confidence { mean: mean.exp() as f32, least: least.exp() })
}
