//! The two products of attention in the widest vectors: queries with keys, and weights with values. What comes out for a
//! row is the same whatever rows it is computed with.

use pulp::{Simd, WithSimd};

/// Rows, and keys or vectors, that are kept in registers together.
const TILE: usize = 4;

/// `scores[row * stride + key] = queries[row] . keys[key]`.
pub(super) struct Scores<'a> {
    /// `[rows, width]`.
    pub(super) queries: &'a [f32],
    /// `[keys, width]`.
    pub(super) keys: &'a [f32],
    pub(super) width: usize,
    /// `[rows, stride]`.
    pub(super) scores: &'a mut [f32],
    pub(super) stride: usize,
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { queries, keys, width, scores, stride } = self;
        let (mut queries, mut scores) = (queries, scores);
        while !queries.is_empty() {
            let rows = if queries.len() >= TILE * width { TILE } else { 1 };
            let (now, later) = queries.split_at(rows * width);
            let (made, rest) = scores.split_at_mut((rows * stride).min(scores.len()));
            match rows {
                TILE => some_rows::<S, TILE>(simd, [now, keys], width, made, stride),
                _ => some_rows::<S, 1>(simd, [now, keys], width, made, stride),
            }
            (queries, scores) = (later, rest);
        }
    }
}

#[inline(always)]
fn some_rows<S: Simd, const R: usize>(
    simd: S,
    [queries, keys]: [&[f32]; 2],
    width: usize,
    scores: &mut [f32],
    stride: usize,
) {
    let rows: [&[f32]; R] = std::array::from_fn(|row| &queries[row * width..(row + 1) * width]);
    let count = keys.len() / width;
    let mut key = 0;
    while key < count {
        if key + TILE <= count {
            let these: [&[f32]; TILE] =
                std::array::from_fn(|next| &keys[(key + next) * width..(key + next + 1) * width]);
            write::<R, TILE>(scores, stride, key, &dots(simd, rows, these));
            key += TILE;
        } else {
            write::<R, 1>(scores, stride, key, &dots(simd, rows, [&keys[key * width..(key + 1) * width]]));
            key += 1;
        }
    }
}

#[inline(always)]
fn write<const R: usize, const K: usize>(scores: &mut [f32], stride: usize, key: usize, made: &[[f32; K]; R]) {
    for (row, made) in made.iter().enumerate() {
        scores[row * stride + key..row * stride + key + K].copy_from_slice(made);
    }
}

#[inline(always)]
fn dots<S: Simd, const R: usize, const K: usize>(simd: S, rows: [&[f32]; R], keys: [&[f32]; K]) -> [[f32; K]; R] {
    let rows = rows.map(|row| S::as_simd_f32s(row));
    let keys = keys.map(|key| S::as_simd_f32s(key));
    let count = rows[0].0.len();
    let (heads, key_heads) = (rows.map(|row| &row.0[..count]), keys.map(|key| &key.0[..count]));
    let mut sums = [[simd.splat_f32s(0.0); K]; R];
    for place in 0..count {
        for (sums, row) in sums.iter_mut().zip(&heads) {
            for (sum, key) in sums.iter_mut().zip(&key_heads) {
                *sum = simd.mul_add_f32s(row[place], key[place], *sum);
            }
        }
    }
    let rest = |row: &[f32], key: &[f32]| row.iter().zip(key).map(|(a, b)| a * b).sum::<f32>();
    std::array::from_fn(|row| {
        std::array::from_fn(|key| simd.reduce_sum_f32s(sums[row][key]) + rest(rows[row].1, keys[key].1))
    })
}

/// `sums[row] += weights[row] * values`, over all keys.
pub(super) struct Sums<'a> {
    /// What is added up.
    pub(super) terms: Terms<'a>,
    /// `[rows, width]`.
    pub(super) sums: &'a mut [f32],
}

/// Values with the weight that each row gives them.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// `weights[row * stride + key]`.
    pub(super) weights: &'a [f32],
    pub(super) stride: usize,
    /// `[keys, width]`.
    pub(super) values: &'a [f32],
    pub(super) width: usize,
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { terms, sums } = self;
        let rows = sums.len() / terms.width;
        let mut row = 0;
        while row < rows {
            let together = if row + TILE <= rows { TILE } else { 1 };
            let sums = &mut sums[row * terms.width..(row + together) * terms.width];
            let terms = Terms { weights: &terms.weights[row * terms.stride..], ..terms };
            match together {
                TILE => terms.add::<S, TILE>(simd, sums),
                _ => terms.add::<S, 1>(simd, sums),
            }
            row += together;
        }
    }
}

impl<'a> Terms<'a> {
    fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The weights of the keys in one row.
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f32] {
        &self.weights[row * self.stride..row * self.stride + self.count()]
    }

    #[inline(always)]
    fn add<S: Simd, const R: usize>(self, simd: S, sums: &mut [f32]) {
        let vectors = self.width / S::F32_LANES;
        let mut first = 0;
        while first < vectors {
            if first + TILE <= vectors {
                self.add_columns::<S, R, TILE>(simd, sums, first * S::F32_LANES);
                first += TILE;
            } else {
                self.add_columns::<S, R, 1>(simd, sums, first * S::F32_LANES);
                first += 1;
            }
        }
        for column in vectors * S::F32_LANES..self.width {
            for row in 0..R {
                let values = self.values[column..].iter().step_by(self.width);
                sums[row * self.width + column] += self.row(row).iter().zip(values).map(|(a, b)| a * b).sum::<f32>();
            }
        }
    }

    /// `C` vectors of each row, from column `start` on.
    #[inline(always)]
    fn add_columns<S: Simd, const R: usize, const C: usize>(self, simd: S, sums: &mut [f32], start: usize) {
        let columns = start..start + C * S::F32_LANES;
        let mut made = [[simd.splat_f32s(0.0); C]; R];
        for (made, sums) in made.iter_mut().zip(sums.chunks_exact(self.width)) {
            made.copy_from_slice(S::as_simd_f32s(&sums[columns.clone()]).0);
        }
        let weights: [&[f32]; R] = std::array::from_fn(|row| self.row(row));
        for (key, value) in self.values.chunks_exact(self.width).enumerate() {
            let value = S::as_simd_f32s(&value[columns.clone()]).0;
            for (made, weights) in made.iter_mut().zip(&weights) {
                let weight = simd.splat_f32s(weights[key]);
                for (sum, value) in made.iter_mut().zip(value) {
                    *sum = simd.mul_add_f32s(weight, *value, *sum);
                }
            }
        }
        for (made, sums) in made.iter().zip(sums.chunks_exact_mut(self.width)) {
            S::as_mut_simd_f32s(&mut sums[columns.clone()]).0.copy_from_slice(made);
        }
    }
}
