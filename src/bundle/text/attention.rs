//! Attention of one decoder layer as GroupQueryAttention over buffers that past and present share.
//!
//! Scale 1.0, q and k normed per head with a weight, v without, rotary inside the operator. A layer that
//! shares keys and values feeds empty ones, with its donor's present as past, and has no present of its own.

use super::rotary::Tables;
use crate::{
    base::Fatal,
    bundle::{
        LayerConfig, TextConfig,
        draft::{Draft, Operand},
        graph::{Attribute, Element, MICROSOFT, Value},
    },
};

/// The keys and values that one layer has written.
#[derive(Clone)]
pub struct Cache {
    /// `[batch, kv_heads, length, head_dim]`.
    pub key: Value,
    /// `[batch, kv_heads, length, head_dim]`.
    pub value: Value,
}

/// What all layers of one call share.
pub struct Steps {
    /// Valid length of each row less one, i32 `[batch]`.
    pub last_places: Value,
    /// Length of the attention mask, i32 scalar.
    pub total: Value,
    /// i64 `[1]`.
    pub batch: Value,
    /// Rotary positions of sliding layers.
    pub sliding: Tables,
    /// Rotary positions of full layers.
    pub full: Tables,
}

/// One layer's attention. `past` is the layer's own cache, or its donor's present. Returns the output of
/// `o_proj` at the compute type, and the present of a layer that writes one.
pub fn attention(
    draft: &mut Draft,
    config: &TextConfig,
    layer: &LayerConfig,
    prefix: &str,
    input: &Operand,
    past: &Cache,
    steps: &Steps,
) -> Result<(Value, Option<Cache>), Fatal> {
    let query = heads(draft, config, prefix, "q", config.heads, layer.head_dim, input)?;
    let (key, value) = match layer.donor {
        None => (
            heads(draft, config, prefix, "k", layer.kv_heads, layer.head_dim, input)?,
            heads(draft, config, prefix, "v", layer.kv_heads, layer.head_dim, input)?,
        ),
        Some(_) => {
            let nothing = nothing(draft, steps, layer.kv_heads * layer.head_dim);
            (nothing.clone(), nothing)
        }
    };
    let (mixed, present) = group_query_attention(draft, config, layer, [&query, &key, &value], past, steps);
    let shape = [config.hidden_size, config.heads * layer.head_dim];
    let weight = draft.checkpoint.tensor(&format!("{prefix}.self_attn.o_proj.weight"), &shape)?;
    let weight = draft.linear(&weight, "", "attention")?;
    let operand = draft.operand(&mixed, draft.dtype());
    Ok((draft.apply(&weight, &operand), present))
}

fn group_query_attention(
    draft: &mut Draft,
    config: &TextConfig,
    layer: &LayerConfig,
    [query, key, value]: [&Value; 3],
    past: &Cache,
    steps: &Steps,
) -> (Value, Option<Cache>) {
    let tables = if layer.sliding { &steps.sliding } else { &steps.full };
    let window = if layer.sliding { config.sliding_window as i64 } else { -1 };
    let attributes = [
        ("num_heads", Attribute::Int(config.heads as i64)),
        ("kv_num_heads", Attribute::Int(layer.kv_heads as i64)),
        ("scale", Attribute::Float(1.0)),
        ("local_window_size", Attribute::Int(window)),
        ("do_rotary", Attribute::Int(1)),
        ("rotary_interleaved", Attribute::Int(0)),
    ];
    let inputs =
        [query, key, value, &past.key, &past.value, &steps.last_places, &steps.total, &tables.cos, &tables.sin];
    let outputs = if layer.donor.is_some() { 1 } else { 3 };
    let mut made = draft.graph.ops(MICROSOFT, "GroupQueryAttention", &inputs, outputs, &attributes).into_iter();
    let mixed = made.next().unwrap_or_else(Value::absent);
    let present = made.next().zip(made.next()).map(|(key, value)| Cache { key, value });
    (mixed, present)
}

/// Queries, keys or values, normed per head: `[batch, sequence, heads * head_dim]` at the bundle's dtype.
fn heads(
    draft: &mut Draft,
    config: &TextConfig,
    prefix: &str,
    which: &str,
    heads: usize,
    head_dim: usize,
    input: &Operand,
) -> Result<Value, Fatal> {
    let name = format!("{prefix}.self_attn.{which}_proj.weight");
    let weight = draft.checkpoint.tensor(&name, &[heads * head_dim, config.hidden_size])?;
    let weight = draft.linear(&weight, "", "attention")?;
    let projected = draft.apply(&weight, input);
    let (compute, element) = (draft.compute(), draft.dtype());
    let weight = match which {
        "v" => ones(draft, head_dim, compute)?,
        _ => draft.small(&format!("{prefix}.self_attn.{which}_norm.weight"), head_dim, 1.0, compute)?,
    };
    let split = draft.graph.reshape(&projected, &[0, 0, heads as i64, head_dim as i64]);
    let normed = draft.graph.rms_norm(&split, &weight, config.rms_norm_eps);
    let joined = draft.graph.reshape(&normed, &[0, 0, (heads * head_dim) as i64]);
    Ok(draft.convert(&joined, compute, element))
}

/// Values are normed without a weight; the operator wants one.
fn ones(draft: &mut Draft, length: usize, element: Element) -> Result<Value, Fatal> {
    let mut data = Vec::new();
    let values = vec![1.0; length];
    crate::bundle::quantize::write_dense(&mut data, "ones", &values, element)
        .map_err(|error| crate::bundle::draft::write_fatal(std::path::Path::new("ones"), error))?;
    Ok(draft.graph.constant(element, &[length], data))
}

/// Keys or values of no position: `[batch, 0, width]`.
fn nothing(draft: &mut Draft, steps: &Steps, width: usize) -> Value {
    let element = draft.dtype();
    let rest = draft.graph.ints(&[0, width as i64]);
    let shape = draft.graph.concat(&[&steps.batch, &rest], 0);
    let empty = draft.graph.op("ConstantOfShape", &[&shape], &[]);
    draft.convert(&empty, Element::F32, element)
}
