//! The decoder's layers: attention, gated MLP, experts beside it, per-layer input, layer scalar.

use ndarray::{Array2, s};

use super::{
    super::{
        Part, Weights,
        attention::KeysValues,
        elementary::{gelu_tanh, rms_norm},
    },
    attention::Attention,
    embedding::Embedded,
    experts::experts,
    sequence::Sequence,
};
use crate::{
    base::Fatal,
    bundle::{LayerConfig, TextConfig},
};

/// All layers. Those that share keys and values are computed for the last `keep` positions alone, since nothing after
/// them needs the others. Returns the residual stream of the last positions, at least `keep` of them where there are.
pub fn layers(
    weights: &Weights,
    config: &TextConfig,
    sequence: &Sequence,
    embedded: Embedded,
    keep: usize,
) -> Result<Array2<f32>, Fatal> {
    let mut x = embedded.x;
    let mut written = Vec::new();
    for (index, layer) in config.layers.iter().enumerate() {
        if layer.donor.is_some() && x.nrows() > keep {
            x = x.slice(s![x.nrows() - keep.., ..]).to_owned();
        }
        let start = sequence.len() - x.nrows();
        let size = config.per_layer_size;
        let slice = |all: &Array2<f32>| all.slice(s![start.., index * size..(index + 1) * size]).to_owned();
        let per_layer = embedded.per_layer.as_ref().map(slice);
        let prefix = format!("language_model.layers.{index}");
        let layer = Layer { weights, config, layer, prefix, sequence, start };
        x = layer.run(x, per_layer, &mut written)?;
    }
    Ok(x)
}

struct Layer<'a> {
    weights: &'a Weights<'a>,
    config: &'a TextConfig,
    layer: &'a LayerConfig,
    prefix: String,
    sequence: &'a Sequence,
    /// The place of the first row.
    start: usize,
}

impl Layer<'_> {
    fn run(
        &self,
        x: Array2<f32>,
        per_layer: Option<Array2<f32>>,
        written: &mut Vec<Option<KeysValues>>,
    ) -> Result<Array2<f32>, Fatal> {
        let attended = self.attention().run(&self.norm("input_layernorm", &x)?, written)?;
        let x = x + self.norm("post_attention_layernorm", &attended)?;
        let made = self.feed_forward(&x)?;
        let mut x = x + self.norm("post_feedforward_layernorm", &made)?;
        if let Some(per_layer) = per_layer {
            x = self.add_per_layer(x, per_layer)?;
        }
        Ok(x * self.weights.vector(&format!("{}.layer_scalar", self.prefix), 1)?[0])
    }

    fn attention(&self) -> Attention<'_> {
        let Self { weights, config, layer, prefix, sequence, start } = self;
        Attention { weights, config, layer, prefix, sequence, start: *start }
    }

    fn norm(&self, name: &str, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let weight = self.weights.vector(&format!("{}.{name}.weight", self.prefix), x.ncols())?;
        Ok(rms_norm(x, Some(&weight), self.config.rms_norm_eps))
    }

    fn linear(&self, name: &str, x: &Array2<f32>, outputs: usize) -> Result<Array2<f32>, Fatal> {
        self.weights.linear(Part::Decoder, &format!("{}.{name}.weight", self.prefix), x, outputs)
    }

    /// The MLP; with experts, the sum of both, each normed. Router and experts see the stream before the MLP's norm.
    fn feed_forward(&self, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let dense = self.mlp(&self.norm("pre_feedforward_layernorm", x)?)?;
        let Some(facts) = &self.config.experts else { return Ok(dense) };
        let dense = self.norm("post_feedforward_layernorm_1", &dense)?;
        let input = self.norm("pre_feedforward_layernorm_2", x)?;
        let chosen = experts(self.weights, facts, &self.prefix, x, &input, self.config.rms_norm_eps)?;
        Ok(dense + self.norm("post_feedforward_layernorm_2", &chosen)?)
    }

    fn mlp(&self, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let gate = self.linear("mlp.gate_proj", x, self.layer.intermediate_size)?.mapv(gelu_tanh);
        let up = self.linear("mlp.up_proj", x, self.layer.intermediate_size)?;
        self.linear("mlp.down_proj", &(gate * up), self.config.hidden_size)
    }

    fn add_per_layer(&self, x: Array2<f32>, input: Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let gate = self.linear("per_layer_input_gate", &x, self.config.per_layer_size)?.mapv(gelu_tanh);
        let made = self.linear("per_layer_projection", &(gate * input), self.config.hidden_size)?;
        Ok(x + self.norm("post_per_layer_input_norm", &made)?)
    }
}
