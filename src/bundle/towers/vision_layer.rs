//! One layer of the vision encoder: attention of every patch to every patch of its picture, then a gated MLP.

use super::{
    mask::Mask,
    rotary::Rotary,
    tower::{Tower, widths},
};
use crate::{
    base::Fatal,
    bundle::{
        VisionConfig,
        graph::{Attribute, Graph, Value},
    },
};

/// One layer by number.
pub(super) struct Layer<'a> {
    facts: &'a VisionConfig,
    prefix: String,
}

impl<'a> Layer<'a> {
    /// Layer `index`.
    pub fn new(facts: &'a VisionConfig, index: usize) -> Self {
        Self { facts, prefix: format!("vision_tower.encoder.layers.{index}") }
    }

    /// Adds the layer. `hidden` and the result: `[images, patches, hidden]`.
    pub fn add(&self, tower: &mut Tower, hidden: &Value, mask: &Mask, rotary: &Rotary) -> Result<Value, Fatal> {
        tower.graph.set_scope(&self.prefix);
        let normed = self.norm(tower, hidden, "input_layernorm")?;
        let attended = self.attention(tower, &normed, mask, rotary)?;
        let attended = self.norm(tower, &attended, "post_attention_layernorm")?;
        let hidden = tower.graph.add(hidden, &attended);
        let normed = self.norm(tower, &hidden, "pre_feedforward_layernorm")?;
        let mixed = self.mlp(tower, &normed)?;
        let mixed = self.norm(tower, &mixed, "post_feedforward_layernorm")?;
        Ok(tower.graph.add(&hidden, &mixed))
    }

    fn norm(&self, tower: &mut Tower, x: &Value, name: &str) -> Result<Value, Fatal> {
        let name = format!("{}.{name}.weight", self.prefix);
        tower.norm(x, &name, self.facts.hidden_size, self.facts.rms_norm_eps)
    }

    fn attention(&self, tower: &mut Tower, x: &Value, mask: &Mask, rotary: &Rotary) -> Result<Value, Fatal> {
        let query = self.turned(tower, x, "q", rotary, &mask.query)?;
        let key = self.turned(tower, x, "k", rotary, &mask.key)?;
        let value = self.values(tower, x)?;
        let attributes = [("num_heads", Attribute::Int(self.facts.heads as i64)), ("scale", Attribute::Float(1.0))];
        let seen = tower.graph.contrib("MultiHeadAttention", &[&query, &key, &value], &attributes);
        let size = widths(self.width(), self.facts.hidden_size);
        tower.linear(&seen, &format!("{}.self_attn.o_proj", self.prefix), size)
    }

    /// Queries or keys: projected, normed head by head, rotated, and with the mask's dimensions behind each head.
    fn turned(
        &self,
        tower: &mut Tower,
        x: &Value,
        letter: &str,
        rotary: &Rotary,
        mask: &Value,
    ) -> Result<Value, Fatal> {
        let projected = self.projected(tower, x, letter)?;
        let normed = self.normed_heads(tower, &projected, letter)?;
        let turned = rotary.turn(&mut tower.graph, &normed);
        let heads = self.split(&mut tower.graph, &turned);
        let masked = tower.graph.concat(&[&heads, mask], -1);
        Ok(merge(&mut tower.graph, &masked))
    }

    fn projected(&self, tower: &mut Tower, x: &Value, letter: &str) -> Result<Value, Fatal> {
        let VisionConfig { heads, head_dim, .. } = *self.facts;
        let one = Rotary::order(head_dim);
        let all: Vec<usize> =
            (0..heads).flat_map(|head| one.iter().map(move |place| head * head_dim + place)).collect();
        let size = widths(self.facts.hidden_size, self.width());
        tower.linear_in_order(x, &format!("{}.self_attn.{letter}_proj", self.prefix), size, Some(&all))
    }

    fn normed_heads(&self, tower: &mut Tower, projected: &Value, letter: &str) -> Result<Value, Fatal> {
        let name = format!("{}.self_attn.{letter}_norm.weight", self.prefix);
        let shape = [self.facts.head_dim];
        let stored = tower.values(&name, &shape)?;
        let ordered: Vec<f32> = Rotary::order(self.facts.head_dim).iter().map(|&place| stored[place]).collect();
        let weight = tower.floats(&name, &shape, &ordered)?;
        let heads = self.split(&mut tower.graph, projected);
        let normed = tower.graph.rms_norm(&heads, &weight, self.facts.rms_norm_eps);
        Ok(merge(&mut tower.graph, &normed))
    }

    fn values(&self, tower: &mut Tower, x: &Value) -> Result<Value, Fatal> {
        let size = widths(self.facts.hidden_size, self.width());
        let projected = tower.linear(x, &format!("{}.self_attn.v_proj", self.prefix), size)?;
        let heads = self.split(&mut tower.graph, &projected);
        let normed = tower.bare_norm(&heads, self.facts.head_dim, self.facts.rms_norm_eps);
        Ok(merge(&mut tower.graph, &normed))
    }

    fn mlp(&self, tower: &mut Tower, x: &Value) -> Result<Value, Fatal> {
        let (hidden, inner) = (self.facts.hidden_size, self.facts.intermediate_size);
        let name = |part: &str| format!("{}.mlp.{part}_proj", self.prefix);
        let gate = tower.linear(x, &name("gate"), widths(hidden, inner))?;
        let gate = tower.graph.gelu_tanh(&gate);
        let up = tower.linear(x, &name("up"), widths(hidden, inner))?;
        let product = tower.graph.mul(&gate, &up);
        tower.linear(&product, &name("down"), widths(inner, hidden))
    }

    /// `[images, patches, heads * d]` to `[images, patches, heads, d]`.
    fn split(&self, graph: &mut Graph, x: &Value) -> Value {
        graph.reshape(x, &[0, 0, self.facts.heads as i64, -1])
    }

    /// Width of all heads together.
    fn width(&self) -> usize {
        self.facts.heads * self.facts.head_dim
    }
}

/// `[images, patches, heads, d]` to `[images, patches, heads * d]`.
fn merge(graph: &mut Graph, x: &Value) -> Value {
    graph.reshape(x, &[0, 0, -1])
}
