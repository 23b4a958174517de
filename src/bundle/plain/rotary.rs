//! Rotary positions: pairs of a head's values, half the head apart, are turned by an angle that grows with the place.

use ndarray::Array2;

/// Cosines and sines, `[places, half the width]`.
pub struct Angles {
    cos: Array2<f32>,
    sin: Array2<f32>,
}

impl Angles {
    /// Pair `j` at a place is turned by `place * frequencies[j]`; the product is taken in f32, as transformers does.
    pub fn new(places: &[f32], frequencies: &[f32]) -> Self {
        let angle = |(row, pair): (usize, usize)| f64::from(places[row] * frequencies[pair]);
        let shape = (places.len(), frequencies.len());
        Self {
            cos: Array2::from_shape_fn(shape, |at| angle(at).cos() as f32),
            sin: Array2::from_shape_fn(shape, |at| angle(at).sin() as f32),
        }
    }

    /// Turns one head, or the part of it that these angles are for, at place number `row`.
    pub fn turn(&self, row: usize, head: &mut [f32]) {
        let (first, second) = head.split_at_mut(head.len() / 2);
        let angles = self.cos.row(row).into_iter().zip(self.sin.row(row));
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
            (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
        }
    }

    /// Turns every head of `x`, `[places, heads * width]`.
    pub fn turn_all(&self, x: &mut Array2<f32>, width: usize) {
        for (row, mut values) in x.rows_mut().into_iter().enumerate() {
            if let Some(values) = values.as_slice_mut() {
                values.chunks_exact_mut(width).for_each(|head| self.turn(row, head));
            }
        }
    }
}

/// Frequencies `theta^(-2j / width)` of the first `count` pairs; the rest of the `width / 2` pairs stand still.
pub fn frequencies(theta: f64, width: usize, count: usize) -> Vec<f32> {
    let frequency = |pair: usize| theta.powf(-2.0 * pair as f64 / width as f64) as f32;
    (0..width / 2).map(|pair| if pair < count { frequency(pair) } else { 0.0 }).collect()
}
