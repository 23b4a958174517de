//! The decoder in its form for any tokens of any slots (`decoder_slots`): one run carries chunks of prompts, tokens of
//! answers and guesses, each row of a run with its own slot and place.

use std::time::Duration;

use super::{
    arena::{Arena, Room},
    cache::{Cache, Port},
    embedder::Embedded,
    heap::Heap,
    network::{Expected, Input, Network, Opening, Output},
    raw::{Call, Element, Fetched},
    runtime::Runtime,
};
use crate::base::{
    Fatal, Model,
    model::{ImageAttention, TextFacts},
};

/// The session with the keys and values of all slots.
pub(super) struct Packed {
    network: Network,
    inputs: Inputs,
    logits: Output,
    slots: usize,
    cache: Cache,
}

#[derive(Debug, Clone, Copy)]
struct Inputs {
    embeddings: Input,
    per_layer: Option<Input>,
    positions: Input,
    slots: Input,
    offsets: Input,
    ends: Option<Input>,
    wanted: Input,
}

/// Where the tokens of a run stand, one entry for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) slots: Vec<i64>,
    pub(super) positions: Vec<i64>,
    /// The last position that a token sees on sliding layers: its own, or that of the last token of its picture.
    pub(super) ends: Vec<i64>,
    /// The tokens whose logits are wanted; never none.
    pub(super) wanted: Vec<i64>,
}

impl Packed {
    /// # Errors
    /// When the graph is not the one that our exporter writes for this model, or memory is short.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        name: &str,
        opening: Opening,
        slots: usize,
        room: Room,
    ) -> Result<Self, Fatal> {
        let network = Network::open(runtime, &model.file(name), opening)?;
        let text = &model.manifest.text;
        let inputs = Inputs::of(&network, text)?;
        let logits = network.output("logits")?;
        let kept = Expected::Open("kept");
        network.check_output(logits, &[Element::F32], &[Expected::Fixed(1), kept, Expected::Fixed(text.vocab_size)])?;
        let ports = Port::all(&network, &text.kv)?;
        let known: Vec<Input> = inputs.all().chain(ports.iter().map(|port| port.past)).collect();
        network.takes_only(&known)?;
        let heap = Heap::of(network.place())?;
        let cache = Cache::Shared(Arena::new(&heap, &ports, slots, room)?);
        Ok(Self { network, inputs, logits, slots, cache })
    }

    /// Time spent inside runs.
    pub(super) fn spent(&self) -> Duration {
        self.network.spent()
    }

    /// The keys and values.
    pub(super) fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Feeds the embeddings of as many tokens as there are places. Logits are `[1, wanted, vocabulary]`.
    pub(super) fn run(&mut self, embedded: &Embedded, places: &Places) -> ort::Result<Fetched> {
        let (inputs, count) = (self.inputs, [places.slots.len()]);
        let offsets = self.cache.offsets(0..self.slots);
        let mut call = Call::new(&mut self.network)?;
        call.fetch(self.logits);
        call.feed_fetched(inputs.embeddings, &embedded.embeddings);
        if let Some((input, fetched)) = inputs.per_layer.zip(embedded.per_layer.as_ref()) {
            call.feed_fetched(input, fetched);
        }
        call.feed(inputs.positions, &places.positions, &count)?;
        call.feed(inputs.slots, &places.slots, &count)?;
        call.feed(inputs.offsets, &offsets, &[offsets.len()])?;
        if let Some(input) = inputs.ends {
            call.feed(input, &places.ends, &count)?;
        }
        call.feed(inputs.wanted, &places.wanted, &[places.wanted.len()])?;
        self.cache.bind(&mut call, 0..self.slots)?;
        call.run()?.into_iter().next().ok_or_else(|| ort::Error::new("the run gave nothing"))
    }
}

impl Inputs {
    fn of(network: &Network, text: &TextFacts) -> Result<Self, Fatal> {
        let bidirectional = text.image_attention == ImageAttention::Bidirectional;
        let inputs = Self {
            embeddings: network.input("inputs_embeds")?,
            per_layer: (text.per_layer_size > 0).then(|| network.input("per_layer_inputs")).transpose()?,
            positions: network.input("position_ids")?,
            slots: network.input("slot_ids")?,
            offsets: network.input("sliding_offsets")?,
            ends: bidirectional.then(|| network.input("visible_ends")).transpose()?,
            wanted: network.input("logit_places")?,
        };
        let (one, tokens) = (Expected::Fixed(1), Expected::Open("tokens"));
        network.check_input(inputs.embeddings, &[Element::F32], &[one, tokens, Expected::Fixed(text.hidden_size)])?;
        if let Some(input) = inputs.per_layer {
            let shape = [one, tokens, Expected::Fixed(text.layers), Expected::Fixed(text.per_layer_size)];
            network.check_input(input, &[Element::F32], &shape)?;
        }
        let whole =
            [Some(inputs.positions), Some(inputs.slots), Some(inputs.offsets), Some(inputs.wanted), inputs.ends];
        whole.into_iter().flatten().try_for_each(|input| network.check_input(input, &[Element::I64], &[tokens]))?;
        Ok(inputs)
    }

    fn all(&self) -> impl Iterator<Item = Input> + use<> {
        let needed = [self.embeddings, self.positions, self.slots, self.offsets, self.wanted];
        needed.into_iter().chain(self.per_layer).chain(self.ends)
    }
}
