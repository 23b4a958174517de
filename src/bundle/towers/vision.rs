//! `vision_encoder.onnx`: patches of several pictures in, soft tokens of all pictures out.
//!
//! | | | |
//! |---|---|---|
//! | in | `pixel_values` | f32 `[images, patches, 768]` in [0, 1] |
//! | in | `pixel_position_ids` | i64 `[images, patches, 2]`: column and row, -1 for padding |
//! | out | `image_features` | f32 `[tokens, hidden]`, picture by picture, row by row |
//!
//! Pictures of different shapes share a call by padding to the same number of patches. A padding patch is seen by
//! no other patch and leaves no token, so a picture's tokens do not depend on what it shares the call with.

use super::{
    mask::Mask,
    patches::Patches,
    pooling,
    rotary::Rotary,
    tower::{Tower, widths},
    vision_layer::Layer,
};
use crate::{
    base::Fatal,
    bundle::{Checkpoint, Config, Part, Precision, VisionConfig, graph::Value, output::Output, quantize::Losses},
};

/// The name of the graph and of its files.
pub const NAME: &str = "vision_encoder";

/// Writes `vision_encoder.onnx` and `vision_encoder.onnx_data`. Returns what quantisation cost.
///
/// # Errors
/// The model has no vision encoder, a tensor is missing or has another shape, or `output` cannot be written.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, output: &Output) -> Result<Losses, Fatal> {
    let Some(facts) = &config.vision else {
        return Err(Fatal::new("this model has no vision encoder", "its config.json has no `vision_config`"));
    };
    let stored = (Part::Vision, precision);
    let mut tower = Tower::begin(NAME, checkpoint, stored, facts.clipped_linears.into(), output)?;
    let patches = Patches::declare(&mut tower.graph, facts);
    let rotary = Rotary::of(&mut tower.graph, &patches, facts);
    let mask = Mask::of(&mut tower.graph, &patches, facts);
    let mut hidden = patches.embed(&mut tower, facts)?;
    for index in 0..facts.layers {
        hidden = Layer::new(facts, index).add(&mut tower, &hidden, &mask, &rotary)?;
    }
    tower.graph.set_scope("pooling");
    let pooled = pooling::pool(&mut tower.graph, &patches, &hidden, facts);
    let pooled = standardized(&mut tower, &pooled, facts)?;
    let size = widths(facts.hidden_size, config.text.hidden_size);
    let features = tower.project(&pooled, "embed_vision", size, facts.rms_norm_eps)?;
    tower.finish(&features, "image_features", size.output)
}

/// `(x - bias) * scale` where the model has both.
fn standardized(tower: &mut Tower, x: &Value, facts: &VisionConfig) -> Result<Value, Fatal> {
    if !facts.standardized {
        return Ok(x.clone());
    }
    let bias = tower.vector("vision_tower.std_bias", &[facts.hidden_size])?;
    let scale = tower.vector("vision_tower.std_scale", &[facts.hidden_size])?;
    let centred = tower.graph.sub(x, &bias);
    Ok(tower.graph.mul(&centred, &scale))
}
