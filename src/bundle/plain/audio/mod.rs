//! The audio encoder: log-mel frames of clips of any lengths in, one row of features for each valid soft token out.

mod attention;
mod conformer;
mod subsampling;

use std::ops::Range;

use ndarray::{Array2, Axis, concatenate};

use super::{Part, Weights, elementary::rms_norm, unfit};
use crate::{
    base::{Fatal, LogMel},
    bundle::{AudioConfig, Config},
};

/// Mel bins of a frame.
const BINS: usize = 128;

/// All clips after subsampling, one below the other.
struct Clips {
    /// Where each clip's rows lie.
    spans: Vec<Range<usize>>,
    /// Which rows are sound and not padding.
    valid: Vec<bool>,
}

/// `[soft tokens of all clips, hidden]`.
pub fn features(weights: &Weights, config: &Config, clips: &[LogMel]) -> Result<Array2<f32>, Fatal> {
    let width = config.text.hidden_size;
    let audio = match &config.audio {
        _ if clips.is_empty() => return Ok(Array2::zeros((0, width))),
        Some(audio) => audio,
        None => return Err(unfit("the prompt holds sound, the model has no audio encoder")),
    };
    clips.iter().try_for_each(check)?;
    let (mut x, clips) = subsampled(weights, audio, clips)?;
    for index in 0..audio.layers {
        x = conformer::block(weights, audio, index, x, &clips)?;
    }
    let kept: Vec<usize> = (0..x.nrows()).filter(|&row| clips.valid[row]).collect();
    let projected = output(weights, audio, &x.select(Axis(0), &kept))?;
    let normed = rms_norm(&projected, None, audio.rms_norm_eps);
    weights.linear(Part::AroundAudio, "embed_audio.embedding_projection.weight", &normed, width)
}

fn check(clip: &LogMel) -> Result<(), Fatal> {
    let [frames, bins] = [clip.features.nrows(), clip.features.ncols()];
    if frames > 0 && bins == BINS && clip.mask.len() == frames {
        return Ok(());
    }
    Err(unfit(format!("a clip has {frames} frames of {bins} bins and a mask of {}", clip.mask.len())))
}

fn subsampled(weights: &Weights, config: &AudioConfig, clips: &[LogMel]) -> Result<(Array2<f32>, Clips), Fatal> {
    let (mut parts, mut spans, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for clip in clips {
        let (x, mask) = subsampling::subsample(weights, config, clip)?;
        spans.push(valid.len()..valid.len() + x.nrows());
        valid.extend(mask);
        parts.push(x);
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    let x = concatenate(Axis(0), &views).map_err(|error| unfit(format!("clips do not fit together: {error}")))?;
    Ok((x, Clips { spans, valid }))
}

/// The only map with a bias.
fn output(weights: &Weights, config: &AudioConfig, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
    let bias = weights.vector("audio_tower.output_proj.bias", config.output_size)?;
    let made = weights.linear(Part::AroundAudio, "audio_tower.output_proj.weight", x, config.output_size)?;
    Ok(made + ndarray::Array1::from(bias))
}
