//! Pictures that are seen in both directions (26B-A4B and 31B): on sliding layers the soft tokens of one picture see
//! each other, whichever comes first, within the window (transformers' `create_masks_for_vision_model`).
//!
//! A picture is a run of positions whose `mm_token_type_ids` are 1 (image) or 2 (video). It must be fed in one run of
//! the graph: a key that comes with a later chunk cannot be seen. Runs without pictures pay nothing.

use crate::{
    base::Fatal,
    bundle::{
        draft::Draft,
        graph::{Attribute, Axis, Element, Graph, Value},
    },
};

/// What hides a key, added to its score; f16 holds it, and after the softmax nothing is left of the key.
const UNSEEN: f32 = -6e4;

/// Where the pictures of a run stand.
#[derive(Clone)]
pub struct Pictures {
    /// Bool scalar: the run holds any.
    pub any: Value,
    /// `[batch, 1, sequence, total]` at the bundle's dtype: 0 or [`UNSEEN`]. Of use only where there are any.
    pub bias: Value,
}

impl Pictures {
    /// Declares `mm_token_type_ids`. `total`, i32, is how far the buffers of sliding layers are filled.
    pub fn declare(draft: &mut Draft, window: usize, total: &Value) -> Result<Self, Fatal> {
        let shape = [Axis::Named("batch_size"), Axis::Named("sequence_length")];
        let kinds = draft.graph.input("mm_token_type_ids", Element::I64, &shape);
        draft.graph.set_scope("pictures");
        let seen = seen(&mut draft.graph, &kinds);
        let any = any(&mut draft.graph, &seen);
        let element = draft.dtype();
        let graph = &mut draft.graph;
        graph.open_body();
        let bias = bias(graph, &seen, window, total, element);
        let with = graph.close_body(&[(&bias, element)]);
        graph.open_body();
        let nothing = graph.float(0.0);
        let nothing = graph.cast(&nothing, element);
        let nothing = graph.reshape(&nothing, &[1, 1, 1, 1]);
        let without = graph.close_body(&[(&nothing, element)]);
        let branches = [("then_branch", Attribute::Graph(with)), ("else_branch", Attribute::Graph(without))];
        let bias = graph.op("If", &[&any], &branches);
        graph.set_scope("");
        Ok(Self { any, bias })
    }
}

/// `[batch, sequence]` bool: positions that show something.
fn seen(graph: &mut Graph, kinds: &Value) -> Value {
    let (image, video) = (graph.int(1), graph.int(2));
    let image = graph.op("Equal", &[kinds, &image], &[]);
    let video = graph.op("Equal", &[kinds, &video], &[]);
    graph.op("Or", &[&image, &video], &[])
}

fn any(graph: &mut Graph, seen: &Value) -> Value {
    let counted = graph.cast(seen, Element::I32);
    let most = graph.op("ReduceMax", &[&counted], &[("keepdims", Attribute::Int(0))]);
    graph.cast(&most, Element::Bool)
}

/// 0 where a position (third axis) may see a key (fourth axis), [`UNSEEN`] elsewhere.
fn bias(graph: &mut Graph, seen: &Value, window: usize, total: &Value, element: Element) -> Value {
    let total = graph.cast(total, Element::I64);
    let (zero, one, axis) = (graph.int(0), graph.int(1), graph.ints(&[1]));
    let shape = graph.op("Shape", &[seen], &[]);
    let length = graph.gather(&shape, &one, 0);
    let past = graph.sub(&total, &length);
    let queries = graph.op("Range", &[&past, &total, &one], &[]);
    let queries = graph.op("Unsqueeze", &[&queries, &axis], &[]);
    let keys = graph.op("Range", &[&zero, &total, &one], &[]);
    let together = same_picture(graph, seen, &past);
    let before = graph.op("LessOrEqual", &[&keys, &queries], &[]);
    let visible = graph.op("Or", &[&before, &together], &[]);
    let window = graph.int(window as i64);
    let horizon = graph.sub(&queries, &window);
    let near = graph.op("Greater", &[&keys, &horizon], &[]);
    let visible = graph.op("And", &[&visible, &near], &[]);
    let (zero, unseen) = (graph.float(0.0), graph.float(UNSEEN));
    let bias = graph.op("Where", &[&visible, &zero, &unseen], &[]);
    let bias = graph.unsqueeze(&bias, &[1]);
    graph.cast(&bias, element)
}

/// `[batch, sequence, total]` bool: query and key belong to one picture; what is past belongs to none.
fn same_picture(graph: &mut Graph, seen: &Value, past: &Value) -> Value {
    let number = numbers(graph, seen);
    let of_query = graph.unsqueeze(&number, &[2]);
    let of_key = graph.unsqueeze(&number, &[1]);
    let same = graph.op("Equal", &[&of_query, &of_key], &[]);
    let seen = graph.unsqueeze(seen, &[2]);
    let same = graph.op("And", &[&same, &seen], &[]);
    let same = graph.cast(&same, Element::I32);
    let (front, behind) = (graph.ints(&[0, 0]), graph.ints(&[0, 0, 0]));
    let past = graph.reshape(past, &[1]);
    let fill = graph.concat(&[&front, &past, &behind], 0);
    let filled = graph.op("Pad", &[&same, &fill], &[]);
    graph.cast(&filled, Element::Bool)
}

/// `[batch, sequence]` i32: the number of each position's picture, counted from 1; 0 where there is none.
fn numbers(graph: &mut Graph, seen: &Value) -> Value {
    let seen = graph.cast(seen, Element::I32);
    let before = graph.slice(&seen, 1, 0, -1);
    let fill = graph.ints(&[0, 1, 0, 0]);
    let before = graph.op("Pad", &[&before, &fill], &[]);
    let begins = graph.op("Greater", &[&seen, &before], &[]);
    let begins = graph.cast(&begins, Element::I32);
    let axis = graph.int(1);
    let count = graph.op("CumSum", &[&begins, &axis], &[]);
    graph.mul(&count, &seen)
}
