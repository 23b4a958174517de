//! The keys and values of all slots: per layer one pair of buffers `[slots, heads, length, head_dim]`, allocated once.
//!
//! The same memory is bound as past and present, so attention writes new keys and values in place. A slot's rows are
//! contiguous: one sequence is prefilled through a view of them, and any range of slots is decoded through another. They
//! lie in the memory of the device that reads them, and never leave it for a step.
//!
//! Layers that see only a window have shorter buffers, though not on cards: when one is full, what the next position can
//! still see is moved to its front, and the decoder is told how many positions are gone ([`Arena::offsets`]). These are
//! whole tiles of our own attention: it adds up tile by tile of the buffer, and its sums must not depend on where a prompt
//! was cut.

use std::ops::Range;

use super::{
    cache::{Copied, Port},
    heap::{Block, Failure, Heap, Rows},
    operators::TILE,
    raw::{Call, Element},
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
    heap: Heap,
    room: Room,
    slots: Vec<Slot>,
    buffers: Vec<Buffer>,
    /// True while what was written or moved may not be where it ought to be yet.
    unsettled: bool,
}

/// What is known of one slot.
#[derive(Debug, Clone, Default)]
struct Slot {
    /// Positions that sliding layers have lost at their front.
    offset: usize,
    /// Why its keys and values are of no use, until it is emptied.
    broken: Option<Failure>,
}

struct Buffer {
    port: Port,
    length: usize,
    block: Block,
}

impl Arena {
    /// One buffer for each port, in the type that the decoder declares for it.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn new(heap: &Heap, ports: &[Port], slots: usize, room: Room) -> Result<Self, Fatal> {
        let buffer = |port: &Port| Buffer::new(heap, *port, slots, room.of(port));
        let buffers = ports.iter().map(buffer).collect::<Result<_, _>>()?;
        Ok(Self { heap: heap.clone(), room, slots: vec![Slot::default(); slots], buffers, unsettled: true })
    }

    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * self.room.bytes(&self.ports())
    }

    /// Bytes of what [`Arena::copy`] copies.
    pub(super) fn bytes_of(&self, slot: usize, count: usize) -> usize {
        let sliding = count.saturating_sub(self.slots[slot].offset);
        Room { full: count, sliding, seen: 0 }.bytes(&self.ports())
    }

    fn ports(&self) -> Vec<Port> {
        self.buffers.iter().map(|buffer| buffer.port).collect()
    }

    /// Fills all buffers with a repeated value in its element type.
    ///
    /// # Errors
    /// When a card fails.
    pub(super) fn fill(&mut self, single: [u8; 4], half: [u8; 2]) -> Result<(), Failure> {
        self.unsettled = true;
        self.buffers.iter_mut().try_for_each(|buffer| {
            let value: &[u8] = if buffer.port.element == Element::F16 { &half } else { &single };
            buffer.block.fill(value)
        })
    }

    /// The most positions that can be fed at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.room.most_at_once()
    }

    /// Positions that the sliding layers of some slots have lost at their front.
    pub(super) fn offsets(&self, slots: Range<usize>) -> Vec<i64> {
        self.slots[slots].iter().map(|slot| slot.offset as i64).collect()
    }

    /// The slot holds nothing any more.
    pub(super) fn forget(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
    }

    /// Makes room for `count` positions behind the `length` that a slot has. False when there cannot be that much.
    pub(super) fn make_room(&mut self, slot: usize, length: usize, count: usize) -> bool {
        let end = length + count;
        if end > self.room.full {
            return false;
        }
        if end > self.slots[slot].offset + self.room.sliding {
            self.shift(slot, length);
        }
        end <= self.slots[slot].offset + self.room.sliding
    }

    /// Moves what the position behind the first `length` can still see to the front of sliding layers, with what stands
    /// before it in its tile. Where a card fails at that, runs of the slot fail from here on and say so.
    fn shift(&mut self, slot: usize, length: usize) {
        let before = self.slots[slot].offset;
        let offset = before.max(length.saturating_sub(self.room.seen) / TILE * TILE);
        let mut sliding = self.buffers.iter_mut().filter(|buffer| buffer.port.sliding);
        let moved = sliding.try_for_each(|buffer| buffer.shift(slot, offset - before..length - before));
        self.unsettled = true;
        self.slots[slot].offset = offset;
        if let Err(failure) = moved {
            tracing::warn!(target: "generate", slot, why = %failure, "keys and values could not be moved");
            self.slots[slot].broken = Some(failure);
        }
    }

    /// True when a slot still has its positions from the first on.
    pub(super) fn holds_front(&self, slot: usize) -> bool {
        self.slots[slot].offset == 0
    }

    /// True when a slot still has its positions from the first on, and room for the first `end` takes some away.
    pub(super) fn loses_front(&self, slot: usize, end: usize) -> bool {
        self.holds_front(slot) && end > self.room.sliding
    }

    /// The keys and values of a slot's first `count` positions, of sliding layers those that they have. `None` where they
    /// cannot be read.
    pub(super) fn copy(&self, slot: usize, count: usize) -> Option<Copied> {
        let Slot { offset: from, broken: None } = self.slots[slot] else { return None };
        let mut rows = Vec::new();
        let read = self.buffers.iter().try_for_each(|buffer| {
            let held = count - buffer.lost(from).min(count);
            buffer.block.read(buffer.rows(slot, 0..held), &mut rows)
        });
        match read {
            Ok(()) => Some(Copied { rows, count, from }),
            Err(failure) => {
                tracing::warn!(target: "generate", slot, why = %failure, "keys and values could not be read");
                None
            }
        }
    }

    /// False when sliding layers have lost what the position behind the first `count` would see.
    pub(super) fn can_paste(&self, copied: &Copied, count: usize) -> bool {
        copied.from == 0 || count >= copied.from + self.room.seen
    }

    /// Writes the first `count` of copied positions into a slot. False where that cannot be: a slot that was empty still is.
    pub(super) fn paste(&mut self, slot: usize, copied: &Copied, count: usize) -> bool {
        if !self.can_paste(copied, count) {
            return false;
        }
        let mut rest = &copied.rows[..];
        let written = self.buffers.iter_mut().try_for_each(|buffer| {
            let lost = buffer.lost(copied.from);
            let pitch = (copied.count - lost) * buffer.port.position();
            let (rows, others) = rest.split_at(buffer.port.heads * pitch);
            rest = others;
            buffer.block.write(buffer.rows(slot, 0..count - lost), rows, pitch)
        });
        self.unsettled = true;
        match written {
            Ok(()) => {
                self.slots[slot].offset = copied.from;
                true
            }
            Err(failure) => {
                tracing::warn!(target: "generate", slot, why = %failure, "keys and values could not be written");
                false
            }
        }
    }

    /// Binds the rows of a range of slots as past and present, once they are where they ought to be.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        self.make_ready(slots.clone()).map_err(|failure| ort::Error::new(failure.to_string()))?;
        self.buffers.iter_mut().try_for_each(|buffer| buffer.bind(call, slots.clone()))
    }

    /// Waits for what was written and moved since the last run.
    ///
    /// # Errors
    /// When that has failed, or earlier a move in one of these slots.
    fn make_ready(&mut self, slots: Range<usize>) -> Result<(), Failure> {
        let broken = self.slots.get(slots).and_then(|slots| slots.iter().find_map(|slot| slot.broken.clone()));
        if let Some(failure) = broken {
            return Err(failure);
        }
        if self.unsettled {
            self.heap.settle()?;
            self.unsettled = false;
        }
        Ok(())
    }
}

impl Buffer {
    fn new(heap: &Heap, port: Port, slots: usize, length: usize) -> Result<Self, Fatal> {
        let bytes = [slots, port.heads, length]
            .iter()
            .try_fold(port.position(), |product, factor| product.checked_mul(*factor));
        let bytes = bytes.ok_or_else(|| Failure::new("more bytes than can be counted"));
        let block = bytes.and_then(|bytes| heap.zeroed(bytes)).map_err(|failure| {
            let message = format!("no memory for the keys and values of {slots} slots of {length} tokens: {failure}");
            Fatal::new(message, "lower generate.slots or generate.context")
        })?;
        Ok(Self { port, length, block })
    }

    /// Of `from` positions that sliding layers have lost, those that this one has.
    fn lost(&self, from: usize) -> usize {
        if self.port.sliding { from } else { 0 }
    }

    /// These positions of each head of a slot.
    fn rows(&self, slot: usize, positions: Range<usize>) -> Rows {
        let (heads, position) = (self.port.heads, self.port.position());
        let stride = self.length * position;
        let first = slot * heads * stride + positions.start * position;
        Rows { first, stride, count: heads, width: positions.len() * position }
    }

    /// Moves these positions to the front of each head of a slot.
    fn shift(&mut self, slot: usize, positions: Range<usize>) -> Result<(), Failure> {
        let distance = positions.start * self.port.position();
        self.block.shift(self.rows(slot, positions), distance)
    }

    fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        let (port, length) = (self.port, self.length);
        let row = port.heads * length * port.position();
        let region = self.block.region(slots.start * row, slots.len() * row);
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
        Arena::new(&Heap::Host, &[], 1, Room::windowed(10_000, SEEN, 256)).unwrap()
    }

    #[test]
    fn sliding_layers_lose_whole_tiles_that_nobody_sees_any_more() {
        for chunk in [1, 37, 127, 256] {
            let mut arena = arena();
            for start in (0..3000).step_by(chunk) {
                assert!(arena.make_room(0, start, chunk + 1), "{chunk} at {start}");
                let offset = arena.slots[0].offset;
                assert!(offset.is_multiple_of(TILE) && offset <= start.saturating_sub(SEEN), "{offset} at {start}");
            }
            assert!(arena.slots[0].offset > 2000, "chunks of {chunk}");
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
                assert!(arena.slots[0].offset <= start.saturating_sub(SEEN), "{count} at {start}");
            }
        }
    }

    #[test]
    fn what_is_more_than_can_be_fed_at_once_finds_no_room_and_moves_nothing_that_is_seen() {
        let mut arena = arena();
        assert_eq!(arena.most_at_once(), 256);
        assert!(!arena.make_room(0, SEEN + TILE - 1, 258));
        assert_eq!(arena.slots[0].offset, 0);
        let mut short = Arena::new(&Heap::Host, &[], 1, Room::windowed(300, SEEN, 256)).unwrap();
        assert_eq!(short.most_at_once(), 300, "nothing is out of reach in a short context");
        assert!(short.make_room(0, 299, 1) && !short.make_room(0, 299, 2));
        assert!(short.holds_front(0));
    }
}
