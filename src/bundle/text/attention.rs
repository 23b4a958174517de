//! Attention of one decoder layer as GroupQueryAttention over buffers that past and present share.
//!
//! Scale 1.0, q and k normed per head with a weight, v without, rotary inside the operator. A layer that
//! shares keys and values feeds empty ones, with its donor's present as past, and has no present of its own.
//! Where pictures are seen in both directions, sliding layers have two such operators, of which a run takes one.

use super::{pictures::Pictures, rotary::Tables};
use crate::{
    base::Fatal,
    bundle::{
        LayerConfig, TextConfig,
        draft::{Draft, Operand},
        graph::{Attribute, Body, Element, MICROSOFT, Value},
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

/// How far buffers are filled.
#[derive(Clone)]
pub struct Filled {
    /// Valid length of each row less one, i32 `[batch]`.
    pub last_places: Value,
    /// Valid length of the longest row, i32 scalar.
    pub total: Value,
}

/// What all layers of one call share.
#[derive(Clone)]
pub struct Steps {
    /// The buffers of full layers.
    pub full_filled: Filled,
    /// The buffers of sliding layers, which may have lost positions at their front.
    pub sliding_filled: Filled,
    /// The places in the sequence that are fed, i64 `[batch, sequence]`.
    pub places: Value,
    /// i64 `[1]`.
    pub batch: Value,
    /// Where pictures stand, in models that see them in both directions.
    pub pictures: Option<Pictures>,
    /// Rotary positions of sliding layers.
    pub sliding_tables: Tables,
    /// Rotary positions of full layers.
    pub full_tables: Tables,
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
    let projected = projected(draft, config, prefix, "q", config.heads * layer.head_dim, input)?;
    let query = normed(draft, config, prefix, "q", layer.head_dim, &projected)?;
    let (key, value) = match layer.donor {
        None => keys_and_values(draft, config, layer, prefix, input)?,
        Some(_) => {
            let nothing = nothing(draft, steps, layer.kv_heads * layer.head_dim);
            (nothing.clone(), nothing)
        }
    };
    let (mixed, present) = Reading { config, layer, vectors: [&query, &key, &value], past, steps }.attend(draft);
    let shape = [config.hidden_size, config.heads * layer.head_dim];
    let weight = draft.checkpoint.tensor(&format!("{prefix}.self_attn.o_proj.weight"), &shape)?;
    let weight = draft.linear(&weight, "", "attention")?;
    let operand = draft.operand(&mixed, draft.dtype());
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
    let keys = normed(draft, config, prefix, "k", layer.head_dim, &keys)?;
    Ok((keys, normed(draft, config, prefix, "v", layer.head_dim, &values)?))
}

/// Who sees whom.
enum Sight<'a> {
    /// Each position sees itself and what stands before it, within this many positions; -1 for all.
    Causal(i64),
    /// What `Pictures` allow.
    Pictures(&'a Pictures),
}

/// What a layer asks and remembers, for whichever operator answers.
struct Reading<'a> {
    config: &'a TextConfig,
    layer: &'a LayerConfig,
    /// Queries, keys and values.
    vectors: [&'a Value; 3],
    past: &'a Cache,
    steps: &'a Steps,
}

impl Reading<'_> {
    fn attend(&self, draft: &mut Draft) -> (Value, Option<Cache>) {
        let window = if self.layer.sliding { self.config.sliding_window as i64 } else { -1 };
        let mut made = match self.steps.pictures.as_ref().filter(|_| self.layer.sliding) {
            None => self.operator(draft, &Sight::Causal(window)),
            Some(pictures) => {
                let branches = [
                    ("then_branch", Attribute::Graph(self.branch(draft, &Sight::Pictures(pictures)))),
                    ("else_branch", Attribute::Graph(self.branch(draft, &Sight::Causal(window)))),
                ];
                draft.graph.ops("", "If", &[&pictures.any], self.outputs(), &branches)
            }
        }
        .into_iter();
        let mixed = made.next().unwrap_or_else(Value::absent);
        (mixed, made.next().zip(made.next()).map(|(key, value)| Cache { key, value }))
    }

    /// A layer that reads the keys and values of another has no present.
    fn outputs(&self) -> usize {
        if self.layer.donor.is_some() { 1 } else { 3 }
    }

    fn branch(&self, draft: &mut Draft, sight: &Sight) -> Body {
        draft.graph.open_body();
        let made = self.operator(draft, sight);
        let element = draft.dtype();
        let outputs: Vec<(&Value, Element)> = made.iter().map(|value| (value, element)).collect();
        draft.graph.close_body(&outputs)
    }

    /// GroupQueryAttention.
    fn operator(&self, draft: &mut Draft, sight: &Sight) -> Vec<Value> {
        let Self { config, layer, vectors: [query, key, value], past, steps } = *self;
        let (filled, tables) = match layer.sliding {
            true => (&steps.sliding_filled, &steps.sliding_tables),
            false => (&steps.full_filled, &steps.full_tables),
        };
        let mut attributes = vec![
            ("num_heads", Attribute::Int(config.heads as i64)),
            ("kv_num_heads", Attribute::Int(layer.kv_heads as i64)),
            ("scale", Attribute::Float(1.0)),
            ("do_rotary", Attribute::Int(1)),
            ("rotary_interleaved", Attribute::Int(0)),
        ];
        let past = [&past.key, &past.value, &filled.last_places, &filled.total];
        let rotary = [&tables.cos, &tables.sin, &steps.places];
        let mut inputs: Vec<&Value> = [query, key, value].into_iter().chain(past).chain(rotary).collect();
        match sight {
            Sight::Causal(window) => attributes.push(("local_window_size", Attribute::Int(*window))),
            Sight::Pictures(pictures) => {
                attributes.push(("causal", Attribute::Int(0)));
                inputs.push(&pictures.bias);
            }
        }
        draft.graph.ops(MICROSOFT, "GroupQueryAttention", &inputs, self.outputs(), &attributes)
    }
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

/// Queries, keys or values normed per head, of the same shape, at the bundle's dtype.
fn normed(
    draft: &mut Draft,
    config: &TextConfig,
    prefix: &str,
    which: &str,
    head_dim: usize,
    projected: &Value,
) -> Result<Value, Fatal> {
    let (compute, element) = (draft.compute(), draft.dtype());
    let weight = match which {
        "v" => ones(draft, head_dim, compute)?,
        _ => draft.small(&format!("{prefix}.self_attn.{which}_norm.weight"), head_dim, 1.0, compute)?,
    };
    let split = draft.graph.reshape(projected, &[0, 0, -1, head_dim as i64]);
    let normed = draft.graph.rms_norm(&split, &weight, config.rms_norm_eps);
    let joined = draft.graph.reshape(&normed, &[0, 0, -1]);
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
