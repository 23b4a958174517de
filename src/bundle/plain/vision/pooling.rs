//! Pooling: the mean of the patches of one soft token, times the root of the width.

use ndarray::{Array2, ArrayView2};

use crate::{base::ImagePatches, bundle::VisionConfig};

/// `[patches, hidden]` of one picture to `[soft tokens, hidden]`, row by row of the grid of soft tokens.
pub fn pool(config: &VisionConfig, picture: &ImagePatches, x: ArrayView2<f32>) -> Array2<f32> {
    let side = config.pooling;
    let columns = picture.positions.column(0).iter().max().map_or(0, |&most| most as usize + 1) / side;
    let mut pooled = Array2::<f32>::zeros((picture.soft_tokens, config.hidden_size));
    for (place, patch) in picture.positions.rows().into_iter().zip(x.rows()) {
        let token = place[0] as usize / side + columns * (place[1] as usize / side);
        let mut sum = pooled.row_mut(token);
        sum += &patch;
    }
    let scale = (config.hidden_size as f32).sqrt();
    pooled.mapv(|sum| sum / (side * side) as f32 * scale)
}
