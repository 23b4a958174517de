//! What some rows of queries make of the keys and values of one head of one slot: softmax of their products, tile by tile
//! of keys, so that no row of scores is ever held whole (Milakov and Gimelshein 2018, "Online normalizer calculation for
//! softmax"; Dao et al. 2022, "FlashAttention").

use std::ops::Range;

use pulp::Arch;

use super::{
    course::{Course, LANES},
    kept::Kept,
    products::{Factors, Scores, Sums, Terms},
};

/// Keys of one tile. Tiles begin at multiples of it, so that a row's sums are the same whatever rows it is computed with;
/// and buffers lose whole tiles at their front, so that they are the same wherever a prompt was cut.
pub(in crate::generate) const TILE: usize = 64;

/// Rows of queries over the keys and values of one head.
pub(super) struct Block<'a, K> {
    /// `[rows, width]`.
    pub(super) queries: &'a [f32],
    /// The places that each row sees; never none.
    pub(super) seen: &'a [Range<usize>],
    /// `[length, width]`.
    pub(super) keys: &'a [K],
    /// `[length, width]`.
    pub(super) values: &'a [K],
    pub(super) width: usize,
}

impl<K: Kept> Block<'_, K> {
    /// Writes `[rows, width]`.
    pub(super) fn mix(&self, arch: Arch, mixed: &mut [f32]) {
        let (all, width) = (self.all_seen(), self.width);
        let lanes = self.seen.len().next_multiple_of(LANES);
        let queries = self.in_lanes(lanes);
        let mut course = Course::new(self.seen, lanes);
        let mut scores = vec![0.0; TILE * lanes];
        let mut widened = [Vec::new(), Vec::new()];
        mixed.fill(0.0);
        for tile in (all.start / TILE * TILE..all.end).step_by(TILE) {
            let part = tile.max(all.start)..(tile + TILE).min(all.end);
            let scores = &mut scores[..part.len() * lanes];
            let places = part.start * width..part.end * width;
            let [keys, values] = &mut widened;
            let keys = K::widened(&self.keys[places.clone()], keys);
            let values = K::widened(&self.values[places], values);
            let factors = Factors { queries: &queries, lanes, keys, width };
            arch.dispatch(Scores { factors, scores: &mut *scores });
            course.go_on(arch, scores, part.start);
            course.scale_down(arch, mixed, width);
            let terms = Terms { weights: scores, lanes, values, width };
            arch.dispatch(Sums { terms, sums: &mut *mixed });
        }
        course.divide(arch, mixed, width);
    }

    /// From the first to the last place that any row sees.
    fn all_seen(&self) -> Range<usize> {
        let start = self.seen.iter().map(|seen| seen.start).min().unwrap_or(0);
        start..self.seen.iter().map(|seen| seen.end).max().unwrap_or(0)
    }

    /// The queries as `[width, lanes]`, 0 beyond the last row.
    fn in_lanes(&self, lanes: usize) -> Vec<f32> {
        let mut turned = vec![0.0; self.width * lanes];
        for (lane, row) in self.queries.chunks_exact(self.width).enumerate() {
            let places = turned[lane..].iter_mut().step_by(lanes);
            places.zip(row).for_each(|(place, value)| *place = *value);
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;

    /// In f64 and in one pass.
    fn plainly(block: &Block<f32>, row: usize) -> Vec<f64> {
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
            let (mut queries, keys) = (noise(seen.len() * width, seed), noise(length * width, seed / 3));
            // Scores of size 1: f32 knows one of size 100 to 1e-5 only, and so its weight.
            queries.iter_mut().for_each(|value| *value /= (width as f32).sqrt());
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
            let halves = |values: &[f32]| values.iter().map(|value| f16::from_f32(*value)).collect::<Vec<f16>>();
            let singles = |values: &[f16]| values.iter().map(|value| value.to_f32()).collect::<Vec<f32>>();
            let (keys, values) = (halves(&keys), halves(&values));
            let (wide_keys, wide_values) = (singles(&keys), singles(&values));
            let narrow = Block { queries: &queries, seen: &seen, keys: &keys, values: &values, width };
            let wide = Block { keys: &wide_keys, values: &wide_values, ..block };
            let mut of_wide = mixed.clone();
            narrow.mix(Arch::new(), &mut mixed);
            wide.mix(Arch::new(), &mut of_wide);
            prop_assert_eq!(mixed, of_wide, "what is kept in 16 bits is read as it is");
        }
    }
}
