//! The vision encoder: patches of pictures of any shapes in, one row of features for each soft token out.

mod layer;
mod patches;
mod pooling;

use std::ops::Range;

use ndarray::{Array2, Axis, concatenate};

use super::{Part, Weights, elementary::rms_norm, unfit};
use crate::{
    base::{Fatal, ImagePatches},
    bundle::{Config, VisionConfig},
};

/// `[soft tokens of all pictures, hidden]`.
pub fn features(weights: &Weights, config: &Config, pictures: &[ImagePatches]) -> Result<Array2<f32>, Fatal> {
    let width = config.text.hidden_size;
    let vision = match &config.vision {
        _ if pictures.is_empty() => return Ok(Array2::zeros((0, width))),
        Some(vision) => vision,
        None => return Err(unfit("the prompt holds pictures, the model has no vision encoder")),
    };
    pictures.iter().try_for_each(|picture| patches::check(vision, picture))?;
    let mut x = patches::embed(weights, vision, pictures)?;
    let frame = layer::Frame::new(vision, pictures);
    for index in 0..vision.layers {
        x = layer::layer(weights, vision, index, x, &frame)?;
    }
    let pooled = pool(vision, pictures, &x)?;
    let standard = standardize(weights, vision, pooled)?;
    let normed = rms_norm(&standard, None, vision.rms_norm_eps);
    weights.linear(Part::AroundVision, "embed_vision.embedding_projection.weight", &normed, width)
}

/// Where each picture's patches lie among those of all.
fn spans(pictures: &[ImagePatches]) -> Vec<Range<usize>> {
    let ends = pictures.iter().scan(0, |end, picture| {
        let start = *end;
        *end += picture.pixels.nrows();
        Some(start..*end)
    });
    ends.collect()
}

fn pool(config: &VisionConfig, pictures: &[ImagePatches], x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
    let pooled: Vec<Array2<f32>> = pictures
        .iter()
        .zip(spans(pictures))
        .map(|(picture, span)| pooling::pool(config, picture, x.slice(ndarray::s![span, ..])))
        .collect();
    let views: Vec<_> = pooled.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views).map_err(|error| unfit(format!("pictures cannot be pooled: {error}")))
}

/// `(x - std_bias) * std_scale`, in the large towers.
fn standardize(weights: &Weights, config: &VisionConfig, mut x: Array2<f32>) -> Result<Array2<f32>, Fatal> {
    if !config.standardized {
        return Ok(x);
    }
    let bias = weights.vector("vision_tower.std_bias", config.hidden_size)?;
    let scale = weights.vector("vision_tower.std_scale", config.hidden_size)?;
    for mut row in x.rows_mut() {
        row.iter_mut().zip(bias.iter().zip(&scale)).for_each(|(value, (bias, scale))| *value = (*value - bias) * scale);
    }
    Ok(x)
}
