//! What some rows of queries make of the keys and values of one head of one slot: softmax of their products, tile by tile
//! of keys, so that no row of scores is ever held whole (Milakov and Gimelshein 2018, "Online normalizer calculation for
//! softmax"; Dao et al. 2022, "FlashAttention").

use std::ops::Range;

use pulp::Arch;

use super::products::{Scores, Sums, Terms};
use crate::generate::sweep::exponential;

/// Keys of one tile. Tiles begin at multiples of it, so that a row's sums are the same whatever rows it is computed with.
const KEYS: usize = 64;

/// Rows of queries over the keys and values of one head.
pub(super) struct Block<'a> {
    /// `[rows, width]`.
    pub(super) queries: &'a [f32],
    /// The places that each row sees; never none.
    pub(super) seen: &'a [Range<usize>],
    /// `[length, width]`.
    pub(super) keys: &'a [f32],
    /// `[length, width]`.
    pub(super) values: &'a [f32],
    pub(super) width: usize,
}

/// How far the softmax of one row has come.
#[derive(Clone, Copy)]
struct Course {
    highest: f32,
    total: f32,
}

impl Block<'_> {
    /// Writes `[rows, width]`.
    pub(super) fn mix(&self, arch: Arch, mixed: &mut [f32]) {
        let all = self.all_seen();
        let mut courses = vec![Course { highest: f32::NEG_INFINITY, total: 0.0 }; self.seen.len()];
        let mut scores = vec![0.0; self.seen.len() * KEYS];
        mixed.fill(0.0);
        for tile in (all.start / KEYS * KEYS..all.end).step_by(KEYS) {
            let part = tile.max(all.start)..(tile + KEYS).min(all.end);
            let of = |rows| -> &[f32] {
                let rows: &[f32] = rows;
                &rows[part.start * self.width..part.end * self.width]
            };
            let skipped = part.start - tile;
            let (queries, width) = (self.queries, self.width);
            let made = &mut scores[skipped..];
            arch.dispatch(Scores { queries, keys: of(self.keys), width, scores: made, stride: KEYS });
            self.weigh(arch, tile, &mut scores, &mut courses, mixed);
            let terms = Terms { weights: &scores[skipped..], stride: KEYS, values: of(self.values), width };
            arch.dispatch(Sums { terms, sums: mixed });
        }
        for (row, course) in mixed.chunks_exact_mut(self.width).zip(courses) {
            row.iter_mut().for_each(|value| *value /= course.total);
        }
    }

    /// From the first to the last place that any row sees.
    fn all_seen(&self) -> Range<usize> {
        let start = self.seen.iter().map(|seen| seen.start).min().unwrap_or(0);
        start..self.seen.iter().map(|seen| seen.end).max().unwrap_or(0)
    }

    /// Turns the scores of a tile into weights; what was summed up under a lower score is scaled down.
    fn weigh(&self, arch: Arch, tile: usize, scores: &mut [f32], courses: &mut [Course], mixed: &mut [f32]) {
        arch.dispatch(
            #[inline(always)]
            || {
                let (rows, _) = scores.as_chunks_mut::<KEYS>();
                let rows = rows.iter_mut().zip(courses).zip(self.seen).zip(mixed.chunks_exact_mut(self.width));
                for (((scores, course), seen), mixed) in rows {
                    let inside = |place: usize| place.saturating_sub(tile).min(KEYS);
                    let factor = course.go_on(scores, inside(seen.start)..inside(seen.end));
                    if factor != 1.0 {
                        mixed.iter_mut().for_each(|value| *value *= factor);
                    }
                }
            },
        );
    }
}

impl Course {
    /// Takes the scores of the next tile, of which the row sees a part, and leaves weights in their place. Returns what
    /// earlier sums are to be multiplied with.
    #[inline(always)]
    fn go_on(&mut self, scores: &mut [f32; KEYS], seen: Range<usize>) -> f32 {
        for (place, score) in scores.iter_mut().enumerate() {
            *score = if (place >= seen.start) & (place < seen.end) { *score } else { f32::NEG_INFINITY };
        }
        let top = scores.iter().fold(f32::NEG_INFINITY, |top, score| if *score > top { *score } else { top });
        let highest = if top > self.highest { top } else { self.highest };
        if highest == f32::NEG_INFINITY {
            scores.fill(0.0);
            return 1.0;
        }
        for score in scores.iter_mut() {
            *score = exponential(*score - highest);
        }
        let factor = exponential(self.highest - highest);
        let mut lanes = [0.0_f32; 16];
        let (vectors, _) = scores.as_chunks::<16>();
        for vector in vectors {
            lanes.iter_mut().zip(vector).for_each(|(lane, weight)| *lane += weight);
        }
        *self = Self { highest, total: self.total * factor + lanes.iter().sum::<f32>() };
        factor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In f64 and in one pass.
    fn plainly(block: &Block, row: usize) -> Vec<f64> {
        let width = block.width;
        let at = |rows: &[f32], row: usize, column: usize| f64::from(rows[row * width + column]);
        let seen = block.seen[row].clone();
        let dot = |key: usize| (0..width).map(|c| at(block.queries, row, c) * at(block.keys, key, c)).sum::<f64>();
        let scores: Vec<f64> = seen.clone().map(dot).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let term = |key, weight: &f64, column| weight * at(block.values, key, column);
        let mixed = |column| seen.clone().zip(&weights).map(|(key, weight)| term(key, weight, column)).sum::<f64>();
        (0..width).map(|column| mixed(column) / total).collect()
    }

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let value = |place: usize| ((place as f64 + 1.0) * (seed % 97 + 3) as f64 * 0.618).sin() as f32;
        (0..count).map(value).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn blocks_equal_a_plain_computation_and_rows_do_not_depend_on_their_neighbours(
            width in prop::sample::select(vec![3_usize, 8, 16, 40, 64, 256]),
            spans in prop::collection::vec((0_usize..150, 1_usize..150), 1..11),
            seed in any::<u64>(),
        ) {
            let length = 300;
            let seen: Vec<Range<usize>> = spans.iter().map(|(start, count)| *start..start + count).collect();
            let (queries, keys) = (noise(seen.len() * width, seed), noise(length * width, seed / 3));
            let values = noise(length * width, seed / 7);
            let block = Block { queries: &queries, seen: &seen, keys: &keys, values: &values, width };
            let mut mixed = vec![f32::NAN; queries.len()];
            block.mix(Arch::new(), &mut mixed);
            for (row, made) in mixed.chunks_exact(width).enumerate() {
                for (made, expected) in made.iter().zip(plainly(&block, row)) {
                    prop_assert!((f64::from(*made) - expected).abs() < 2e-5, "{made} {expected}");
                }
                let own = Block { queries: &queries[row * width..][..width], seen: &seen[row..=row], ..block };
                let mut alone = vec![0.0; width];
                own.mix(Arch::new(), &mut alone);
                prop_assert_eq!(made, &alone[..]);
            }
        }
    }
}
