//! The keys and values of all slots: per layer one pair of buffers `[slots, heads, length, head_dim]`, allocated once.
//!
//! The same memory is bound as past and present, so attention writes new keys and values in place. A slot's rows are
//! contiguous: one sequence is prefilled through a view of them, and any range of slots is decoded through another.
//!
//! Layers that see only a window have shorter buffers: when one is full, what the next position can still see is moved
//! to its front, and the decoder is told how many positions are gone ([`Arena::offsets`]).

use std::ops::Range;

use super::{
    cache::{Copied, Port},
    raw::{Call, Element, Memory},
};
use crate::base::Fatal;

/// How many positions the buffers of a slot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// In full layers.
    pub(super) full: usize,
    /// In sliding layers.
    pub(super) sliding: usize,
    /// Positions before the next that a sliding layer can still see.
    pub(super) seen: usize,
}

impl Room {
    /// The same for all layers.
    pub(super) fn uniform(length: usize) -> Self {
        Self { full: length, sliding: length, seen: 0 }
    }

    fn of(&self, port: &Port) -> usize {
        if port.sliding { self.sliding } else { self.full }
    }

    /// Bytes of the buffers of one slot.
    pub(super) fn bytes(&self, ports: &[Port]) -> usize {
        ports.iter().map(|port| self.of(port) * port.heads * port.position()).sum()
    }
}

/// The buffers of all layers.
pub(super) struct Arena {
    room: Room,
    /// By slot: positions that sliding layers have lost at their front.
    offsets: Vec<usize>,
    buffers: Vec<Buffer>,
}

struct Buffer {
    port: Port,
    length: usize,
    memory: Memory,
}

impl Arena {
    /// One buffer for each port, in the type that the decoder declares for it.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn new(ports: &[Port], slots: usize, room: Room) -> Result<Self, Fatal> {
        let buffer = |port: &Port| Buffer::new(*port, slots, room.of(port));
        Ok(Self { room, offsets: vec![0; slots], buffers: ports.iter().map(buffer).collect::<Result<_, _>>()? })
    }

    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let ports: Vec<Port> = self.buffers.iter().map(|buffer| buffer.port).collect();
        self.offsets.len() * self.room.bytes(&ports)
    }

    /// Fills all buffers with a repeated value in its element type.
    pub(super) fn fill(&mut self, single: [u8; 4], half: [u8; 2]) {
        for buffer in &mut self.buffers {
            let value: &[u8] = if buffer.port.element == Element::F16 { &half } else { &single };
            buffer.memory.bytes_mut().chunks_exact_mut(value.len()).for_each(|place| place.copy_from_slice(value));
        }
    }

    /// The most positions that can be fed at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.room.sliding - self.room.seen
    }

    /// Positions that the sliding layers of some slots have lost at their front.
    pub(super) fn offsets(&self, slots: Range<usize>) -> Vec<i64> {
        self.offsets[slots].iter().map(|offset| *offset as i64).collect()
    }

    /// The slot holds nothing any more.
    pub(super) fn forget(&mut self, slot: usize) {
        self.offsets[slot] = 0;
    }

    /// Makes room for `count` positions behind the `length` that a slot has. False when there cannot be that much.
    pub(super) fn make_room(&mut self, slot: usize, length: usize, count: usize) -> bool {
        let held = length - self.offsets[slot];
        if held + count <= self.room.sliding {
            return length + count <= self.room.full;
        }
        let kept = held.min(self.room.seen);
        self.heads(slot, |port, head, position| {
            if port.sliding {
                head.copy_within((held - kept) * position..held * position, 0);
            }
        });
        self.offsets[slot] += held - kept;
        kept + count <= self.room.sliding && length + count <= self.room.full
    }

    /// The keys and values of a slot's first `count` positions, of sliding layers those that they have.
    pub(super) fn copy(&mut self, slot: usize, count: usize) -> Copied {
        let (mut rows, from) = (Vec::new(), self.offsets[slot]);
        self.heads(slot, |port, head, position| {
            let held = if port.sliding { count - from.min(count) } else { count };
            rows.extend_from_slice(&head[..held * position]);
        });
        Copied { rows, count, from }
    }

    /// False when sliding layers have lost what the position behind the first `count` would see.
    pub(super) fn can_paste(&self, copied: &Copied, count: usize) -> bool {
        copied.from == 0 || count >= copied.from + self.room.seen
    }

    /// Writes the first `count` of copied positions into a slot. False, and nothing is written, where that cannot be.
    pub(super) fn paste(&mut self, slot: usize, copied: &Copied, count: usize) -> bool {
        if !self.can_paste(copied, count) {
            return false;
        }
        let from = copied.from;
        let mut rest = &copied.rows[..];
        self.heads(slot, |port, head, position| {
            let lost = if port.sliding { from } else { 0 };
            let (row, others) = rest.split_at((copied.count - lost) * position);
            head[..(count - lost) * position].copy_from_slice(&row[..(count - lost) * position]);
            rest = others;
        });
        self.offsets[slot] = from;
        true
    }

    /// Visits `[length, head_dim]` of each head of a slot, with the bytes of one position.
    fn heads(&mut self, slot: usize, mut visit: impl FnMut(&Port, &mut [u8], usize)) {
        for Buffer { port, length, memory } in &mut self.buffers {
            let position = port.position();
            let row = port.heads * *length * position;
            let bytes = &mut memory.bytes_mut()[slot * row..(slot + 1) * row];
            bytes.chunks_exact_mut(*length * position).for_each(|head| visit(port, head, position));
        }
    }

    /// Binds the rows of a range of slots as past and present.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        self.buffers.iter_mut().try_for_each(|buffer| buffer.bind(call, slots.clone()))
    }
}

impl Buffer {
    fn new(port: Port, slots: usize, length: usize) -> Result<Self, Fatal> {
        let bytes = [slots, port.heads, length]
            .iter()
            .try_fold(port.position(), |product, factor| product.checked_mul(*factor));
        let memory = bytes.and_then(Memory::zeroed).ok_or_else(|| {
            let message = format!("no memory for the keys and values of {slots} slots of {length} tokens");
            Fatal::new(message, "lower generate.slots or generate.context")
        })?;
        Ok(Self { port, length, memory })
    }

    fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        let (port, length) = (self.port, self.length);
        let row = port.heads * length * port.position();
        let region = self.memory.region(slots.start * row, slots.len() * row);
        let region = region.ok_or_else(|| ort::Error::new("slots beyond the end of the buffers"))?;
        let shape = [slots.len(), port.heads, length, port.head_dim];
        call.share(port.past, port.present, region, port.element, &shape)
    }
}
