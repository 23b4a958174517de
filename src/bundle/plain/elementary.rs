//! The functions of one value or one row that all parts of the model use, in f32.

use ndarray::Array2;

/// `x / sqrt(mean(x^2) + epsilon) * weight` in every row.
pub fn rms_norm(x: &Array2<f32>, weight: Option<&[f32]>, epsilon: f32) -> Array2<f32> {
    let mut normed = x.clone();
    for mut row in normed.rows_mut() {
        let squares: f64 = row.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let scale = (squares / row.len().max(1) as f64 + f64::from(epsilon)).powf(-0.5) as f32;
        row.iter_mut().for_each(|value| *value *= scale);
        if let Some(weight) = weight {
            row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= weight);
        }
    }
    normed
}

/// Turns scores into shares that sum to 1.
pub fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
    scores.iter_mut().for_each(|score| *score = (f64::from(*score) / sum) as f32);
}

/// The Gaussian error linear unit in its approximation by tanh.
pub fn gelu_tanh(x: f32) -> f32 {
    let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `x * sigmoid(x)`.
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// `ln(1 + e^x)`, which is `x` where `e^x` would be too large.
pub fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// `cap * tanh(x / cap)`.
pub fn softcap(x: f32, cap: f32) -> f32 {
    cap * (x / cap).tanh()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch 2.15: `F.gelu(x, approximate="tanh")`, `F.silu`, `F.softplus` of 1.5.
    #[test]
    fn functions_have_the_values_of_torch() {
        for (mine, torch) in [(gelu_tanh(1.5), 1.399_571_5), (silu(1.5), 1.226_361_6), (softplus(1.5), 1.701_413_3)] {
            assert!((mine - torch).abs() < 1e-6, "{mine} is not {torch}");
        }
    }

    #[test]
    fn a_row_of_equal_scores_is_shared_evenly_whatever_their_size() {
        let mut scores = [1e30, 1e30, 1e30, 1e30];
        softmax(&mut scores);
        assert_eq!(scores, [0.25; 4]);
    }
}
