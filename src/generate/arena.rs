//! The keys and values of all slots: per layer one pair of buffers `[slots, heads, length, head_dim]`, allocated once.
//!
//! The same memory is bound as past and present, so attention writes new keys and values in place. A slot's rows are
//! contiguous: one sequence is prefilled through a view of them, and any range of slots is decoded through another.

use std::ops::Range;

use super::{
    cache::Port,
    raw::{Call, Element, Memory},
};
use crate::base::Fatal;

/// The buffers of all layers.
pub(super) struct Arena {
    slots: usize,
    length: usize,
    buffers: Vec<Buffer>,
}

struct Buffer {
    port: Port,
    memory: Memory,
}

impl Arena {
    /// One buffer for each port, in the type that the decoder declares for it.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn new(ports: &[Port], slots: usize, length: usize) -> Result<Self, Fatal> {
        let buffer = |port: &Port| Buffer::new(*port, slots, length);
        Ok(Self { slots, length, buffers: ports.iter().map(buffer).collect::<Result<_, _>>()? })
    }

    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let of = |buffer: &Buffer| buffer.port.heads * buffer.port.position();
        self.slots * self.length * self.buffers.iter().map(of).sum::<usize>()
    }

    /// Fills all buffers with a repeated value in its element type.
    pub(super) fn fill(&mut self, single: [u8; 4], half: [u8; 2]) {
        for buffer in &mut self.buffers {
            let value: &[u8] = if buffer.port.element == Element::F16 { &half } else { &single };
            buffer.memory.bytes_mut().chunks_exact_mut(value.len()).for_each(|place| place.copy_from_slice(value));
        }
    }

    /// The keys and values of a slot's first `count` positions, layer by layer, head by head.
    pub(super) fn copy(&mut self, slot: usize, count: usize) -> Vec<u8> {
        let mut rows = Vec::new();
        self.heads(slot, |head, position| rows.extend_from_slice(&head[..count * position]));
        rows
    }

    /// Writes the first `count` of `held` positions that [`Arena::copy`] gave into a slot.
    pub(super) fn paste(&mut self, slot: usize, rows: &[u8], held: usize, count: usize) {
        let mut rest = rows;
        self.heads(slot, |head, position| {
            let (row, others) = rest.split_at(held * position);
            head[..count * position].copy_from_slice(&row[..count * position]);
            rest = others;
        });
    }

    /// Visits `[length, head_dim]` of each head of a slot, with the bytes of one position.
    fn heads(&mut self, slot: usize, mut visit: impl FnMut(&mut [u8], usize)) {
        let length = self.length;
        for Buffer { port, memory } in &mut self.buffers {
            let position = port.position();
            let row = port.heads * length * position;
            let bytes = &mut memory.bytes_mut()[slot * row..(slot + 1) * row];
            bytes.chunks_exact_mut(length * position).for_each(|head| visit(head, position));
        }
    }

    /// Binds the rows of a range of slots as past and present.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        let length = self.length;
        self.buffers.iter_mut().try_for_each(|buffer| buffer.bind(call, slots.clone(), length))
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
        Ok(Self { port, memory })
    }

    fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>, length: usize) -> ort::Result<()> {
        let port = self.port;
        let row = port.heads * length * port.position();
        let region = self.memory.region(slots.start * row, slots.len() * row);
        let region = region.ok_or_else(|| ort::Error::new("slots beyond the end of the buffers"))?;
        let shape = [slots.len(), port.heads, length, port.head_dim];
        call.share(port.past, port.present, region, port.element, &shape)
    }
}
