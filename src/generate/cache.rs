//! Keys and values of all slots, in one of two forms: shared buffers, which attention writes in place, or tensors that
//! grow, for decoders that cannot do that.

use std::ops::Range;

use super::{
    arena::Arena,
    floats::FLOATS,
    growing::Growing,
    network::{Expected, Input, Network, Output},
    raw::{Call, Element, Fetched},
};
use crate::base::{Fatal, model::KvLayer};

/// One tensor of keys or of values: where it is fed and fetched, and its shape `[rows, heads, length, head_dim]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port {
    pub(super) past: Input,
    pub(super) present: Output,
    pub(super) element: Element,
    pub(super) heads: usize,
    pub(super) head_dim: usize,
    /// True when its layer sees only the sliding window.
    pub(super) sliding: bool,
}

impl Port {
    /// The ports of all layers that write keys and values: key and value of the first, of the second, and so on.
    ///
    /// # Errors
    /// When the decoder does not declare these layers.
    pub(super) fn all(decoder: &Network, layers: &[KvLayer]) -> Result<Vec<Self>, Fatal> {
        let parts = |(index, layer)| ["key", "value"].map(|part| Self::new(decoder, index, part, layer));
        layers.iter().enumerate().flat_map(parts).collect()
    }

    fn new(decoder: &Network, index: usize, part: &str, layer: &KvLayer) -> Result<Self, Fatal> {
        let past = decoder.input(&format!("past_key_values.{index}.{part}"))?;
        let present = decoder.output(&format!("present.{index}.{part}"))?;
        let shape = |length| {
            [
                Expected::Open("batch"),
                Expected::Fixed(layer.heads),
                Expected::Open(length),
                Expected::Fixed(layer.head_dim),
            ]
        };
        decoder.check_input(past, &FLOATS, &shape("past"))?;
        let element = decoder.declared(past).0.unwrap_or(Element::F32);
        decoder.check_output(present, &[element], &shape("past + sequence"))?;
        Ok(Self { past, present, element, heads: layer.heads, head_dim: layer.head_dim, sliding: layer.sliding })
    }

    /// Bytes of one position of one head.
    pub(super) fn position(&self) -> usize {
        self.head_dim * self.element.bytes()
    }
}

/// Keys and values of the first positions of a sequence, on the host whatever the device.
pub(super) struct Copied {
    /// Tensor by tensor, position by position within each head.
    pub(super) rows: Vec<u8>,
    /// How many positions.
    pub(super) count: usize,
    /// The first position that sliding layers still have.
    pub(super) from: usize,
}

/// The keys and values of all slots.
pub(super) enum Cache {
    Shared(Arena),
    Growing(Growing),
}

impl Cache {
    /// Bytes that are held whatever the slots hold.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Shared(arena) => arena.bytes(),
            Self::Growing(_) => 0,
        }
    }

    /// Bytes of what [`Cache::copy`] copies.
    pub(super) fn bytes_of(&self, slot: usize, count: usize) -> usize {
        match self {
            Self::Shared(arena) => arena.bytes_of(slot, count),
            Self::Growing(growing) => growing.bytes_of(count),
        }
    }

    /// True when a slot still has its positions from the first on.
    pub(super) fn holds_front(&self, slot: usize) -> bool {
        match self {
            Self::Shared(arena) => arena.holds_front(slot),
            Self::Growing(_) => true,
        }
    }

    /// True when a slot still has its positions from the first on, and room for the first `end` takes some away.
    pub(super) fn loses_front(&self, slot: usize, end: usize) -> bool {
        match self {
            Self::Shared(arena) => arena.loses_front(slot, end),
            Self::Growing(_) => false,
        }
    }

    /// Keys and values of a slot's first `count` positions. `None` when the slot does not hold them all, or they cannot be
    /// read.
    pub(super) fn copy(&mut self, slot: usize, count: usize) -> Option<Copied> {
        match self {
            Self::Shared(arena) => arena.copy(slot, count),
            Self::Growing(growing) => growing.copy(slot, count).map(|rows| Copied { rows, count, from: 0 }),
        }
    }

    /// True when a slot with the first `count` of copied positions could go on from there.
    pub(super) fn can_paste(&self, copied: &Copied, count: usize) -> bool {
        match self {
            Self::Shared(arena) => arena.can_paste(copied, count),
            Self::Growing(_) => true,
        }
    }

    /// Puts the first `count` of copied positions into a slot. False when that cannot be, and the slot is empty.
    pub(super) fn paste(&mut self, slot: usize, copied: &Copied, count: usize) -> bool {
        match self {
            Self::Shared(arena) => arena.paste(slot, copied, count),
            Self::Growing(growing) => growing.paste(slot, &copied.rows, copied.count, count),
        }
    }

    /// Makes room for `count` positions behind the `length` that a slot has. False when there cannot be that much.
    pub(super) fn make_room(&mut self, slot: usize, length: usize, count: usize) -> bool {
        match self {
            Self::Shared(arena) => arena.make_room(slot, length, count),
            Self::Growing(_) => true,
        }
    }

    /// The most positions that can be fed at once.
    pub(super) fn most_at_once(&self) -> usize {
        match self {
            Self::Shared(arena) => arena.most_at_once(),
            Self::Growing(_) => usize::MAX,
        }
    }

    /// Positions that the sliding layers of some slots have lost at their front.
    pub(super) fn offsets(&self, slots: Range<usize>) -> Vec<i64> {
        match self {
            Self::Shared(arena) => arena.offsets(slots),
            Self::Growing(_) => vec![0; slots.len()],
        }
    }

    /// Takes a slot back to its first `length` positions. False when it cannot be, and the slot is empty.
    pub(super) fn retract(&mut self, slot: usize, length: usize) -> bool {
        match self {
            // What is behind the length is never read, and written again.
            Self::Shared(_) => true,
            Self::Growing(growing) => growing.retract(slot, length),
        }
    }

    /// Empties a slot.
    pub(super) fn forget(&mut self, slot: usize) {
        match self {
            Self::Shared(arena) => arena.forget(slot),
            Self::Growing(growing) => growing.forget(slot),
        }
    }

    /// Binds the pasts of some slots, and what is to become of their presents.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        match self {
            Self::Shared(arena) => arena.bind(call, slots),
            Self::Growing(growing) => growing.bind(call, slots),
        }
    }

    /// Takes the presents that a run gave beside its logits.
    pub(super) fn keep(&mut self, slot: usize, presents: Vec<Fetched>) {
        if let Self::Growing(growing) = self {
            growing.keep(slot, presents);
        }
    }
}
