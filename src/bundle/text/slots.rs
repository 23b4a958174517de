//! Attention over slots: this program's own operator, which takes any tokens of any slots in one call and writes their
//! keys and values where they belong (`generate::operators`).
//!
//! The tokens of a call are one sequence in the eyes of every other operator; to which slot each belongs and where it
//! stands there is known to attention alone.

use super::{
    attention::{Cache, Reading},
    rotary,
};
use crate::{
    base::{Fatal, model::ImageAttention},
    bundle::{
        Rotary, TextConfig,
        draft::Draft,
        graph::{Attribute, Axis, Element, Graph, OWN, Value},
    },
};

/// What all layers of one call share; every value has one entry for each token.
#[derive(Clone)]
pub struct Steps {
    /// The slot, i64.
    slots: Value,
    /// The place in the buffers of full layers, which is that in the sequence, i64.
    full_places: Value,
    /// The place in the buffers of sliding layers, i64.
    sliding_places: Value,
    /// The last place that sliding layers see: the token's own, or the end of its picture. Absent where that is never
    /// another.
    ends: Option<Value>,
    /// Rotary factors of full layers.
    full_turns: Turns,
    /// Rotary factors of sliding layers.
    sliding_turns: Turns,
}

/// cos and sin of the rotary angles, `[tokens, head_dim / 2]` f32.
#[derive(Clone)]
struct Turns {
    cos: Value,
    sin: Value,
}

impl Steps {
    /// Declares what is fed.
    pub fn declare(draft: &mut Draft, config: &TextConfig) -> Result<Self, Fatal> {
        let tokens = Axis::Named("tokens");
        let graph = &mut draft.graph;
        let full_places = graph.input("position_ids", Element::I64, &[tokens]);
        let slots = graph.input("slot_ids", Element::I64, &[tokens]);
        let offsets = graph.input("sliding_offsets", Element::I64, &[Axis::Named("slots")]);
        let lost = graph.gather(&offsets, &slots, 0);
        let sliding_places = graph.sub(&full_places, &lost);
        let ends = (config.image_attention == ImageAttention::Bidirectional).then(|| {
            let ends = graph.input("visible_ends", Element::I64, &[tokens]);
            graph.sub(&ends, &lost)
        });
        let head_dim = |sliding| rotary::head_dim(config, sliding);
        let full_turns = Turns::new(draft, "rotary.full", config.full_rotary, head_dim(false), &full_places)?;
        let sliding_turns = Turns::new(draft, "rotary.sliding", config.sliding_rotary, head_dim(true), &full_places)?;
        Ok(Self { slots, full_places, sliding_places, ends, full_turns, sliding_turns })
    }

    /// The same for some of the tokens.
    pub fn of(&self, graph: &mut Graph, tokens: &Value) -> Self {
        let mut kept = |value: &Value| graph.gather(value, tokens, 0);
        Self {
            slots: kept(&self.slots),
            full_places: kept(&self.full_places),
            sliding_places: kept(&self.sliding_places),
            ends: self.ends.as_ref().map(&mut kept),
            full_turns: Turns { cos: kept(&self.full_turns.cos), sin: kept(&self.full_turns.sin) },
            sliding_turns: Turns { cos: kept(&self.sliding_turns.cos), sin: kept(&self.sliding_turns.sin) },
        }
    }
}

impl Turns {
    fn new(draft: &mut Draft, name: &str, of: Rotary, head_dim: usize, places: &Value) -> Result<Self, Fatal> {
        let frequencies = rotary::frequencies(of, head_dim);
        let name = format!("{name}.frequencies");
        let frequencies = draft.floats(&name, &[frequencies.len()], &frequencies, Element::F32)?;
        let mut made = draft.graph.ops(OWN, "RotaryTurns", &[places, &frequencies], 2, &[]).into_iter();
        let mut next = || made.next().unwrap_or_else(Value::absent);
        Ok(Self { cos: next(), sin: next() })
    }
}

impl Reading<'_> {
    /// What the layer's tokens have seen, `[1, tokens, heads * head_dim]`, and the present of a layer that writes one.
    pub fn over_slots(&self, draft: &mut Draft, steps: &Steps) -> Result<(Value, Option<Cache>), Fatal> {
        let Self { config, layer, past, .. } = self;
        let (places, turns) = match layer.sliding {
            true => (&steps.sliding_places, &steps.sliding_turns),
            false => (&steps.full_places, &steps.full_turns),
        };
        let absent = Value::absent();
        let query_norm = self.norm(draft, "q")?;
        let key_norm = if self.own.is_some() { self.norm(draft, "k")? } else { absent.clone() };
        let (key, value) = self.own.as_ref().map_or((&absent, &absent), |(key, value)| (key, value));
        let ends = steps.ends.as_ref().filter(|_| layer.sliding).unwrap_or(&absent);
        let inputs = [&self.query, &past.key, &past.value, &steps.slots, places, &turns.cos, &turns.sin, &query_norm];
        let inputs: Vec<&Value> = inputs.into_iter().chain([key, value, &key_norm, ends]).collect();
        let attributes = [
            ("num_heads", Attribute::Int(config.heads as i64)),
            ("kv_num_heads", Attribute::Int(layer.kv_heads as i64)),
            ("window", Attribute::Int(if layer.sliding { config.sliding_window as i64 } else { 0 })),
            ("epsilon", Attribute::Float(config.rms_norm_eps)),
        ];
        let outputs = if self.own.is_some() { 3 } else { 1 };
        let mut made = draft.graph.ops(OWN, "SlotAttention", &inputs, outputs, &attributes).into_iter();
        let mixed = made.next().unwrap_or(absent);
        Ok((mixed, made.next().zip(made.next()).map(|(key, value)| Cache { key, value })))
    }

    fn norm(&self, draft: &mut Draft, which: &str) -> Result<Value, Fatal> {
        draft.small(&format!("{}.self_attn.{which}_norm.weight", self.prefix), self.layer.head_dim, 1.0, Element::F32)
    }
}
