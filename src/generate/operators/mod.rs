//! The operators of our own that `decoder_slots` uses on the CPU, as ONNX Runtime calls them: `SlotAttention`,
//! `RotaryTurns`, `RoundRows`, `BlockProducts`. They run on the session's own threads.

mod attention;
mod blocks;
mod course;
mod heads;
mod kept;
mod mixing;
mod products;
mod rounding;
mod turns;

use std::{marker::PhantomData, sync::Mutex};

use half::f16;
use ort::{
    operator::{ComputeContext, OperatorDomain},
    value::{DynValue, ValueRef},
};

use attention::SlotAttention;
use blocks::BlockProducts;
pub(super) use mixing::TILE;
use rounding::RoundRows;
use turns::RotaryTurns;

/// The domain that all of them belong to; exported graphs name it (`bundle::graph::OWN`).
const DOMAIN: &str = "lapidary";

/// All of them, for one session.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?
        .add(SlotAttention::<f32>(PhantomData))?
        .add(SlotAttention::<f16>(PhantomData))?
        .add(RotaryTurns)?
        .add(RoundRows)?
        .add(BlockProducts::default())
}

/// The vectors that this processor has, in words.
pub fn describe_vectors() -> &'static str {
    blocks::describe_vectors()
}

/// Does this processor have vectors that products of blocks of 4 bits are written for? Loops do it elsewhere, slowly.
pub(super) fn multiplies_blocks_quickly() -> bool {
    blocks::are_quick()
}

/// An input that must be there.
fn input(context: &ComputeContext, index: usize) -> ort::Result<ValueRef<'_>> {
    context.input(index)?.ok_or_else(|| wrong(format!("input {index} is missing")))
}

/// Shape and values of a float tensor.
fn floats(value: &DynValue) -> ort::Result<(Vec<usize>, &[f32])> {
    let (shape, values) = value.try_extract_tensor::<f32>()?;
    Ok((lengths(shape), values))
}

/// The values of a tensor of keys or values.
fn values_of<K: kept::Kept>(value: &DynValue) -> ort::Result<&[K]> {
    Ok(value.try_extract_tensor::<K>()?.1)
}

/// Values of a tensor of whole numbers, none below 0.
fn places(value: &DynValue) -> ort::Result<Vec<usize>> {
    let (_, values) = value.try_extract_tensor::<i64>()?;
    let place = |value: &i64| usize::try_from(*value).map_err(|_| wrong(format!("the place {value} is below 0")));
    values.iter().map(place).collect()
}

fn lengths(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect()
}

fn shape(lengths: &[usize]) -> Vec<i64> {
    lengths.iter().map(|length| *length as i64).collect()
}

fn wrong(what: impl Into<String>) -> ort::Error {
    ort::Error::new(what.into())
}

/// Parts of a buffer that several threads write, each its own.
fn parts(buffer: &mut [f32], length: usize) -> Vec<Mutex<&mut [f32]>> {
    buffer.chunks_exact_mut(length.max(1)).map(Mutex::new).collect()
}
