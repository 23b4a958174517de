//! Subsampling: two convolutions of 3 x 3 taps and stride 2 over time and frequency, so that four frames become one row.

use ndarray::{Array2, Array3, Axis};

use super::super::{Part, Weights, weights::matrix};
use crate::{
    base::{Fatal, LogMel},
    bundle::AudioConfig,
};

/// Taps along one axis.
const TAPS: usize = 3;

/// `[rows, hidden]` and which of them are valid.
pub fn subsample(weights: &Weights, config: &AudioConfig, clip: &LogMel) -> Result<(Array2<f32>, Vec<bool>), Fatal> {
    let mut x = clip.features.clone().insert_axis(Axis(2));
    let mut mask = clip.mask.clone();
    for (index, &channels) in config.channels.iter().enumerate() {
        let prefix = format!("audio_tower.subsample_conv_projection.layer{index}");
        silence(&mut x, &mask);
        x = convolve(weights, config, &prefix, &x, channels)?;
        mask = mask.into_iter().step_by(2).collect();
    }
    let (_, frequencies, channels) = x.dim();
    let flat = matrix(x.into_iter().collect(), frequencies * channels);
    let name = "audio_tower.subsample_conv_projection.input_proj_linear.weight";
    Ok((weights.linear(Part::AroundAudio, name, &flat, config.hidden_size)?, mask))
}

/// Padding counts as nothing.
fn silence(x: &mut Array3<f32>, mask: &[bool]) {
    x.outer_iter_mut().zip(mask).filter(|(_, valid)| !**valid).for_each(|(mut frame, _)| frame.fill(0.0));
}

/// `[time, frequency, channels]` to half the time and half the frequencies; normed over channels and cut off below 0.
fn convolve(
    weights: &Weights,
    config: &AudioConfig,
    prefix: &str,
    x: &Array3<f32>,
    channels: usize,
) -> Result<Array3<f32>, Fatal> {
    let (time, frequencies, inner) = x.dim();
    let name = format!("{prefix}.conv.weight");
    let kernel = weights.small(Part::AroundAudio, &name, &[channels, inner, TAPS, TAPS])?;
    let kernel = matrix(kernel, inner * TAPS * TAPS);
    let norm = weights.vector(&format!("{prefix}.norm.weight"), channels)?;
    let mut made = Array3::zeros((time.div_ceil(2), frequencies.div_ceil(2), channels));
    for (at, mut target) in made.outer_iter_mut().enumerate() {
        let sums = neighbourhoods(x, 2 * at).dot(&kernel.t());
        target.assign(&sums);
        target.rows_mut().into_iter().for_each(|mut row| {
            layer_norm(row.as_slice_mut().unwrap_or_default(), &norm, config.rms_norm_eps);
            row.mapv_inplace(|value| value.max(0.0));
        });
    }
    Ok(made)
}

/// What each frequency's taps cover around one frame: `[half the frequencies, channels * 9]`, 0 beyond the edges.
fn neighbourhoods(x: &Array3<f32>, frame: usize) -> Array2<f32> {
    let (_, frequencies, channels) = x.dim();
    let covered = Array3::from_shape_fn((frequencies.div_ceil(2), channels, TAPS * TAPS), |(at, channel, tap)| {
        let (time, frequency) = (frame + tap / TAPS, 2 * at + tap % TAPS);
        let inside = time.checked_sub(1).zip(frequency.checked_sub(1));
        inside.and_then(|(time, frequency)| x.get((time, frequency, channel))).copied().unwrap_or(0.0)
    });
    matrix(covered.into_iter().collect(), channels * TAPS * TAPS)
}

/// Mean 0 and variance 1, times a weight.
fn layer_norm(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let count = row.len().max(1) as f64;
    let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = row.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + f64::from(epsilon)).powf(-0.5);
    let normed = |value: f32| ((f64::from(value) - mean) * scale) as f32;
    row.iter_mut().zip(weight).for_each(|(value, weight)| *value = normed(*value) * weight);
}
