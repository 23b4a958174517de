//! Patches and their places: checked, projected, and given the embeddings of their column and row.

use ndarray::{Array2, Axis, concatenate};

use super::super::{Part, Weights, unfit};
use crate::{
    base::{Fatal, ImagePatches},
    bundle::VisionConfig,
};

/// Patches must fill a grid of soft tokens whose places the position table knows.
pub fn check(config: &VisionConfig, picture: &ImagePatches) -> Result<(), Fatal> {
    let (patches, pooled) = (picture.pixels.nrows(), config.pooling * config.pooling);
    let side = |axis: usize| picture.positions.column(axis).iter().max().map_or(0, |&most| most.max(0) as usize + 1);
    let known = |&place: &i64| (0..config.positions as i64).contains(&place);
    let channels = 3 * config.patch_size * config.patch_size;
    let whole = picture.pixels.ncols() == channels
        && picture.positions.dim() == (patches, 2)
        && picture.positions.iter().all(known)
        && picture.soft_tokens * pooled == patches
        && [0, 1].iter().all(|&axis| side(axis).is_multiple_of(config.pooling))
        && side(0) * side(1) == patches;
    if whole {
        return Ok(());
    }
    Err(unfit(format!(
        "a picture of {patches} patches of {channels} values is not a grid of {} soft tokens",
        picture.soft_tokens
    )))
}

/// `[patches of all pictures, hidden]`.
pub fn embed(weights: &Weights, config: &VisionConfig, pictures: &[ImagePatches]) -> Result<Array2<f32>, Fatal> {
    let pixels: Vec<_> = pictures.iter().map(|picture| picture.pixels.view()).collect();
    let pixels =
        concatenate(Axis(0), &pixels).map_err(|error| unfit(format!("pictures do not fit together: {error}")))?;
    let centred = pixels.mapv(|value| 2.0 * (value - 0.5));
    let name = "vision_tower.patch_embedder.input_proj.weight";
    let mut x = weights.linear(Part::AroundVision, name, &centred, config.hidden_size)?;
    let shape = [2, config.positions, config.hidden_size];
    let table = weights.small(Part::AroundVision, "vision_tower.patch_embedder.position_embedding_table", &shape)?;
    let places = pictures.iter().flat_map(|picture| picture.positions.rows());
    for (mut row, place) in x.rows_mut().into_iter().zip(places) {
        for (axis, &at) in place.iter().enumerate() {
            let from = (axis * config.positions + at as usize) * config.hidden_size;
            row.iter_mut().zip(&table[from..]).for_each(|(value, embedding)| *value += embedding);
        }
    }
    Ok(x)
}
