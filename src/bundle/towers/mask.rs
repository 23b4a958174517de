//! Hiding padding patches from attention by the dot product itself.
//!
//! Queries get one more dimension that holds 1, keys one that holds 0, or [`UNSEEN`] for padding. A mask or bias
//! input would do the same, but with one ONNX Runtime holds all scores at once (at the largest budget 12 heads x
//! 10080 x 10080 f32, 4.9 GB); without, it works block by block, in the same time.

use super::patches::Patches;
use crate::bundle::{
    VisionConfig,
    graph::{Graph, Value},
};

/// How many dimensions are added, all but the first 0: heads stay multiples of 8, which fused kernels ask for.
const WIDTH: usize = 8;

/// What a padding patch's key adds to every score: after the softmax nothing is left of it.
const UNSEEN: f32 = -1e9;

/// What stands behind every head, `[images, patches, heads, 8]` f32.
pub(super) struct Mask {
    /// Behind queries.
    pub query: Value,
    /// Behind keys.
    pub key: Value,
}

impl Mask {
    /// Hides the padding among `patches`.
    pub fn of(graph: &mut Graph, patches: &Patches, facts: &VisionConfig) -> Self {
        graph.set_scope("mask");
        let mut first = [0.0; WIDTH];
        first[0] = 1.0;
        let first = graph.floats(&first);
        let penalty = penalty(graph, patches);
        let every_head = graph.ints(&[1, 1, facts.heads as i64, 1]);
        let key = graph.mul(&penalty, &first);
        let key = graph.op("Expand", &[&key, &every_head], &[]);
        let shape = graph.op("Shape", &[&key], &[]);
        Self { query: graph.op("Expand", &[&first, &shape], &[]), key }
    }
}

/// `[images, patches, 1, 1]` f32: 0, or [`UNSEEN`] for padding.
fn penalty(graph: &mut Graph, patches: &Patches) -> Value {
    let (one, seen) = (graph.float(1.0), graph.float(-UNSEEN));
    let absence = graph.sub(&patches.weight, &one);
    let penalty = graph.mul(&absence, &seen);
    graph.reshape(&penalty, &[0, 0, 1, 1])
}
