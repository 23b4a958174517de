//! The keys and values of all slots: per layer one pair of buffers `[slots, heads, length, head_dim]`, allocated once.
//!
//! The same memory is bound as past and present, so attention writes new keys and values in place. A slot's rows are
//! contiguous: one sequence is prefilled through a view of them, and any range of slots is decoded through another.
//!
//! Layers that see only a window have shorter buffers: when one is full, what the next position can still see is moved
//! to its front, and the decoder is told how many positions are gone ([`Arena::offsets`]). These are whole tiles of our
//! own attention: it adds up tile by tile of the buffer, and its sums must not depend on where a prompt was cut.

use std::ops::Range;

use super::{
    cache::{Copied, Port},
    operators::TILE,
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

    /// In sliding layers what the next position sees, `at_once` more that are fed, and a tile: what stays of one when only
    /// whole ones go, and a place behind where a row idles while others are fed. The same for all layers where that is
    /// no less.
    pub(super) fn windowed(full: usize, seen: usize, at_once: usize) -> Self {
        let sliding = seen + at_once + TILE;
        if sliding < full { Self { full, sliding, seen } } else { Self::uniform(full) }
    }

    /// The most positions that can be fed at once.
    fn most_at_once(&self) -> usize {
        if self.sliding < self.full { self.sliding - self.seen - TILE } else { self.full }
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
        self.offsets.len() * self.room.bytes(&self.ports())
    }

    /// Bytes of what [`Arena::copy`] copies.
    pub(super) fn bytes_of(&self, slot: usize, count: usize) -> usize {
        let sliding = count.saturating_sub(self.offsets[slot]);
        Room { full: count, sliding, seen: 0 }.bytes(&self.ports())
    }

    fn ports(&self) -> Vec<Port> {
        self.buffers.iter().map(|buffer| buffer.port).collect()
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
        self.room.most_at_once()
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
        let end = length + count;
        if end > self.room.full {
            return false;
        }
        if end > self.offsets[slot] + self.room.sliding {
            self.shift(slot, length);
        }
        end <= self.offsets[slot] + self.room.sliding
    }

    /// Moves what the position behind the first `length` can still see to the front of sliding layers, with what stands
    /// before it in its tile.
    fn shift(&mut self, slot: usize, length: usize) {
        let before = self.offsets[slot];
        let offset = before.max(length.saturating_sub(self.room.seen) / TILE * TILE);
        self.heads(slot, |port, head, position| {
            if port.sliding {
                head.copy_within((offset - before) * position..(length - before) * position, 0);
            }
        });
        self.offsets[slot] = offset;
    }

    /// True when a slot still has its positions from the first on.
    pub(super) fn holds_front(&self, slot: usize) -> bool {
        self.offsets[slot] == 0
    }

    /// True when a slot still has its positions from the first on, and room for the first `end` takes some away.
    pub(super) fn loses_front(&self, slot: usize, end: usize) -> bool {
        self.holds_front(slot) && end > self.room.sliding
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

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: usize = 63;

    /// One slot of no layers.
    fn arena() -> Arena {
        Arena::new(&[], 1, Room::windowed(10_000, SEEN, 256)).unwrap()
    }

    #[test]
    fn sliding_layers_lose_whole_tiles_that_nobody_sees_any_more() {
        for chunk in [1, 37, 127, 256] {
            let mut arena = arena();
            for start in (0..3000).step_by(chunk) {
                assert!(arena.make_room(0, start, chunk + 1), "{chunk} at {start}");
                let offset = arena.offsets[0];
                assert!(offset.is_multiple_of(TILE) && offset <= start.saturating_sub(SEEN), "{offset} at {start}");
            }
            assert!(arena.offsets[0] > 2000, "chunks of {chunk}");
        }
    }

    /// A step of several runs that fails is taken back to where it began.
    #[test]
    fn a_row_that_idles_behind_what_a_step_has_fed_takes_nothing_away_that_its_first_token_sees() {
        for start in 0..2000 {
            for count in [1, 2, 63, 256] {
                let mut arena = arena();
                assert!(arena.make_room(0, start, count + 1), "{count} at {start}");
                for fed in 0..=count {
                    assert!(arena.make_room(0, start + fed, 1), "{fed} of {count} at {start}");
                }
                assert!(arena.offsets[0] <= start.saturating_sub(SEEN), "{count} at {start}");
            }
        }
    }

    #[test]
    fn what_is_more_than_can_be_fed_at_once_finds_no_room_and_moves_nothing_that_is_seen() {
        let mut arena = arena();
        assert_eq!(arena.most_at_once(), 256);
        assert!(!arena.make_room(0, SEEN + TILE - 1, 258));
        assert_eq!(arena.offsets[0], 0);
        let mut short = Arena::new(&[], 1, Room::windowed(300, SEEN, 256)).unwrap();
        assert_eq!(short.most_at_once(), 300, "nothing is out of reach in a short context");
        assert!(short.make_room(0, 299, 1) && !short.make_room(0, 299, 2));
        assert!(short.holds_front(0));
    }
}
