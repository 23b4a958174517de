//! The decoder over the keys and values of all slots: a chunk of one sequence, or one token for each of a range of slots.

use std::{ops::Range, time::Duration};

use super::{
    arena::{Arena, Room},
    cache::{Cache, Port},
    embedder::{Embedded, Embedder},
    floats::{FLOATS, Floats, feed_either},
    growing::Growing,
    heap::Heap,
    network::{Expected, Input, Network, Opening, Output},
    raw::{Call, Element, Fetched},
    runtime::{Place, Runtime},
};
use crate::base::{
    Fatal, Model,
    model::{ImageAttention, TextFacts},
};

/// The decoder's session with the keys and values of all slots.
pub(super) struct Decoder {
    network: Network,
    ports: Vec<Port>,
    cache: Cache,
    inputs: Inputs,
    logits: Output,
}

#[derive(Debug, Clone, Copy)]
struct Inputs {
    embeddings: Input,
    per_layer: Option<Input>,
    ids: Option<Input>,
    mask: Input,
    positions: Option<Input>,
    kinds: Option<Input>,
    offsets: Option<Input>,
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
    /// Without slots: [`Decoder::share`] or [`Decoder::grow`] makes them.
    ///
    /// # Errors
    /// When the graph has inputs that we do not know, lacks some that we need, or declares them unlike its model.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening, embedder: &Embedder) -> Result<Self, Fatal> {
        let network = Network::open_decoder(runtime, &model.file(&model.manifest.graphs.decoder), opening)?;
        let text = &model.manifest.text;
        let inputs = Inputs::of(&network)?;
        inputs.check(&network, text, embedder.per_layer_rank())?;
        let logits = network.output("logits")?;
        let (batch, kept) = (Expected::Open("batch"), Expected::Open("kept"));
        network.check_output(logits, &FLOATS, &[batch, kept, Expected::Fixed(text.vocab_size)])?;
        let ports = Port::all(&network, &text.kv)?;
        let known: Vec<Input> = inputs.all().chain(ports.iter().map(|port| port.past)).collect();
        network.takes_only(&known)?;
        let cache = Cache::Growing(Growing::new(&ports, 0));
        Ok(Self { network, ports, cache, inputs, logits })
    }

    /// Makes slots in shared buffers, which lie where the session runs; those of sliding layers are shorter where they may
    /// be ([`suited`]). What was there before goes first, so that there is room.
    ///
    /// # Errors
    /// When memory is short: there are no slots then.
    pub(super) fn share(&mut self, slots: usize, room: Room) -> Result<&mut Arena, Fatal> {
        self.grow(0);
        let room = suited(room, self.network.place(), self.inputs.offsets.is_some());
        let heap = Heap::of(self.network.place())?;
        self.cache = Cache::Shared(Arena::new(&heap, &self.ports, slots, room)?);
        match &mut self.cache {
            Cache::Shared(arena) => Ok(arena),
            Cache::Growing(_) => Err(self.network.wrong("lost its buffers")),
        }
    }

    /// Makes slots whose keys and values grow.
    pub(super) fn grow(&mut self, slots: usize) {
        self.cache = Cache::Growing(Growing::new(&self.ports, slots));
    }

    /// True when the slots share buffers, so that a range of them can step together.
    pub(super) fn shares(&self) -> bool {
        matches!(self.cache, Cache::Shared(_))
    }

    /// True when a run can leave out the logits of all positions but the last.
    pub(super) fn can_keep_last(&self) -> bool {
        self.inputs.keep.is_some()
    }

    /// True when keys and values are stored with 16 bits.
    pub(super) fn is_half(&self) -> bool {
        self.ports.iter().any(|port| port.element == Element::F16)
    }

    /// Time spent inside runs.
    pub(super) fn spent(&self) -> Duration {
        self.network.spent()
    }

    /// The keys and values.
    pub(super) fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Feeds the embeddings of positions `start..start + n` of one slot, of which `kinds` says what stands there.
    /// Logits are `[1, keep, vocabulary]`, or `[1, n, vocabulary]` where the graph cannot leave any out.
    pub(super) fn chunk(
        &mut self,
        slot: usize,
        embedded: &Embedded,
        kinds: &[i64],
        start: usize,
        keep: usize,
    ) -> ort::Result<Fetched> {
        let end = start + kinds.len();
        let positions: Vec<i64> = (start..end).map(|place| place as i64).collect();
        let places = Places { mask: &vec![1; end], positions: &positions, kinds };
        self.run(slot..slot + 1, embedded, places, keep)
    }

    /// Feeds one position to each of a range of slots in shared buffers: `ends[i]` is the place in slot
    /// `slots.start + i` that the token takes. Logits are `[slots, 1, vocabulary]`.
    pub(super) fn step(&mut self, slots: Range<usize>, embedded: &Embedded, ends: &[usize]) -> ort::Result<Fetched> {
        let total = ends.iter().max().map_or(0, |end| end + 1);
        let mask: Vec<i64> =
            ends.iter().flat_map(|end| (0..total).map(move |place| i64::from(place <= *end))).collect();
        let positions: Vec<i64> = ends.iter().map(|end| *end as i64).collect();
        let places = Places { mask: &mask, positions: &positions, kinds: &vec![0; ends.len()] };
        self.run(slots, embedded, places, 1)
    }

    fn run(&mut self, slots: Range<usize>, embedded: &Embedded, places: Places, keep: usize) -> ort::Result<Fetched> {
        let (rows, slot, inputs) = (slots.len(), slots.start, self.inputs);
        let Places { mask, positions, kinds } = places;
        let each = |values: &[i64]| [rows, values.len() / rows.max(1)];
        let keep = [keep as i64];
        let per_layer = inputs.per_layer.zip(embedded.per_layer.as_ref());
        let converted = Floats::converted(&embedded.embeddings, &self.network, inputs.embeddings);
        let per_layer_converted =
            per_layer.and_then(|(input, fetched)| Floats::converted(fetched, &self.network, input));
        let keep_shape: &[usize] = match inputs.keep.map(|input| self.network.declared(input).1.len()) {
            Some(1) => &[1],
            _ => &[],
        };
        let offsets = self.cache.offsets(slots.clone());
        let mut call = Call::new(&mut self.network)?;
        call.fetch(self.logits);
        feed_either(&mut call, inputs.embeddings, &embedded.embeddings, converted.as_ref())?;
        if let Some((input, fetched)) = per_layer {
            feed_either(&mut call, input, fetched, per_layer_converted.as_ref())?;
        }
        if let Some(input) = inputs.ids {
            call.feed(input, &embedded.ids, &each(&embedded.ids))?;
        }
        call.feed(inputs.mask, mask, &each(mask))?;
        if let Some(input) = inputs.positions {
            call.feed(input, positions, &each(positions))?;
        }
        if let Some(input) = inputs.kinds {
            call.feed(input, kinds, &each(kinds))?;
        }
        if let Some(input) = inputs.offsets {
            call.feed(input, &offsets, &[offsets.len()])?;
        }
        if let Some(input) = inputs.keep {
            call.feed(input, &keep, keep_shape)?;
        }
        self.cache.bind(&mut call, slots)?;
        let mut fetched = call.run()?.into_iter();
        let logits = fetched.next().ok_or_else(|| ort::Error::new("the run gave nothing"))?;
        self.cache.keep(slot, fetched.collect());
        Ok(logits)
    }
}

/// Only a decoder that is told what its sliding layers have lost is given shorter buffers for them. On cards none is:
/// where ONNX Runtime's flash attention appends a chunk to a buffer it turns queries and keys by their place in the buffer,
/// whatever `position_ids` says (`FlashDecoding` in its group_query_attention_impl.cu), so nothing may have moved there.
fn suited(room: Room, place: Place, knows_offsets: bool) -> Room {
    if knows_offsets && !place.is_card() { room } else { Room::uniform(room.full) }
}

impl Inputs {
    fn of(network: &Network) -> Result<Self, Fatal> {
        Ok(Self {
            embeddings: network.input("inputs_embeds")?,
            per_layer: network.optional_input("per_layer_inputs"),
            ids: network.optional_input("input_ids"),
            mask: network.input("attention_mask")?,
            positions: network.optional_input("position_ids"),
            kinds: network.optional_input("mm_token_type_ids"),
            offsets: network.optional_input("sliding_offsets"),
            keep: network.optional_input("num_logits_to_keep"),
        })
    }

    fn all(&self) -> impl Iterator<Item = Input> + use<> {
        let optional = [self.per_layer, self.ids, self.positions, self.kinds, self.offsets, self.keep];
        [Some(self.embeddings), Some(self.mask)].into_iter().chain(optional).flatten()
    }

    /// `rank` is that of the per-layer inputs that the embeddings' graph gives: with four axes they are the half that
    /// comes of the tokens, with three they are complete, so both graphs must be of one kind.
    fn check(&self, network: &Network, text: &TextFacts, rank: Option<usize>) -> Result<(), Fatal> {
        let (batch, sequence) = (Expected::Open("batch"), Expected::Open("sequence"));
        network.check_input(self.embeddings, &FLOATS, &[batch, sequence, Expected::Fixed(text.hidden_size)])?;
        for ids in [Some(self.mask), self.positions, self.kinds, self.ids].into_iter().flatten() {
            network.check_input(ids, &[Element::I64], &[batch, sequence])?;
        }
        let bidirectional = text.image_attention == ImageAttention::Bidirectional;
        if bidirectional && self.kinds.is_none() && self.ids.is_none() {
            return Err(network.wrong("sees pictures in one direction only (it has no input `mm_token_type_ids`)"));
        }
        let (layers, size) = (text.layers, text.per_layer_size);
        let flat = [batch, sequence, Expected::Fixed(layers * size)];
        let deep = [batch, sequence, Expected::Fixed(layers), Expected::Fixed(size)];
        match (self.per_layer, rank) {
            (Some(input), Some(3)) => network.check_input(input, &FLOATS, &flat),
            (Some(input), Some(_)) => network.check_input(input, &FLOATS, &deep),
            (Some(_), None) => {
                Err(network.wrong("takes `per_layer_inputs`, which the graph of the embeddings does not give"))
            }
            (None, _) if size > 0 && self.ids.is_none() => {
                Err(network.wrong("has no input `per_layer_inputs`, though its config.json asks for them"))
            }
            (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::runtime::Device;

    #[test]
    fn sliding_layers_have_shorter_buffers_where_the_decoder_and_the_device_can_do_with_them() {
        let (windowed, uniform) = (Room::windowed(1000, 63, 64), Room::uniform(1000));
        let on = |device, knows_offsets| suited(windowed, Place::first(device), knows_offsets);
        assert_eq!(on(Device::Cpu, true), windowed);
        assert_eq!(on(Device::Cpu, false), uniform);
        assert_eq!([Device::Cuda, Device::TensorRt].map(|device| on(device, true)), [uniform; 2]);
    }
}
