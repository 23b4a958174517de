//! Attention of one decoder layer: the maps of queries, keys and values around the operator that one form of the graph
//! or the other has for it.
//!
//! Scale 1.0, q and k normed per head with a weight, v without. A layer that shares keys and values has none of its own
//! and reads its donor's.

use super::{grouped, slots};
use crate::{
    base::Fatal,
    bundle::{
        LayerConfig, TextConfig,
        draft::{Draft, Operand},
        graph::Value,
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
pub enum Steps {
    /// One sequence, or one token for each of several.
    Grouped(grouped::Steps),
    /// Any tokens of any slots.
    Slots(slots::Steps),
}

/// What a layer asks and remembers, for whichever operator answers.
pub struct Reading<'a> {
    /// The model.
    pub config: &'a TextConfig,
    /// The layer.
    pub layer: &'a LayerConfig,
    /// Its name in the checkpoint.
    pub prefix: &'a str,
    /// `[batch, sequence, heads * head_dim]` at the compute type, not normed yet.
    pub query: Value,
    /// Keys and values likewise; none where a donor has written them.
    pub own: Option<(Value, Value)>,
    /// The layer's own cache, or its donor's present.
    pub past: &'a Cache,
}

/// One layer's attention. Returns the output of `o_proj` at the compute type, and the present of a layer that writes one.
pub fn attention(
    draft: &mut Draft,
    config: &TextConfig,
    layer: &LayerConfig,
    prefix: &str,
    input: &Operand,
    past: &Cache,
    steps: &Steps,
) -> Result<(Value, Option<Cache>), Fatal> {
    let query = projected(draft, config, prefix, "q", config.heads * layer.head_dim, input)?;
    let own = match layer.donor {
        None => Some(keys_and_values(draft, config, layer, prefix, input)?),
        Some(_) => None,
    };
    let reading = Reading { config, layer, prefix, query, own, past };
    let (mixed, present) = match steps {
        Steps::Grouped(steps) => reading.grouped(draft, steps)?,
        Steps::Slots(steps) => reading.over_slots(draft, steps)?,
    };
    let shape = [config.hidden_size, config.heads * layer.head_dim];
    let weight = draft.checkpoint.tensor(&format!("{prefix}.self_attn.o_proj.weight"), &shape)?;
    let weight = draft.linear(&weight, "", "attention")?;
    let operand = draft.operand(&mixed, config.heads * layer.head_dim, draft.dtype());
    Ok((draft.apply(&weight, &operand), present))
}

/// Keys, and values that are either their own map of the input or the same as keys before their norm.
fn keys_and_values(
    draft: &mut Draft,
    config: &TextConfig,
    layer: &LayerConfig,
    prefix: &str,
    input: &Operand,
) -> Result<(Value, Value), Fatal> {
    let width = layer.kv_heads * layer.head_dim;
    let keys = projected(draft, config, prefix, "k", width, input)?;
    let values = match layer.keys_are_values {
        true => keys.clone(),
        false => projected(draft, config, prefix, "v", width, input)?,
    };
    Ok((keys, values))
}

/// Queries, keys or values of the input, `[batch, sequence, width]` at the compute type.
fn projected(
    draft: &mut Draft,
    config: &TextConfig,
    prefix: &str,
    which: &str,
    width: usize,
    input: &Operand,
) -> Result<Value, Fatal> {
    let name = format!("{prefix}.self_attn.{which}_proj.weight");
    let weight = draft.checkpoint.tensor(&name, &[width, config.hidden_size])?;
    let weight = draft.linear(&weight, "", "attention")?;
    Ok(draft.apply(&weight, input))
}
