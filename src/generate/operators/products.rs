//! The two products of attention in the widest vectors. Rows of queries lie side by side ("lanes"), so that scores,
//! softmax and weights need no sums across a vector; what comes out for a row is the same whatever rows it is computed
//! with.

use pulp::{Simd, WithSimd};

/// Keys whose scores are kept in registers together.
const KEYS: usize = 8;

/// Rows, and vectors of a row, whose sums are kept in registers together.
const TILE: usize = 4;

/// Columns that are visited without looking for an end.
const STRIDE: usize = 8;

/// `scores[key][lane] = queries[..][lane] . keys[key][..]`.
pub(super) struct Scores<'a> {
    /// What is multiplied.
    pub(super) factors: Factors<'a>,
    /// `[keys, lanes]`.
    pub(super) scores: &'a mut [f32],
}

/// Queries and keys.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// `[width, lanes]`.
    pub(super) queries: &'a [f32],
    /// A multiple of what a vector holds.
    pub(super) lanes: usize,
    /// `[keys, width]`.
    pub(super) keys: &'a [f32],
    pub(super) width: usize,
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { factors, scores } = self;
        let (mut lane, end) = (0, factors.lanes);
        while lane < end {
            if lane + 2 * S::F32_LANES <= end {
                factors.multiply::<S, 2>(simd, scores, lane);
                lane += 2 * S::F32_LANES;
            } else {
                factors.multiply::<S, 1>(simd, scores, lane);
                lane += S::F32_LANES;
            }
        }
    }
}

impl<'a> Factors<'a> {
    #[inline(always)]
    fn key(&self, key: usize) -> &'a [f32] {
        &self.keys[key * self.width..(key + 1) * self.width]
    }

    /// The scores of `V` vectors of lanes, from `lane` on.
    #[inline(always)]
    fn multiply<S: Simd, const V: usize>(self, simd: S, scores: &mut [f32], lane: usize) {
        let count = self.keys.len() / self.width;
        let mut key = 0;
        while key < count {
            let rest = &mut scores[key * self.lanes..];
            if key + KEYS <= count {
                let keys: [&[f32]; KEYS] = std::array::from_fn(|next| self.key(key + next));
                self.dots::<S, V, KEYS>(simd, keys, rest, lane);
                key += KEYS;
            } else {
                self.dots::<S, V, 1>(simd, [self.key(key)], rest, lane);
                key += 1;
            }
        }
    }

    /// The same for `K` keys.
    #[inline(always)]
    fn dots<S: Simd, const V: usize, const K: usize>(
        self,
        simd: S,
        keys: [&[f32]; K],
        scores: &mut [f32],
        lane: usize,
    ) {
        let lanes = lane..lane + V * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; K];
        let mut queries = self.queries.chunks_exact(self.lanes);
        let parts = keys.map(|key| key.as_chunks::<STRIDE>().0);
        for place in 0..parts[0].len() {
            let parts: [&[f32; STRIDE]; K] = parts.map(|parts| &parts[place]);
            for (column, row) in (0..STRIDE).zip(&mut queries) {
                add::<S, V, K>(simd, &mut sums, |key| parts[key][column], &row[lanes.clone()]);
            }
        }
        let done = parts[0].len() * STRIDE;
        for (column, row) in (done..self.width).zip(queries) {
            add::<S, V, K>(simd, &mut sums, |key| keys[key][column], &row[lanes.clone()]);
        }
        for (scores, sums) in scores.chunks_exact_mut(self.lanes).zip(&sums) {
            S::as_mut_simd_f32s(&mut scores[lanes.clone()]).0.copy_from_slice(sums);
        }
    }
}

/// `sums[row] += weight(row) * values`.
#[inline(always)]
fn add<S: Simd, const V: usize, const R: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    weight: impl Fn(usize) -> f32,
    values: &[f32],
) {
    let Some(values) = S::as_simd_f32s(values).0.first_chunk::<V>() else { return };
    for (row, sums) in sums.iter_mut().enumerate() {
        let weight = simd.splat_f32s(weight(row));
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = simd.mul_add_f32s(weight, *value, *sum);
        }
    }
}

/// `sums[row] += weights[..][row] * values[..]`, over all keys.
pub(super) struct Sums<'a> {
    /// What is added up.
    pub(super) terms: Terms<'a>,
    /// `[rows, width]`.
    pub(super) sums: &'a mut [f32],
}

/// Values with the weight that each row gives them.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// `[keys, lanes]`.
    pub(super) weights: &'a [f32],
    pub(super) lanes: usize,
    /// `[keys, width]`.
    pub(super) values: &'a [f32],
    pub(super) width: usize,
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { terms, sums } = self;
        for (tile, sums) in sums.chunks_mut(TILE * terms.width).enumerate() {
            let row = tile * TILE;
            if sums.len() == TILE * terms.width {
                terms.add::<S, TILE>(simd, row, sums);
            } else {
                let rows = sums.chunks_exact_mut(terms.width).enumerate();
                rows.for_each(|(next, sums)| terms.add::<S, 1>(simd, row + next, sums));
            }
        }
    }
}

impl Terms<'_> {
    /// `R` rows, from `row` on.
    #[inline(always)]
    fn add<S: Simd, const R: usize>(self, simd: S, row: usize, sums: &mut [f32]) {
        let end = self.width / S::F32_LANES * S::F32_LANES;
        let mut column = 0;
        while column < end {
            if column + TILE * S::F32_LANES <= end {
                self.add_columns::<S, R, TILE>(simd, row, sums, column);
                column += TILE * S::F32_LANES;
            } else {
                self.add_columns::<S, R, 1>(simd, row, sums, column);
                column += S::F32_LANES;
            }
        }
        for column in end..self.width {
            for (next, sums) in sums.chunks_exact_mut(self.width).enumerate() {
                let weights = self.weights[row + next..].iter().step_by(self.lanes);
                let values = self.values[column..].iter().step_by(self.width);
                sums[column] += weights.zip(values).map(|(a, b)| a * b).sum::<f32>();
            }
        }
    }

    /// `C` vectors of each row, from `column` on.
    #[inline(always)]
    fn add_columns<S: Simd, const R: usize, const C: usize>(
        self,
        simd: S,
        row: usize,
        sums: &mut [f32],
        column: usize,
    ) {
        let columns = column..column + C * S::F32_LANES;
        let mut made = [[simd.splat_f32s(0.0); C]; R];
        for (made, sums) in made.iter_mut().zip(sums.chunks_exact(self.width)) {
            made.copy_from_slice(S::as_simd_f32s(&sums[columns.clone()]).0);
        }
        for (value, weights) in self.values.chunks_exact(self.width).zip(self.weights.chunks_exact(self.lanes)) {
            let Some(weights) = weights[row..].first_chunk::<R>() else { return };
            add::<S, C, R>(simd, &mut made, |row| weights[row], &value[columns.clone()]);
        }
        for (made, sums) in made.iter().zip(sums.chunks_exact_mut(self.width)) {
            S::as_mut_simd_f32s(&mut sums[columns.clone()]).0.copy_from_slice(made);
        }
    }
}
