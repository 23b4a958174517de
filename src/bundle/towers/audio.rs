//! `audio_encoder.onnx`: log-mel frames of several clips in, soft tokens of all clips out.
//!
//! | | | |
//! |---|---|---|
//! | in | `input_features` | f32 `[clips, frames, 128]` |
//! | in | `input_features_mask` | bool `[clips, frames]`: false for padding |
//! | out | `audio_features` | f32 `[tokens, hidden]`, clip by clip; a quarter of the frames, rounded up |
//!
//! Clips of different lengths share a call by padding at their ends. What stands in padded frames reaches no token,
//! so a clip's tokens do not depend on what it shares the call with.

use super::{
    conformer::Block,
    local_attention::Window,
    subsampling::{self, Frames},
    tower::{Tower, widths},
};
use crate::{
    base::Fatal,
    bundle::{
        AudioConfig, Checkpoint, Config, Part, Precision,
        graph::{Attribute, Value},
        output::Output,
        quantize::Losses,
    },
};

/// The name of the graph and of its files.
pub const NAME: &str = "audio_encoder";

/// Writes `audio_encoder.onnx` and `audio_encoder.onnx_data`. Returns what quantisation cost.
///
/// # Errors
/// The model has no audio encoder, a tensor is missing or has another shape, or `output` cannot be written.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, output: &Output) -> Result<Losses, Fatal> {
    let Some(facts) = &config.audio else {
        return Err(Fatal::new("this model has no audio encoder", "its config.json has no `audio_config`"));
    };
    let stored = (Part::Audio, precision);
    let mut tower = Tower::begin(NAME, checkpoint, stored, facts.clipped_linears.into(), output)?;
    let frames = subsampling::add(&mut tower, facts)?;
    let window = Window::of(&mut tower.graph, &frames, facts);
    let mut hidden = frames.hidden.clone();
    for index in 0..facts.layers {
        hidden = Block::new(facts, index).add(&mut tower, &hidden, &window)?;
    }
    tower.graph.set_scope("output");
    let kept = keep_present(&mut tower, &hidden, &frames, facts);
    let projected = projected(&mut tower, &kept, facts)?;
    let size = widths(facts.output_size, config.text.hidden_size);
    let features = tower.project(&projected, "embed_audio", size, facts.rms_norm_eps)?;
    tower.finish(&features, "audio_features", size.output)
}

/// `[tokens, hidden]`: the steps that are not padding.
fn keep_present(tower: &mut Tower, hidden: &Value, frames: &Frames, facts: &AudioConfig) -> Value {
    let graph = &mut tower.graph;
    let steps = graph.reshape(hidden, &[-1, facts.hidden_size as i64]);
    let present = graph.reshape(&frames.present, &[-1]);
    graph.op("Compress", &[&steps, &present], &[("axis", Attribute::Int(0))])
}

fn projected(tower: &mut Tower, x: &Value, facts: &AudioConfig) -> Result<Value, Fatal> {
    let size = widths(facts.hidden_size, facts.output_size);
    let product = tower.plain(x, "audio_tower.output_proj.weight", size)?;
    let bias = tower.vector("audio_tower.output_proj.bias", &[facts.output_size])?;
    Ok(tower.graph.add(&product, &bias))
}
