//! One block of the audio encoder: half a feed-forward, local attention, a light convolution, half a feed-forward.

use super::{
    local_attention::Window,
    tower::{Tower, widths},
};
use crate::{
    base::Fatal,
    bundle::{
        AudioConfig,
        graph::{Attribute, Graph, Value},
    },
};

/// Epsilon of the norms for which transformers does not ask the configuration.
const EPSILON: f32 = 1e-6;

/// How much wider the feed-forward is inside.
const EXPANSION: usize = 4;

/// One block by number.
pub(super) struct Block<'a> {
    facts: &'a AudioConfig,
    prefix: String,
}

impl<'a> Block<'a> {
    /// Block `index`.
    pub fn new(facts: &'a AudioConfig, index: usize) -> Self {
        Self { facts, prefix: format!("audio_tower.layers.{index}") }
    }

    /// Adds the block. `hidden` and the result: `[clips, steps, hidden]`.
    pub fn add(&self, tower: &mut Tower, hidden: &Value, window: &Window) -> Result<Value, Fatal> {
        tower.graph.set_scope(&self.prefix);
        let hidden = self.feed_forward(tower, hidden, "feed_forward1")?;
        let hidden = self.attention(tower, &hidden, window)?;
        let hidden = self.convolution(tower, &hidden)?;
        let hidden = self.feed_forward(tower, &hidden, "feed_forward2")?;
        self.bounded_norm(tower, &hidden, "norm_out")
    }

    fn feed_forward(&self, tower: &mut Tower, hidden: &Value, part: &str) -> Result<Value, Fatal> {
        let (narrow, wide) = (self.facts.hidden_size, EXPANSION * self.facts.hidden_size);
        let normed = self.bounded_norm(tower, hidden, &format!("{part}.pre_layer_norm"))?;
        let inner = tower.linear(&normed, &self.name(&format!("{part}.ffw_layer_1")), widths(narrow, wide))?;
        let inner = tower.graph.silu(&inner);
        let outer = tower.linear(&inner, &self.name(&format!("{part}.ffw_layer_2")), widths(wide, narrow))?;
        let normed = self.bounded_norm(tower, &outer, &format!("{part}.post_layer_norm"))?;
        let weight = tower.graph.float(self.facts.residual_weight);
        let share = tower.graph.mul(&normed, &weight);
        Ok(tower.graph.add(hidden, &share))
    }

    fn attention(&self, tower: &mut Tower, hidden: &Value, window: &Window) -> Result<Value, Fatal> {
        let normed = self.bounded_norm(tower, hidden, "norm_pre_attn")?;
        let seen = window.attend(tower, &normed, &self.name("self_attn"), self.facts)?;
        let normed = self.bounded_norm(tower, &seen, "norm_post_attn")?;
        Ok(tower.graph.add(hidden, &normed))
    }

    fn convolution(&self, tower: &mut Tower, hidden: &Value) -> Result<Value, Fatal> {
        let width = self.facts.hidden_size;
        let normed = self.norm(tower, hidden, "lconv1d.pre_layer_norm", self.facts.rms_norm_eps)?;
        let doubled = tower.linear(&normed, &self.name("lconv1d.linear_start"), widths(width, 2 * width))?;
        let gated = gated(&mut tower.graph, &doubled);
        let mixed = self.depthwise(tower, &gated)?;
        let mixed = self.bounded(tower, &mixed);
        let normed = self.norm(tower, &mixed, "lconv1d.conv_norm", self.facts.rms_norm_eps)?;
        let active = tower.graph.silu(&normed);
        let outer = tower.linear(&active, &self.name("lconv1d.linear_end"), widths(width, width))?;
        Ok(tower.graph.add(hidden, &outer))
    }

    /// Each channel for itself over this step and the ones before it.
    fn depthwise(&self, tower: &mut Tower, x: &Value) -> Result<Value, Fatal> {
        let (width, taps) = (self.facts.hidden_size, self.facts.conv_kernel);
        let kernel = tower.vector(&self.name("lconv1d.depthwise_conv1d.weight"), &[width, 1, taps])?;
        let attributes = [
            ("group", Attribute::Int(width as i64)),
            ("kernel_shape", Attribute::Ints(vec![taps as i64])),
            ("pads", Attribute::Ints(vec![taps as i64 - 1, 0])),
        ];
        let channels_first = tower.graph.transpose(x, &[0, 2, 1]);
        let mixed = tower.graph.op("Conv", &[&channels_first, &kernel], &attributes);
        Ok(tower.graph.transpose(&mixed, &[0, 2, 1]))
    }

    fn bounded_norm(&self, tower: &mut Tower, x: &Value, part: &str) -> Result<Value, Fatal> {
        let x = self.bounded(tower, x);
        self.norm(tower, &x, part, EPSILON)
    }

    fn norm(&self, tower: &mut Tower, x: &Value, part: &str, epsilon: f32) -> Result<Value, Fatal> {
        tower.norm(x, &self.name(&format!("{part}.weight")), self.facts.hidden_size, epsilon)
    }

    fn bounded(&self, tower: &mut Tower, x: &Value) -> Value {
        let bound = self.facts.gradient_clipping;
        tower.clamp(x, [-bound, bound])
    }

    fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.prefix)
    }
}

/// The first half times the sigmoid of the second.
fn gated(graph: &mut Graph, doubled: &Value) -> Value {
    let attributes = [("axis", Attribute::Int(-1)), ("num_outputs", Attribute::Int(2))];
    let halves = graph.ops("", "Split", &[doubled], 2, &attributes);
    let gate = graph.op("Sigmoid", &[&halves[1]], &[]);
    graph.mul(&halves[0], &gate)
}
