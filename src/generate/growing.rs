//! Keys and values that grow: each slot holds the tensors that its last run gave, and feeds them to the next. For
//! decoders whose present is another tensor than their past; such slots are run alone.

use std::ops::Range;

use super::{
    cache::Port,
    raw::{Call, Fetched, Memory},
};

/// The tensors of all slots.
pub(super) struct Growing {
    ports: Vec<Port>,
    /// One tensor per port; none while the slot is empty.
    slots: Vec<Vec<Past>>,
}

enum Past {
    /// Of an earlier run.
    Given(Fetched),
    /// The beginning of another slot's: `count` positions.
    Copied { memory: Memory, count: usize },
}

impl Growing {
    pub(super) fn new(ports: &[Port], slots: usize) -> Self {
        Self { ports: ports.to_vec(), slots: (0..slots).map(|_| Vec::new()).collect() }
    }

    /// Bytes of `count` positions.
    pub(super) fn bytes_of(&self, count: usize) -> usize {
        self.ports.iter().map(|port| count * port.heads * port.position()).sum()
    }

    /// `None` when the slot does not hold its positions from the first on, as where a decoder keeps only a window.
    pub(super) fn copy(&self, slot: usize, count: usize) -> Option<Vec<u8>> {
        let mut rows = Vec::new();
        if self.slots[slot].is_empty() {
            return None;
        }
        for (port, past) in self.ports.iter().zip(&self.slots[slot]) {
            let Past::Given(tensor) = past else { return None };
            let length = *tensor.shape().get(2)?;
            if tensor.element() != port.element
                || tensor.shape() != [1, port.heads, length, port.head_dim]
                || length < count
            {
                return None;
            }
            let heads = tensor.bytes().chunks_exact(length * port.position());
            heads.for_each(|head| rows.extend_from_slice(&head[..count * port.position()]));
        }
        Some(rows)
    }

    /// False when there is no memory; the slot is empty then.
    pub(super) fn paste(&mut self, slot: usize, rows: &[u8], held: usize, count: usize) -> bool {
        let mut rest = rows;
        let mut pasts = Vec::new();
        for port in &self.ports {
            let (tensor, others) = rest.split_at(held * port.heads * port.position());
            rest = others;
            let Some(mut memory) = Memory::zeroed(count * port.heads * port.position()) else { break };
            let heads = tensor.chunks_exact(held * port.position());
            let places = memory.bytes_mut().chunks_exact_mut(count * port.position());
            places.zip(heads).for_each(|(place, head)| place.copy_from_slice(&head[..count * port.position()]));
            pasts.push(Past::Copied { memory, count });
        }
        let whole = pasts.len() == self.ports.len();
        self.slots[slot] = if whole { pasts } else { Vec::new() };
        whole
    }

    /// False when there is no memory, or the positions are not all there; the slot is empty then.
    pub(super) fn retract(&mut self, slot: usize, length: usize) -> bool {
        if length == 0 {
            self.forget(slot);
            return true;
        }
        let held = match self.slots[slot].first() {
            Some(Past::Given(tensor)) => tensor.shape().get(2).copied().unwrap_or(0),
            Some(Past::Copied { count, .. }) => *count,
            None => 0,
        };
        if held == length {
            return true;
        }
        let kept = self.copy(slot, length).is_some_and(|rows| self.paste(slot, &rows, length, length));
        if !kept {
            self.forget(slot);
        }
        kept
    }

    pub(super) fn forget(&mut self, slot: usize) {
        if let Some(pasts) = self.slots.get_mut(slot) {
            pasts.clear();
        }
    }

    /// Feeds the pasts of one slot and asks for its presents.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        let (1, Some(pasts)) = (slots.len(), self.slots.get(slots.start)) else {
            return Err(ort::Error::new("growing keys and values are run slot by slot"));
        };
        for (index, port) in self.ports.iter().enumerate() {
            match pasts.get(index) {
                Some(Past::Given(tensor)) => call.feed_fetched(port.past, tensor),
                Some(Past::Copied { memory, count }) => {
                    call.feed_memory(port.past, memory, port.element, &[1, port.heads, *count, port.head_dim])?;
                }
                None => call.feed_nothing(port.past, port.element, &[1, port.heads, 0, port.head_dim])?,
            }
            call.fetch(port.present);
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, slot: usize, presents: Vec<Fetched>) {
        self.slots[slot] = presents.into_iter().map(Past::Given).collect();
    }
}
