//! The scores of a whole vocabulary under a mask, swept in blocks of 32 tokens: the highest, the sum of exponentials,
//! the likeliest few, a draw.
//!
//! A first sweep notes the highest score of every block; what follows visits only blocks that can matter. The loops
//! over a block have a fixed length, so that the compiler turns them into vector code; `pulp` picks the widest that
//! the processor has.

use std::ops::Range;

use llguidance::toktrie::SimpleVob;
use pulp::Arch;

use super::{
    exponentials::{NEGLIGIBLE, Sum},
    tops::Tops,
};

/// Tokens of one block: the bits of one word of the mask.
pub(super) const BLOCK: usize = 32;

pub(super) type Block = [f32; BLOCK];

/// The scores of the allowed tokens. A score that is not finite counts as not allowed.
pub(super) struct Sweep<'a> {
    scores: &'a [f32],
    words: &'a [u32],
    /// The highest score of each block, negative infinity where nothing is allowed.
    tops: Vec<f32>,
    /// The likeliest token; the lowest id among equals.
    pub(super) best: u32,
    /// Its score.
    pub(super) highest: f32,
    arch: Arch,
}

impl<'a> Sweep<'a> {
    /// `None` when no allowed token has a finite score.
    pub(super) fn new(scores: &'a [f32], allowed: &'a SimpleVob) -> Option<Self> {
        let arch = Arch::new();
        let words = allowed.as_slice();
        let tops = arch.dispatch(Tops { scores, words });
        let (place, highest) = first_highest(&tops)?;
        let block = masked(scores, words, place);
        let inside = block.iter().position(|score| *score == highest)?;
        Some(Self { scores, words, tops, best: (place * BLOCK + inside) as u32, highest, arch })
    }

    /// The sum of `exp((score - highest) * scale)`.
    pub(super) fn total(&self, scale: f32) -> f64 {
        self.sum(0..self.tops.len(), scale)
    }

    /// The same over a range of blocks.
    fn sum(&self, places: Range<usize>, scale: f32) -> f64 {
        let (scores, words) = (&self.scores[places.start * BLOCK..], &self.words[places.start..]);
        self.arch.dispatch(Sum { scores, words, tops: &self.tops[places], highest: self.highest, scale })
    }

    /// The weight of a score in that sum.
    pub(super) fn weight(&self, score: f32, scale: f32) -> f64 {
        f64::from(((score - self.highest) * scale).exp())
    }

    /// The `count` likeliest tokens with their scores, best first; the lower id first among equals.
    pub(super) fn likeliest(&self, count: usize) -> Vec<(u32, f32)> {
        let floor = self.floor(count);
        let places = (0..self.tops.len()).filter(|place| self.tops[*place] >= floor);
        let mut found: Vec<(u32, f32)> = places.flat_map(|place| self.tokens(place, floor)).collect();
        let by_score = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count < found.len() {
            found.select_nth_unstable_by(count, by_score);
            found.truncate(count);
        }
        found.sort_unstable_by(by_score);
        found
    }

    /// The token at which the sum of weights, token by token, passes `target`.
    pub(super) fn draw(&self, target: f64, scale: f32) -> u32 {
        let mut left = target;
        for place in self.visited(scale) {
            let sum = self.sum(place..place + 1, scale);
            if sum > left {
                return self.draw_inside(place, left, scale);
            }
            left -= sum;
        }
        self.best
    }

    fn draw_inside(&self, place: usize, mut left: f64, scale: f32) -> u32 {
        let mut last = self.best;
        for (token, score) in self.tokens(place, f32::MIN) {
            last = token;
            left -= self.weight(score, scale);
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// No token below this score is among the `count` likeliest: that many blocks have one at least as good.
    fn floor(&self, count: usize) -> f32 {
        if count == 0 || count > self.tops.len() {
            return f32::MIN;
        }
        let mut tops = self.tops.clone();
        let (_, floor, _) = tops.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
        floor.max(f32::MIN)
    }

    /// The allowed tokens of a block with a score of at least `floor`.
    fn tokens(&self, place: usize, floor: f32) -> impl Iterator<Item = (u32, f32)> {
        let first = (place * BLOCK) as u32;
        let scored = (first..).zip(masked(self.scores, self.words, place));
        scored.filter(move |(_, score)| *score >= floor)
    }

    /// Blocks whose weights are not negligible.
    fn visited(&self, scale: f32) -> impl Iterator<Item = usize> {
        let floor = self.highest + NEGLIGIBLE / scale;
        self.tops.iter().enumerate().filter(move |(_, top)| **top > floor).map(|(place, _)| place)
    }
}

fn first_highest(tops: &[f32]) -> Option<(usize, f32)> {
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    tops.iter().copied().enumerate().reduce(better).filter(|(_, top)| top.is_finite())
}

/// A block's scores; negative infinity for what is not allowed, not finite or beyond the vocabulary.
#[inline(always)]
pub(super) fn masked(scores: &[f32], words: &[u32], place: usize) -> Block {
    let found = &scores[(place * BLOCK).min(scores.len())..];
    let word = words.get(place).copied().unwrap_or(0);
    match found.first_chunk() {
        Some(whole) => hidden(whole, word),
        None => {
            let mut block = [f32::NEG_INFINITY; BLOCK];
            block[..found.len()].copy_from_slice(found);
            hidden(&block, word)
        }
    }
}

#[inline(always)]
fn hidden(scores: &Block, word: u32) -> Block {
    let mut shown = *scores;
    if word == u32::MAX {
        for score in &mut shown {
            *score = if score.abs() < f32::INFINITY { *score } else { f32::NEG_INFINITY };
        }
        return shown;
    }
    for (bit, score) in shown.iter_mut().enumerate() {
        let counts = ((word >> bit) & 1 == 1) & (score.abs() < f32::INFINITY);
        *score = if counts { *score } else { f32::NEG_INFINITY };
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(scores: &[f32], allowed: &SimpleVob) -> Vec<(u32, f32)> {
        let scored = (0_u32..).zip(scores.iter().copied());
        scored.filter(|(token, score)| allowed.is_allowed(*token) && score.is_finite()).collect()
    }

    proptest! {
        #[test]
        fn a_sweep_finds_what_a_plain_search_finds(
            scores in prop::collection::vec(prop_oneof![9 => -30.0_f32..30.0, 1 => Just(f32::NAN), 1 => Just(7.0)], 1..300),
            seed in any::<u64>(),
            count in 1_usize..80,
        ) {
            let bits: Vec<bool> = (0..scores.len()).map(|bit| seed.rotate_left(bit as u32 * 7) & 3 != 0).collect();
            let allowed = SimpleVob::from_slice(&bits);
            let mut expected = plain(&scores, &allowed);
            let sweep = Sweep::new(&scores, &allowed);
            prop_assert_eq!(sweep.is_some(), !expected.is_empty());
            let Some(sweep) = sweep else { return Ok(()) };
            let total: f64 = expected.iter().map(|(_, score)| f64::from(score - sweep.highest).exp()).sum();
            prop_assert!((sweep.total(1.0) - total).abs() < 1e-6 * total);
            let target = total * (seed % 1000) as f64 / 1000.0;
            let mut left = target;
            let drawn = expected.iter().find(|(_, score)| { left -= f64::from(score - sweep.highest).exp(); left < 0.0 });
            let near_a_border = left.abs() < 1e-5;
            prop_assert!(near_a_border || drawn.map(|found| found.0) == Some(sweep.draw(target, 1.0)));
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            prop_assert_eq!(sweep.best, expected[0].0);
            expected.truncate(count);
            prop_assert_eq!(sweep.likeliest(count), expected);
        }
    }
}
