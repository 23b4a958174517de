//! `SlotAttention`: queries, keys and values of any tokens of any slots in, what each token makes of its slot out.
//!
//! Queries and keys are normed and turned, values normed; then keys and values are written where the tokens stand, in the
//! memory that past and present share. Each token sees its own slot up to its own place or to the end of its picture, of
//! sliding layers within the window. A layer that shares keys and values gives none and reads its donor's.

use std::{marker::PhantomData, ops::Range, sync::Mutex};

use ort::{
    operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput},
    value::{
        DynTensorValueType, DynValue,
        TensorElementType::{Float32, Int64},
        ValueRef,
    },
};
use pulp::Arch;

use super::{floats, heads, input, kept::Kept, lengths, mixing::Block, parts, places, shape, values_of, wrong};

/// Rows of queries that are computed together.
const ROWS: usize = 32;

/// The operator over buffers of `K`; ONNX Runtime takes the one whose type the graph declares.
pub(super) struct SlotAttention<K>(pub(super) PhantomData<K>);

/// The kernel of one node.
pub(super) struct Attention<K> {
    attending: Attending,
    kept: PhantomData<K>,
}

/// What a node says of its layer.
struct Attending {
    heads: usize,
    kv_heads: usize,
    /// 0 for a layer that sees everything.
    window: usize,
    epsilon: f32,
    arch: Arch,
}

impl<K: Kept> Operator for SlotAttention<K> {
    type Kernel<'attr> = Attention<K>;

    fn name(&self) -> &str {
        "SlotAttention"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        // Queries, past keys and values, slots, places, cos, sin, the norm of queries.
        let needed =
            [Float32, K::ELEMENT, K::ELEMENT, Int64, Int64, Float32, Float32, Float32].map(OperatorInput::required);
        // Keys, values, the norm of keys, ends.
        let optional = [Float32, Float32, Float32, Int64].map(OperatorInput::optional);
        needed.into_iter().chain(optional)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32), OperatorOutput::optional(K::ELEMENT), OperatorOutput::optional(K::ELEMENT)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let whole = |name: &str| {
            let value: Option<i64> = node.get(name);
            value.and_then(|value| usize::try_from(value).ok()).ok_or_else(|| wrong(format!("no attribute {name}")))
        };
        let (heads, kv_heads) = (whole("num_heads")?, whole("kv_num_heads")?);
        if kv_heads == 0 || heads % kv_heads != 0 {
            return Err(wrong(format!("{heads} heads do not share {kv_heads}")));
        }
        let epsilon = node.get("epsilon").ok_or_else(|| wrong("no attribute epsilon"))?;
        let attending = Attending { heads, kv_heads, window: whole("window")?, epsilon, arch: Arch::new() };
        Ok(Attention { attending, kept: PhantomData })
    }
}

/// Where the tokens of a call stand.
struct Tokens<'a> {
    slots: Vec<usize>,
    places: Vec<usize>,
    /// The last place that each sees.
    ends: Vec<usize>,
    /// `[tokens, head_dim / 2]`.
    cos: &'a [f32],
    sin: &'a [f32],
    half: usize,
}

/// Tokens of one slot that go through one head of keys together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    tokens: Range<usize>,
    head: usize,
}

impl<K: Kept> Kernel for Attention<K> {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let of = &self.attending;
        let values: Vec<ValueRef> = (0..8).map(|index| input(context, index)).collect::<ort::Result<_>>()?;
        let (query_lengths, queries) = floats(&values[0])?;
        let (query_norm, ends) = (floats(&values[7])?.1, context.input(11)?);
        let buffer = lengths(values[1].shape());
        let tokens = of.tokens(&values, ends.as_deref(), &buffer)?;
        let width = of.check(&query_lengths, &buffer, &tokens, query_norm)?;
        let mut mixed = context.output(0, shape(&query_lengths))?.ok_or_else(|| wrong("no place for the result"))?;
        let mixed = mixed.try_extract_tensor_mut::<f32>()?.1;
        let Some(keys) = context.input(8)? else {
            let (past_keys, past_values) = (values_of::<K>(&values[1])?, values_of::<K>(&values[2])?);
            let reading = Reading { of, tokens: &tokens, queries, query_norm, buffer: &buffer, width };
            return reading.mix(context, [past_keys, past_values], mixed);
        };
        let (of_values, key_norm) = (input(context, 9)?, input(context, 10)?);
        let mut presents = [1, 2].map(|index| context.output(index, shape(&buffer)));
        let [present_keys, present_values] = &mut presents;
        let (present_keys, present_values) =
            (in_place::<K>(present_keys, input(context, 1)?)?, in_place::<K>(present_values, input(context, 2)?)?);
        let new = [floats(&keys)?.1, floats(&of_values)?.1];
        of.store(&tokens, new, floats(&key_norm)?.1, &buffer, [&mut *present_keys, &mut *present_values])?;
        let reading = Reading { of, tokens: &tokens, queries, query_norm, buffer: &buffer, width };
        reading.mix(context, [present_keys, present_values], mixed)
    }
}

/// The values of a present, which must lie where the past lies.
fn in_place<'a, K: Kept>(
    present: &'a mut ort::Result<Option<ort::value::ValueRefMut<'_>>>,
    past: ValueRef,
) -> ort::Result<&'a mut [K]> {
    let present = match present {
        Ok(Some(present)) => present,
        Ok(None) => return Err(wrong("a present is not asked for")),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let past = past.downcast::<DynTensorValueType>()?.data_ptr();
    let values = present.try_extract_tensor_mut::<K>()?.1;
    if values.as_ptr().cast() != past {
        return Err(wrong("past and present must be the same memory"));
    }
    Ok(values)
}

impl Attending {
    fn tokens<'a>(&self, values: &'a [ValueRef], ends: Option<&DynValue>, buffer: &[usize]) -> ort::Result<Tokens<'a>> {
        let (slots, at) = (places(&values[3])?, places(&values[4])?);
        let ends = ends.map_or_else(|| Ok(at.clone()), places)?;
        let ((_, cos), (_, sin)) = (floats(&values[5])?, floats(&values[6])?);
        let half = buffer.last().map_or(0, |width| width / 2);
        Ok(Tokens { slots, places: at, ends, cos, sin, half })
    }

    /// Everything fits together, so that nothing is read or written beyond an end. Returns the width of a head.
    fn check(&self, queries: &[usize], buffer: &[usize], tokens: &Tokens, norm: &[f32]) -> ort::Result<usize> {
        let &[slots, heads, length, width] = buffer else { return Err(wrong("buffers have four axes")) };
        let count = tokens.slots.len();
        let sizes = [heads == self.kv_heads, queries == [1, count, self.heads * width], norm.len() == width];
        let same = [tokens.places.len(), tokens.ends.len()] == [count; 2];
        let turns = [tokens.cos.len(), tokens.sin.len()] == [count * tokens.half; 2];
        let inside = |((slot, place), end): ((&usize, &usize), &usize)| *slot < slots && place <= end && *end < length;
        let all = same && tokens.slots.iter().zip(&tokens.places).zip(&tokens.ends).all(inside);
        match sizes.iter().all(|holds| *holds) && turns && all && width > 0 {
            true => Ok(width),
            false => Err(wrong(format!("tokens, places and buffers of {buffer:?} do not fit together"))),
        }
    }

    /// Writes the keys and values of all tokens where they stand.
    fn store<K: Kept>(
        &self,
        tokens: &Tokens,
        [keys, values]: [&[f32]; 2],
        norm: &[f32],
        buffer: &[usize],
        [key_buffer, value_buffer]: [&mut [K]; 2],
    ) -> ort::Result<()> {
        let (length, width) = (buffer[2], buffer[3]);
        let row = self.kv_heads * width;
        if [keys.len(), values.len()] != [tokens.slots.len() * row; 2] || norm.len() != width {
            return Err(wrong("keys and values do not fit the buffers"));
        }
        let mut made = vec![0.0; width];
        for (token, (keys, values)) in keys.chunks_exact(row).zip(values.chunks_exact(row)).enumerate() {
            let (cos, sin) = tokens.turns(token);
            for (head, (key, value)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
                let row = (tokens.slots[token] * self.kv_heads + head) * length + tokens.places[token];
                let place = row * width..(row + 1) * width;
                made.copy_from_slice(key);
                heads::norm(self.arch, &mut made, Some(norm), self.epsilon);
                heads::turn(self.arch, &mut made, cos, sin);
                K::keep(&made, &mut key_buffer[place.clone()]);
                made.copy_from_slice(value);
                heads::norm(self.arch, &mut made, None, self.epsilon);
                K::keep(&made, &mut value_buffer[place]);
            }
        }
        Ok(())
    }

    /// The work of a call: neighbours of one slot go together.
    fn pieces(&self, slots: &[usize]) -> Vec<Piece> {
        let together = (ROWS * self.kv_heads / self.heads).max(1);
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < slots.len() {
            let same = slots[start..].iter().take_while(|slot| **slot == slots[start]).count();
            let tokens = start..start + same.min(together);
            start = tokens.end;
            pieces.extend((0..self.kv_heads).map(|head| Piece { tokens: tokens.clone(), head }));
        }
        pieces
    }
}

impl Tokens<'_> {
    fn turns(&self, token: usize) -> (&[f32], &[f32]) {
        let of = token * self.half..(token + 1) * self.half;
        (&self.cos[of.clone()], &self.sin[of])
    }
}

/// The queries of a call, to be answered from buffers of keys and values.
struct Reading<'a> {
    of: &'a Attending,
    tokens: &'a Tokens<'a>,
    queries: &'a [f32],
    query_norm: &'a [f32],
    buffer: &'a [usize],
    width: usize,
}

impl Reading<'_> {
    fn mix<K: Kept>(&self, context: &ComputeContext, [keys, values]: [&[K]; 2], mixed: &mut [f32]) -> ort::Result<()> {
        let pieces = self.of.pieces(&self.tokens.slots);
        let taken = self.of.heads / self.of.kv_heads;
        let rows = parts(mixed, taken * self.width);
        let row = |piece: &Piece, token: usize| token * self.of.kv_heads + piece.head;
        context.par_for(pieces.len(), 0, |index| {
            let piece = &pieces[index];
            let queries = self.queries_of(piece, taken, &|token| row(piece, token));
            let seen: Vec<Range<usize>> =
                piece.tokens.clone().flat_map(|token| std::iter::repeat_n(self.seen(token), taken)).collect();
            let (slot, length) = (self.tokens.slots[piece.tokens.start], self.buffer[2]);
            let head = (slot * self.of.kv_heads + piece.head) * length * self.width;
            let of = head..head + length * self.width;
            let (keys, values) = (&keys[of.clone()], &values[of]);
            let block = Block { queries: &queries, seen: &seen, keys, values, width: self.width };
            let mut made = vec![0.0; queries.len()];
            block.mix(self.of.arch, &mut made);
            for (token, made) in piece.tokens.clone().zip(made.chunks_exact(taken * self.width)) {
                put(&rows[row(piece, token)], made);
            }
        })
    }

    /// The rows of a piece, normed and turned.
    fn queries_of(&self, piece: &Piece, taken: usize, row: &dyn Fn(usize) -> usize) -> Vec<f32> {
        let length = taken * self.width;
        let raw = piece.tokens.clone().flat_map(|token| &self.queries[row(token) * length..(row(token) + 1) * length]);
        let mut queries: Vec<f32> = raw.copied().collect();
        for (token, rows) in piece.tokens.clone().zip(queries.chunks_exact_mut(length)) {
            let (cos, sin) = self.tokens.turns(token);
            for head in rows.chunks_exact_mut(self.width) {
                heads::norm(self.of.arch, head, Some(self.query_norm), self.of.epsilon);
                heads::turn(self.of.arch, head, cos, sin);
            }
        }
        queries
    }

    fn seen(&self, token: usize) -> Range<usize> {
        let place = self.tokens.places[token];
        let first = if self.of.window == 0 { 0 } else { (place + 1).saturating_sub(self.of.window) };
        first..self.tokens.ends[token] + 1
    }
}

fn put(row: &Mutex<&mut [f32]>, made: &[f32]) {
    if let Ok(mut row) = row.lock() {
        row.copy_from_slice(made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attending(heads: usize, kv_heads: usize) -> Attending {
        Attending { heads, kv_heads, window: 0, epsilon: 1e-6, arch: Arch::new() }
    }

    #[test]
    fn tokens_of_one_slot_go_together() {
        let tokens = |heads, kv_heads, slots: &[usize]| -> Vec<Range<usize>> {
            attending(heads, kv_heads).pieces(slots).into_iter().map(|piece| piece.tokens).collect()
        };
        assert_eq!(tokens(8, 1, &[0, 0, 0, 0, 0, 2, 2, 1]), [0..4, 4..5, 5..7, 7..8]);
        assert_eq!(tokens(4, 2, &[3, 3]), [0..2, 0..2], "one piece for each head of keys");
    }
}
