//! Attention at scale 1: every query sees one unbroken range of keys.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::elementary::softmax;

/// Queries whose scores are held at once.
const QUERIES: usize = 64;

/// Keys and values of all places, `[places, heads * width]`, normed and turned.
pub struct KeysValues {
    pub keys: Array2<f32>,
    pub values: Array2<f32>,
}

/// `[queries, heads * width]` in and out. Query `row` sees the keys of `seen(row)`; neighbouring query heads share a
/// head of keys and values where there are fewer of these.
pub fn attend(
    queries: &Array2<f32>,
    keys_values: &KeysValues,
    width: usize,
    seen: impl Fn(usize) -> Range<usize> + Sync,
) -> Array2<f32> {
    let mut mixed = Array2::zeros(queries.dim());
    let shared = queries.ncols() / keys_values.keys.ncols().max(1);
    let heads: Vec<_> = mixed.axis_chunks_iter_mut(Axis(1), width).enumerate().collect();
    heads.into_par_iter().for_each(|(head, mut target)| {
        let columns = |head: usize| s![.., head * width..(head + 1) * width];
        let (keys, values) =
            (keys_values.keys.slice(columns(head / shared)), keys_values.values.slice(columns(head / shared)));
        attend_head(queries.slice(columns(head)), keys, values, &mut target, &seen);
    });
    mixed
}

fn attend_head(
    queries: ArrayView2<f32>,
    keys: ArrayView2<f32>,
    values: ArrayView2<f32>,
    target: &mut ArrayViewMut2<f32>,
    seen: &(impl Fn(usize) -> Range<usize> + Sync),
) {
    for first in (0..queries.nrows()).step_by(QUERIES) {
        let last = queries.nrows().min(first + QUERIES);
        let ranges: Vec<Range<usize>> = (first..last).map(seen).collect();
        let from = ranges.iter().map(|range| range.start).min().unwrap_or(0);
        let to = ranges.iter().map(|range| range.end).max().unwrap_or(from);
        let mut shares = queries.slice(s![first..last, ..]).dot(&keys.slice(s![from..to, ..]).t());
        for (mut row, range) in shares.rows_mut().into_iter().zip(&ranges) {
            share_out(row.as_slice_mut().unwrap_or_default(), range.start - from..range.end - from);
        }
        target.slice_mut(s![first..last, ..]).assign(&shares.dot(&values.slice(s![from..to, ..])));
    }
}

/// Softmax over what is seen, nothing for the rest.
fn share_out(scores: &mut [f32], seen: Range<usize>) {
    softmax(&mut scores[seen.clone()]);
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
}
