//! Asks a decoder of unknown making whether its slots can share buffers: two sequences of different lengths are run
//! through two slots full of garbage, in chunks and then together, and compared with each alone in a cache that grows.

use std::iter;

use half::f16;
use tracing::subscriber::{NoSubscriber, with_default};

use super::{arena::Room, decoder::Decoder, embedder::Embedder, engine::causes, floats::floats};
use crate::base::{
    Fatal,
    model::{Manifest, TokenIds},
};

/// Lengths of the two prompts.
const LENGTHS: [usize; 2] = [11, 6];

/// Positions of one chunk.
const CHUNK: usize = 4;

/// Steps after the prompts.
const STEPS: usize = 2;

/// Positions of one slot: more than are used, since a decoder may take the buffer's end for the sequence's.
const POSITIONS: usize = 32;

/// Largest value in the buffers before anything is written; finite also in f16.
const GARBAGE: f32 = 3e4;

/// What a decoder can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Several slots share buffers and step together.
    Shares,
    /// It cannot, and why.
    Grows(String),
}

/// Logits of the last position of each sequence, after its prompt and after each step.
type Course = Vec<Vec<f32>>;

/// Runs the probe. The decoder has no slots afterwards.
///
/// # Errors
/// When the decoder cannot be run slot by slot either.
pub(super) fn probe(decoder: &mut Decoder, embedder: &mut Embedder, manifest: &Manifest) -> Result<Verdict, Fatal> {
    let vocabulary = manifest.text.vocab_size;
    let sequences = LENGTHS.map(|length| sequence(length + STEPS, &manifest.tokens, vocabulary));
    let alone = alone(decoder, embedder, &sequences).map_err(|error| unusable(&causes(&error)))?;
    if let Some(logits) = alone.iter().find(|logits| logits.len() != vocabulary) {
        return Err(unusable(&format!("it gives {} logits for {vocabulary} tokens", logits.len())));
    }
    let buffers = decoder.share(sequences.len(), Room::uniform(POSITIONS))?;
    let filled = buffers.fill(GARBAGE.to_ne_bytes(), f16::from_f32(GARBAGE).to_ne_bytes());
    filled.map_err(|failure| {
        Fatal::new(format!("the buffers of the decoder cannot be written to: {failure}"), "run `lapidary doctor`")
    })?;
    // A refusal is an answer here: ONNX Runtime's own words about it would look like a failure in the log.
    let together = with_default(NoSubscriber::default(), || together(decoder, embedder, &sequences));
    let half = decoder.is_half();
    decoder.grow(0);
    Ok(match together {
        Err(error) => Verdict::Grows(causes(&error)),
        Ok(together) => judge(&together, &alone, half),
    })
}

/// Token ids that are different at each place and none of those with a meaning.
fn sequence(length: usize, ids: &TokenIds, vocabulary: usize) -> Vec<u32> {
    let soft = [ids.image, ids.video, ids.audio];
    let ordinary = |id: &u32| !soft.contains(id) && !ids.eos.contains(id) && *id != ids.pad;
    let vocabulary = u32::try_from(vocabulary).unwrap_or(u32::MAX).max(1);
    let spread = (0..1000_u32).map(|place| place.wrapping_mul(7919).wrapping_add(length as u32) % vocabulary);
    iter::once(ids.bos).chain(spread.filter(ordinary)).chain(iter::repeat(ids.bos)).take(length).collect()
}

fn alone(decoder: &mut Decoder, embedder: &mut Embedder, sequences: &[Vec<u32>; 2]) -> ort::Result<Course> {
    decoder.grow(sequences.len());
    let mut course = Course::new();
    for (slot, tokens) in sequences.iter().enumerate() {
        course.push(prefill(decoder, embedder, slot, &tokens[..LENGTHS[slot]])?);
    }
    for step in 0..STEPS {
        for (slot, tokens) in sequences.iter().enumerate() {
            let place = LENGTHS[slot] + step;
            let embedded = embedder.embed(&tokens[place..=place], 1)?;
            course.push(last(&floats(&decoder.chunk(slot, &embedded, &[0], place, 1)?), 1));
        }
    }
    Ok(course)
}

fn together(decoder: &mut Decoder, embedder: &mut Embedder, sequences: &[Vec<u32>; 2]) -> ort::Result<Course> {
    let mut course = Course::new();
    for (slot, tokens) in sequences.iter().enumerate() {
        course.push(prefill(decoder, embedder, slot, &tokens[..LENGTHS[slot]])?);
    }
    for step in 0..STEPS {
        let ends = LENGTHS.map(|length| length + step);
        let tokens: Vec<u32> = sequences.iter().zip(ends).map(|(tokens, end)| tokens[end]).collect();
        let embedded = embedder.embed(&tokens, tokens.len())?;
        let logits = floats(&decoder.step(0..tokens.len(), &embedded, &ends)?);
        course.extend(logits.chunks((logits.len() / tokens.len()).max(1)).map(<[f32]>::to_vec));
    }
    Ok(course)
}

/// The logits of a prompt's last position.
fn prefill(decoder: &mut Decoder, embedder: &mut Embedder, slot: usize, tokens: &[u32]) -> ort::Result<Vec<f32>> {
    let mut logits = Vec::new();
    for (index, chunk) in tokens.chunks(CHUNK).enumerate() {
        let embedded = embedder.embed(chunk, 1)?;
        let fetched = decoder.chunk(slot, &embedded, &vec![0; chunk.len()], index * CHUNK, 1)?;
        let positions = fetched.shape().get(1).copied().unwrap_or(1);
        logits = last(&floats(&fetched), positions);
    }
    Ok(logits)
}

fn last(logits: &[f32], positions: usize) -> Vec<f32> {
    logits.chunks((logits.len() / positions.max(1)).max(1)).next_back().unwrap_or_default().to_vec()
}

/// Rounding differs between one row and two, and more so with 16 bits; garbage that is read differs by far more.
fn judge(together: &Course, alone: &Course, half: bool) -> Verdict {
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0, |most: f32, value| if value.is_nan() { f32::INFINITY } else { most.max(value.abs()) })
    };
    let size = largest(&mut alone.iter().flatten().copied()).max(1.0);
    let tolerance = size * if half { 1e-2 } else { 1e-3 };
    let pairs = together.iter().flatten().zip(alone.iter().flatten());
    let difference = largest(&mut pairs.map(|(a, b)| a - b));
    match together.len() == alone.len() && difference <= tolerance {
        true => Verdict::Shares,
        false => Verdict::Grows(format!("logits differ by {difference:.3} from those of each sequence alone")),
    }
}

fn unusable(why: &str) -> Fatal {
    Fatal::new(
        format!("the decoder cannot be run: {why}"),
        "the graphs are of a kind that lapidary does not know: make a bundle with `lapidary model export`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_passes_and_garbage_does_not() {
        let alone = vec![vec![10.0, -20.0]];
        assert_eq!(judge(&vec![vec![10.01, -20.0]], &alone, false), Verdict::Shares);
        assert!(matches!(judge(&vec![vec![10.1, -20.0]], &alone, false), Verdict::Grows(_)));
        assert_eq!(judge(&vec![vec![10.1, -20.0]], &alone, true), Verdict::Shares);
        assert!(matches!(judge(&vec![vec![f32::NAN, -20.0]], &alone, true), Verdict::Grows(_)));
    }
}
