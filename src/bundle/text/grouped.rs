//! Attention as GroupQueryAttention over buffers that past and present share: the form of the public exports.
//!
//! Rotary is inside the operator. A layer that shares keys and values feeds empty ones, with its donor's present as past,
//! and has no present of its own. Where pictures are seen in both directions, sliding layers have two such operators, of
//! which a run takes one.

use super::{
    attention::{Cache, Reading},
    pictures::Pictures,
    rotary::Tables,
};
use crate::{
    base::Fatal,
    bundle::{
        draft::Draft,
        graph::{Attribute, Body, Element, MICROSOFT, Value},
    },
};

/// How far buffers are filled.
pub struct Filled {
    /// Valid length of each row less one, i32 `[batch]`.
    pub last_places: Value,
    /// Valid length of the longest row, i32 scalar.
    pub total: Value,
}

/// What all layers of one call share.
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

/// Who sees whom.
enum Sight<'a> {
    /// Each position sees itself and what stands before it, within this many positions; -1 for all.
    Causal(i64),
    /// What `Pictures` allow.
    Pictures(&'a Pictures),
}

/// Queries, keys and values, ready for the operator.
struct Normed {
    query: Value,
    key: Value,
    value: Value,
}

impl Reading<'_> {
    /// What the layer's tokens have seen, `[batch, sequence, heads * head_dim]`, and the present of a layer that writes one.
    pub fn grouped(&self, draft: &mut Draft, steps: &Steps) -> Result<(Value, Option<Cache>), Fatal> {
        let vectors = self.all_normed(draft, steps)?;
        let window = if self.layer.sliding { self.config.sliding_window as i64 } else { -1 };
        let mut made = match steps.pictures.as_ref().filter(|_| self.layer.sliding) {
            None => self.operator(draft, steps, &vectors, &Sight::Causal(window)),
            Some(pictures) => {
                let seeing = self.branch(draft, steps, &vectors, &Sight::Pictures(pictures));
                let reading = self.branch(draft, steps, &vectors, &Sight::Causal(window));
                let branches = [("then_branch", Attribute::Graph(seeing)), ("else_branch", Attribute::Graph(reading))];
                draft.graph.ops("", "If", &[&pictures.any], self.outputs(), &branches)
            }
        }
        .into_iter();
        let mixed = made.next().unwrap_or_else(Value::absent);
        Ok((mixed, made.next().zip(made.next()).map(|(key, value)| Cache { key, value })))
    }

    fn all_normed(&self, draft: &mut Draft, steps: &Steps) -> Result<Normed, Fatal> {
        let query = self.normed(draft, "q", &self.query)?;
        let (key, value) = match &self.own {
            Some((keys, values)) => (self.normed(draft, "k", keys)?, self.normed(draft, "v", values)?),
            None => {
                let nothing = nothing(draft, steps, self.layer.kv_heads * self.layer.head_dim);
                (nothing.clone(), nothing)
            }
        };
        Ok(Normed { query, key, value })
    }

    /// Queries, keys or values normed per head, of the same shape, at the bundle's dtype.
    fn normed(&self, draft: &mut Draft, which: &str, projected: &Value) -> Result<Value, Fatal> {
        let (compute, element, head_dim) = (draft.compute(), draft.dtype(), self.layer.head_dim);
        let weight = match which {
            "v" => ones(draft, head_dim, compute)?,
            _ => draft.small(&format!("{}.self_attn.{which}_norm.weight", self.prefix), head_dim, 1.0, compute)?,
        };
        let split = draft.graph.reshape(projected, &[0, 0, -1, head_dim as i64]);
        let normed = draft.graph.rms_norm(&split, &weight, self.config.rms_norm_eps);
        let joined = draft.graph.reshape(&normed, &[0, 0, -1]);
        Ok(draft.convert(&joined, compute, element))
    }

    /// A layer that reads the keys and values of another has no present.
    fn outputs(&self) -> usize {
        if self.own.is_some() { 3 } else { 1 }
    }

    fn branch(&self, draft: &mut Draft, steps: &Steps, vectors: &Normed, sight: &Sight) -> Body {
        draft.graph.open_body();
        let made = self.operator(draft, steps, vectors, sight);
        let element = draft.dtype();
        let outputs: Vec<(&Value, Element)> = made.iter().map(|value| (value, element)).collect();
        draft.graph.close_body(&outputs)
    }

    /// GroupQueryAttention.
    fn operator(&self, draft: &mut Draft, steps: &Steps, vectors: &Normed, sight: &Sight) -> Vec<Value> {
        let Self { config, layer, past, .. } = self;
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
        let vectors = [&vectors.query, &vectors.key, &vectors.value];
        let past = [&past.key, &past.value, &filled.last_places, &filled.total];
        let rotary = [&tables.cos, &tables.sin, &steps.places];
        let mut inputs: Vec<&Value> = vectors.into_iter().chain(past).chain(rotary).collect();
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
