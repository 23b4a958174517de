//! One decoder layer: attention, gated MLP with experts beside it in a mixture, per-layer input, layer scalar
//! (transformers' `modeling_gemma4.py`).
//!
//! The residual stream is f32 in every bundle: its size grows with depth beyond what f16 holds.

use super::{
    attention::{Cache, Steps, attention},
    experts::experts,
};
use crate::{
    base::Fatal,
    bundle::{
        LayerConfig, TextConfig,
        draft::{Draft, Linear},
        graph::{Element, Value},
    },
};

/// Runs the residual stream `x` through layer `index`. `per_layer` is the layer's own input at the compute type.
/// Returns the stream, and the present of a layer that writes one.
pub fn layer(
    draft: &mut Draft,
    config: &TextConfig,
    index: usize,
    x: &Value,
    per_layer: Option<&Value>,
    past: &Cache,
    steps: &Steps,
) -> Result<(Value, Option<Cache>), Fatal> {
    let layer = &config.layers[index];
    let prefix = format!("language_model.layers.{index}");
    draft.graph.set_scope(format!("layers.{index}"));
    let (x, present) = attend(draft, config, layer, &prefix, x, past, steps)?;
    let x = mlp(draft, config, layer, &prefix, &x)?;
    let x = match per_layer {
        Some(input) => add_per_layer(draft, config, &prefix, &x, input)?,
        None => x,
    };
    let scalar = draft.small(&format!("{prefix}.layer_scalar"), 1, 1.0, Element::F32)?;
    Ok((draft.graph.mul(&x, &scalar), present))
}

fn attend(
    draft: &mut Draft,
    config: &TextConfig,
    layer: &LayerConfig,
    prefix: &str,
    x: &Value,
    past: &Cache,
    steps: &Steps,
) -> Result<(Value, Option<Cache>), Fatal> {
    let normed = norm(draft, config, &format!("{prefix}.input_layernorm"), x)?;
    let operand = draft.operand(&normed, config.hidden_size, Element::F32);
    let (mixed, present) = attention(draft, config, layer, prefix, &operand, past, steps)?;
    let mixed = draft.convert(&mixed, draft.compute(), Element::F32);
    let x = add_normed(draft, config, &format!("{prefix}.post_attention_layernorm"), x, &mixed)?;
    Ok((x, present))
}

fn mlp(draft: &mut Draft, config: &TextConfig, layer: &LayerConfig, prefix: &str, x: &Value) -> Result<Value, Fatal> {
    let (hidden, wide) = (config.hidden_size, layer.intermediate_size);
    let normed = norm(draft, config, &format!("{prefix}.pre_feedforward_layernorm"), x)?;
    let operand = draft.operand(&normed, hidden, Element::F32);
    let gate = linear(draft, &format!("{prefix}.mlp.gate_proj"), [wide, hidden], "mlp")?;
    let gate = draft.apply(&gate, &operand);
    let up = linear(draft, &format!("{prefix}.mlp.up_proj"), [wide, hidden], "mlp")?;
    let up = draft.apply(&up, &operand);
    let down = linear(draft, &format!("{prefix}.mlp.down_proj"), [hidden, wide], "mlp")?;
    let gate = draft.graph.gelu_tanh(&gate);
    let product = draft.graph.mul(&gate, &up);
    let operand = draft.operand(&product, wide, draft.compute());
    let made = draft.apply(&down, &operand);
    let made = draft.convert(&made, draft.compute(), Element::F32);
    let made = beside_experts(draft, config, prefix, x, made)?;
    add_normed(draft, config, &format!("{prefix}.post_feedforward_layernorm"), x, &made)
}

/// What the MLP has made, plus what the experts make of the stream, each normed for itself.
fn beside_experts(
    draft: &mut Draft,
    config: &TextConfig,
    prefix: &str,
    x: &Value,
    made: Value,
) -> Result<Value, Fatal> {
    let Some(mixture) = &config.experts else { return Ok(made) };
    let made = norm(draft, config, &format!("{prefix}.post_feedforward_layernorm_1"), &made)?;
    let others = experts(draft, config, mixture, prefix, x)?;
    let others = norm(draft, config, &format!("{prefix}.post_feedforward_layernorm_2"), &others)?;
    Ok(draft.graph.add(&made, &others))
}

fn add_per_layer(
    draft: &mut Draft,
    config: &TextConfig,
    prefix: &str,
    x: &Value,
    input: &Value,
) -> Result<Value, Fatal> {
    let (hidden, size) = (config.hidden_size, config.per_layer_size);
    let gate = linear(draft, &format!("{prefix}.per_layer_input_gate"), [size, hidden], "per-layer")?;
    let operand = draft.operand(x, hidden, Element::F32);
    let gate = draft.apply(&gate, &operand);
    let gate = draft.graph.gelu_tanh(&gate);
    let gated = draft.graph.mul(&gate, input);
    let projection = linear(draft, &format!("{prefix}.per_layer_projection"), [hidden, size], "per-layer")?;
    let operand = draft.operand(&gated, size, draft.compute());
    let made = draft.apply(&projection, &operand);
    let made = draft.convert(&made, draft.compute(), Element::F32);
    add_normed(draft, config, &format!("{prefix}.post_per_layer_input_norm"), x, &made)
}

fn linear(draft: &mut Draft, name: &str, shape: [usize; 2], kind: &'static str) -> Result<Linear, Fatal> {
    let tensor = draft.checkpoint.tensor(&format!("{name}.weight"), &shape)?;
    draft.linear(&tensor, "", kind)
}

fn norm(draft: &mut Draft, config: &TextConfig, name: &str, x: &Value) -> Result<Value, Fatal> {
    draft.norm(x, &format!("{name}.weight"), config.hidden_size, config.rms_norm_eps)
}

/// `x + norm(made)`, all f32.
fn add_normed(draft: &mut Draft, config: &TextConfig, name: &str, x: &Value, made: &Value) -> Result<Value, Fatal> {
    let normed = norm(draft, config, name, made)?;
    Ok(draft.graph.add(x, &normed))
}
