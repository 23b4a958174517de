//! Four frames to one step: two convolutions over time and frequency, each halving both.

use super::tower::{Tower, widths};
use crate::{
    base::Fatal,
    bundle::{
        AudioConfig,
        graph::{Attribute, Axis, Element, Graph, Value},
    },
};

/// Mel bins per frame.
const BINS: usize = 128;

/// Mel bins after both convolutions.
const BINS_LEFT: usize = BINS / 4;

const PREFIX: &str = "audio_tower.subsample_conv_projection";

/// What goes into the conformer.
pub(super) struct Frames {
    /// `[clips, steps, hidden]` f32.
    pub hidden: Value,
    /// `[clips, steps]` bool: false for padding.
    pub present: Value,
}

/// Declares the two inputs and adds the convolutions and the projection.
pub(super) fn add(tower: &mut Tower, facts: &AudioConfig) -> Result<Frames, Fatal> {
    let (clips, frames) = (Axis::Named("clips"), Axis::Named("frames"));
    let features = tower.graph.input("input_features", Element::F32, &[clips, frames, Axis::Fixed(BINS)]);
    let mut present = tower.graph.input("input_features_mask", Element::Bool, &[clips, frames]);
    tower.graph.set_scope("subsampling");
    let mut image = tower.graph.unsqueeze(&features, &[1]);
    let [first, second] = facts.channels;
    for (index, channels) in [[1, first], [first, second]].into_iter().enumerate() {
        image = layer(tower, &image, &present, &format!("{PREFIX}.layer{index}"), channels, facts)?;
        present = every_other(&mut tower.graph, &present);
    }
    let steps = tower.graph.transpose(&image, &[0, 2, 3, 1]);
    let steps = tower.graph.reshape(&steps, &[0, 0, (BINS_LEFT * second) as i64]);
    let size = widths(BINS_LEFT * second, facts.hidden_size);
    let hidden = tower.plain(&steps, &format!("{PREFIX}.input_proj_linear.weight"), size)?;
    Ok(Frames { hidden, present })
}

/// `[clips, channels[0], time, bins]` to `[clips, channels[1], time / 2, bins / 2]`, halves rounded up.
/// Padding is zeroed first, which is what a clip that ends there would see beyond its end.
fn layer(
    tower: &mut Tower,
    image: &Value,
    present: &Value,
    name: &str,
    channels: [usize; 2],
    facts: &AudioConfig,
) -> Result<Value, Fatal> {
    let kernel = [channels[1], channels[0], 3, 3];
    let kernel_name = format!("{name}.conv.weight");
    tower.check(&kernel_name, &kernel)?;
    let kernel = tower.stored(&kernel_name, &kernel, |checkpoint| checkpoint.values(&kernel_name, &kernel))?;
    let scale = tower.vector(&format!("{name}.norm.weight"), &[channels[1]])?;
    let graph = &mut tower.graph;
    let present = graph.cast(present, Element::F32);
    let present = graph.unsqueeze(&present, &[1, 3]);
    let image = graph.mul(image, &present);
    let strides = [
        ("kernel_shape", Attribute::Ints(vec![3, 3])),
        ("strides", Attribute::Ints(vec![2, 2])),
        ("pads", Attribute::Ints(vec![1, 1, 1, 1])),
    ];
    let image = graph.op("Conv", &[&image, &kernel], &strides);
    Ok(normed(graph, &image, &scale, facts.rms_norm_eps))
}

/// Layer norm over the channels, then ReLU.
fn normed(graph: &mut Graph, image: &Value, scale: &Value, epsilon: f32) -> Value {
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
    let channels_last = graph.transpose(image, &[0, 2, 3, 1]);
    let normed = graph.op("LayerNormalization", &[&channels_last, scale], &attributes);
    let active = graph.op("Relu", &[&normed], &[]);
    graph.transpose(&active, &[0, 3, 1, 2])
}

fn every_other(graph: &mut Graph, present: &Value) -> Value {
    let (start, end, axis, step) = (graph.ints(&[0]), graph.ints(&[i64::MAX]), graph.ints(&[1]), graph.ints(&[2]));
    graph.op("Slice", &[present, &start, &end, &axis, &step], &[])
}
