//! From patches to soft tokens: the mean of 3 x 3 neighbours, by position.

use super::patches::Patches;
use crate::bundle::{
    VisionConfig,
    graph::{Attribute, Element, Graph, Value},
};

/// `[tokens, hidden]`: pooled patches of all pictures, picture by picture and row by row, times the root of the width.
///
/// The pooled grid of each picture has its own width, taken from its own largest column. The mean is a product with
/// a membership matrix: at the largest budget 1120 x 10080, 1.5 % of the encoder's work.
pub(super) fn pool(graph: &mut Graph, patches: &Patches, hidden: &Value, facts: &VisionConfig) -> Value {
    let member = membership(graph, patches, facts.pooling as i64);
    let sums = graph.matmul(&member, hidden);
    let scale = (facts.hidden_size as f64).sqrt() / (facts.pooling * facts.pooling) as f64;
    let scale = graph.float(scale as f32);
    let pooled = graph.mul(&sums, &scale);
    let pooled = graph.reshape(&pooled, &[-1, facts.hidden_size as i64]);
    let used = used(graph, &member);
    graph.op("Compress", &[&pooled, &used], &[("axis", Attribute::Int(0))])
}

/// `[images, slots, patches]` f32: 1 where a patch belongs to a slot.
fn membership(graph: &mut Graph, patches: &Patches, side: i64) -> Value {
    let own = slots(graph, patches, side);
    let own = graph.unsqueeze(&own, &[1]);
    let every = every_slot(graph, &patches.present, side * side);
    let member = graph.op("Equal", &[&own, &every], &[]);
    graph.cast(&member, Element::F32)
}

/// `[images, patches]` i64: each patch's slot, -1 for padding.
fn slots(graph: &mut Graph, patches: &Patches, side: i64) -> Value {
    let [columns, rows] = &patches.clamped;
    let (side, one, nowhere, last_axis) = (graph.int(side), graph.int(1), graph.int(-1), graph.ints(&[1]));
    let widest = graph.op("ReduceMax", &[columns, &last_axis], &[("keepdims", Attribute::Int(1))]);
    let width = graph.add(&widest, &one);
    let width = graph.div(&width, &side);
    let column = graph.div(columns, &side);
    let row = graph.div(rows, &side);
    let start = graph.mul(&width, &row);
    let slot = graph.add(&column, &start);
    graph.op("Where", &[&patches.present, &slot, &nowhere], &[])
}

/// `[1, slots, 1]` i64: the numbers of all slots that `patches` patches can fill.
fn every_slot(graph: &mut Graph, present: &Value, per_slot: i64) -> Value {
    let shape = graph.op("Shape", &[present], &[]);
    let (zero, one) = (graph.int(0), graph.int(1));
    let patches = graph.gather(&shape, &one, 0);
    let (round_up, per_slot) = (graph.int(per_slot - 1), graph.int(per_slot));
    let patches = graph.add(&patches, &round_up);
    let count = graph.div(&patches, &per_slot);
    let numbers = graph.op("Range", &[&zero, &count, &one], &[]);
    graph.reshape(&numbers, &[1, -1, 1])
}

/// `[images * slots]` bool: which slots hold any patch.
fn used(graph: &mut Graph, member: &Value) -> Value {
    let patches = graph.ints(&[2]);
    let any = graph.op("ReduceMax", &[member, &patches], &[("keepdims", Attribute::Int(0))]);
    let any = graph.cast(&any, Element::Bool);
    graph.reshape(&any, &[-1])
}
