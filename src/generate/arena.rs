//! The keys and values of all slots: per layer one pair of buffers `[slots, heads, length, head_dim]`, allocated once.
//!
//! The same memory is bound as past and present, so attention writes new keys and values in place. A slot's rows are
//! contiguous: one sequence is prefilled through a view of them, and any range of slots is decoded through another.

use std::ops::Range;

use super::{
    network::{Input, Network, Output},
    raw::{Call, Element, Memory},
};
use crate::base::{Fatal, model::KvLayer};

/// The buffers of all layers.
pub(super) struct Arena {
    slots: usize,
    length: usize,
    layers: Vec<Layer>,
}

struct Layer {
    heads: usize,
    head_dim: usize,
    key: Buffer,
    value: Buffer,
}

struct Buffer {
    past: Input,
    present: Output,
    element: Element,
    memory: Memory,
}

impl Arena {
    /// Buffers for the decoder's `past_key_values.{i}` and `present.{i}`, in the type that it declares for them.
    ///
    /// # Errors
    /// When the decoder does not declare these layers, or there is not that much memory.
    pub(super) fn new(decoder: &Network, layers: &[KvLayer], slots: usize, length: usize) -> Result<Self, Fatal> {
        let layer = |(index, layer): (usize, &KvLayer)| Layer::new(decoder, index, layer, slots, length);
        let layers = layers.iter().enumerate().map(layer).collect::<Result<_, _>>()?;
        Ok(Self { slots, length, layers })
    }

    /// Positions of one slot.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// All that are bound as inputs.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input> + '_ {
        self.layers.iter().flat_map(|layer| [layer.key.past, layer.value.past])
    }

    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let of =
            |layer: &Layer| (layer.key.element.bytes() + layer.value.element.bytes()) * layer.heads * layer.head_dim;
        self.slots * self.length * self.layers.iter().map(of).sum::<usize>()
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
        for layer in &mut self.layers {
            for buffer in [&mut layer.key, &mut layer.value] {
                let position = layer.head_dim * buffer.element.bytes();
                let row = layer.heads * length * position;
                let bytes = &mut buffer.memory.bytes_mut()[slot * row..(slot + 1) * row];
                bytes.chunks_exact_mut(length * position).for_each(|head| visit(head, position));
            }
        }
    }

    /// Binds the rows of a range of slots as past and present.
    pub(super) fn bind<'a>(&'a mut self, call: &mut Call<'a>, slots: Range<usize>) -> ort::Result<()> {
        let length = self.length;
        for layer in &mut self.layers {
            let shape = [slots.len(), layer.heads, length, layer.head_dim];
            layer.key.bind(call, slots.start, shape)?;
            layer.value.bind(call, slots.start, shape)?;
        }
        Ok(())
    }
}

impl Layer {
    fn new(decoder: &Network, index: usize, layer: &KvLayer, slots: usize, length: usize) -> Result<Self, Fatal> {
        let buffer = |part: &str| Buffer::new(decoder, index, part, layer, slots, length);
        Ok(Self { heads: layer.heads, head_dim: layer.head_dim, key: buffer("key")?, value: buffer("value")? })
    }
}

impl Buffer {
    fn new(
        decoder: &Network,
        index: usize,
        part: &str,
        layer: &KvLayer,
        slots: usize,
        length: usize,
    ) -> Result<Self, Fatal> {
        let past = decoder.input(&format!("past_key_values.{index}.{part}"))?;
        let present = decoder.output(&format!("present.{index}.{part}"))?;
        let element = match decoder.declared(past) {
            (Some(element), [_, heads, _, head_dim])
                if agrees(*heads, layer.heads) && agrees(*head_dim, layer.head_dim) =>
            {
                element
            }
            _ => return Err(decoder.wrong(&format!("declares `past_key_values.{index}.{part}` unlike its manifest"))),
        };
        let bytes = [slots, layer.heads, length, layer.head_dim]
            .iter()
            .try_fold(element.bytes(), |product, factor| product.checked_mul(*factor));
        let memory = bytes.and_then(Memory::zeroed).ok_or_else(|| {
            let message = format!("no memory for the keys and values of {slots} slots of {length} tokens");
            Fatal::new(message, "lower generate.slots or generate.context")
        })?;
        Ok(Self { past, present, element, memory })
    }

    fn bind<'a>(&'a mut self, call: &mut Call<'a>, first: usize, shape: [usize; 4]) -> ort::Result<()> {
        let [rows, heads, length, head_dim] = shape;
        let row = heads * length * head_dim * self.element.bytes();
        let region = self.memory.region(first * row, rows * row);
        let region = region.ok_or_else(|| ort::Error::new("slots beyond the end of the buffers"))?;
        call.share(self.past, self.present, region, self.element, &shape)
    }
}

/// A declared length of -1 is open.
fn agrees(declared: i64, expected: usize) -> bool {
    declared < 0 || usize::try_from(declared) == Ok(expected)
}
