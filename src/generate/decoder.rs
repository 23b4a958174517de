//! The decoder over the arena: a chunk of one sequence, or one token for each of a range of slots.

use std::ops::Range;

use super::{
    arena::Arena,
    embedder::Embedded,
    encoders::first,
    network::{Input, Network, Opening, Output},
    raw::{Call, Fetched},
    runtime::Runtime,
};
use crate::base::{Fatal, Model, model::ImageAttention};

/// Which logits a run is to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Those of the last position.
    Last,
    /// Those of so many last positions.
    Tail(usize),
    /// Those of all positions.
    All,
}

/// The decoder's session with the buffers of all slots.
pub(super) struct Decoder {
    network: Network,
    arena: Arena,
    inputs: Inputs,
    logits: Output,
}

#[derive(Debug, Clone, Copy)]
struct Inputs {
    embeddings: Input,
    per_layer: Option<Input>,
    mask: Input,
    positions: Option<Input>,
    kinds: Option<Input>,
    keep: Option<Input>,
}

/// What a run says of its positions, row by row.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    /// 1 for each position that a row's last one may see.
    mask: &'a [i64],
    positions: &'a [i64],
    /// As `mm_token_type_ids`.
    kinds: &'a [i64],
}

impl Decoder {
    /// # Errors
    /// When the graph has inputs that we do not know, lacks some that we need, or memory is short.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        slots: usize,
        length: usize,
    ) -> Result<Self, Fatal> {
        let network = Network::open(runtime, &model.file(&model.manifest.graphs.decoder), opening)?;
        let inputs = Inputs {
            embeddings: network.input("inputs_embeds")?,
            per_layer: network.optional_input("per_layer_inputs"),
            mask: network.input("attention_mask")?,
            positions: network.optional_input("position_ids"),
            kinds: network.optional_input("mm_token_type_ids"),
            keep: network.optional_input("num_logits_to_keep"),
        };
        let bidirectional = model.manifest.text.image_attention == ImageAttention::Bidirectional;
        if bidirectional && inputs.kinds.is_none() {
            return Err(network.wrong("sees pictures in one direction only (it has no input `mm_token_type_ids`)"));
        }
        let logits = network.output("logits")?;
        let arena = Arena::new(&network, &model.manifest.text.kv, slots, length)?;
        let optional = [inputs.per_layer, inputs.positions, inputs.kinds, inputs.keep];
        let named = [Some(inputs.embeddings), Some(inputs.mask)].into_iter().chain(optional);
        let known: Vec<Input> = named.flatten().chain(arena.inputs()).collect();
        if let Some(unknown) = network.other_inputs(&known).first() {
            return Err(network.wrong(&format!("wants an input `{unknown}` that we do not know")));
        }
        Ok(Self { network, arena, inputs, logits })
    }

    /// Positions of one slot.
    pub(super) fn length(&self) -> usize {
        self.arena.length()
    }

    /// Bytes of keys and values.
    pub(super) fn arena_bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// Keys and values of a slot's first `count` positions.
    pub(super) fn copy(&mut self, slot: usize, count: usize) -> Vec<u8> {
        self.arena.copy(slot, count)
    }

    /// Puts the first `count` of `held` copied positions into a slot.
    pub(super) fn paste(&mut self, slot: usize, rows: &[u8], held: usize, count: usize) {
        self.arena.paste(slot, rows, held, count);
    }

    /// Feeds the embeddings of positions `start..start + n` of one slot, of which `kinds` says what stands there.
    /// Logits are `[1, kept, vocabulary]`.
    pub(super) fn chunk(
        &mut self,
        slot: usize,
        embedded: &Embedded,
        kinds: &[i64],
        start: usize,
        keep: Keep,
    ) -> ort::Result<Fetched> {
        let end = start + kinds.len();
        let positions: Vec<i64> = (start..end).map(|place| place as i64).collect();
        let places = Places { mask: &vec![1; end], positions: &positions, kinds };
        self.run(slot..slot + 1, embedded, places, keep)
    }

    /// Feeds one position to each of a range of slots: `ends[i]` is the place in slot `slots.start + i` that the
    /// token takes. Logits are `[slots, 1, vocabulary]`.
    pub(super) fn step(&mut self, slots: Range<usize>, embedded: &Embedded, ends: &[usize]) -> ort::Result<Fetched> {
        let total = ends.iter().max().map_or(0, |end| end + 1);
        let mask: Vec<i64> =
            ends.iter().flat_map(|end| (0..total).map(move |place| i64::from(place <= *end))).collect();
        let positions: Vec<i64> = ends.iter().map(|end| *end as i64).collect();
        let places = Places { mask: &mask, positions: &positions, kinds: &vec![0; ends.len()] };
        self.run(slots, embedded, places, Keep::Last)
    }

    fn run(&mut self, slots: Range<usize>, embedded: &Embedded, places: Places, keep: Keep) -> ort::Result<Fetched> {
        let (rows, inputs) = (slots.len(), self.inputs);
        let Places { mask, positions, kinds } = places;
        let keep = [match keep {
            Keep::Last => 1,
            Keep::Tail(count) => count.min(positions.len()) as i64,
            Keep::All => 0,
        }];
        let mut call = Call::new(&mut self.network)?;
        call.fetch(self.logits);
        call.feed_fetched(inputs.embeddings, &embedded.embeddings);
        if let (Some(input), Some(per_layer)) = (inputs.per_layer, &embedded.per_layer) {
            call.feed_fetched(input, per_layer);
        }
        call.feed(inputs.mask, mask, &[rows, mask.len() / rows.max(1)])?;
        if let Some(input) = inputs.positions {
            call.feed(input, positions, &[rows, positions.len() / rows.max(1)])?;
        }
        if let Some(input) = inputs.kinds {
            call.feed(input, kinds, &[rows, kinds.len() / rows.max(1)])?;
        }
        if let Some(input) = inputs.keep {
            call.feed(input, &keep, &[])?;
        }
        self.arena.bind(&mut call, slots)?;
        first(call.run()?)
    }
}
