//! Rotary positions on two axes, arranged so that one rotation does both.
//!
//! The model rotates the first half of a head by the column and the second half by the row, each with its own pairs
//! (dimension `j` with `j + d/4` inside its half). Queries and keys only ever meet in a dot product, so their
//! dimensions may stand in any common order: with the quarters ordered 0, 2, 1, 3 all pairs are `d/2` apart, which
//! is the rotation that ONNX Runtime has as one operation. [`Rotary::order`] is applied to the weights on export.

use super::patches::Patches;
use crate::bundle::{
    VisionConfig,
    graph::{Attribute, Element, Graph, Value},
};

/// The angles of all patches.
pub(super) struct Rotary {
    /// `[images * patches, head_dim / 2]` f32.
    cosines: Value,
    /// The same shape.
    sines: Value,
    /// `[images, patches]` i64: each patch's row of the two tables.
    rows: Value,
    heads: i64,
}

impl Rotary {
    /// Computes the angles from the places of the patches.
    pub fn of(graph: &mut Graph, patches: &Patches, facts: &VisionConfig) -> Self {
        graph.set_scope("rotary");
        let frequencies = graph.floats(&frequencies(facts.head_dim, facts.rope_theta));
        let angles = [0, 1].map(|axis| {
            let place = graph.cast(&patches.places[axis], Element::F32);
            let place = graph.unsqueeze(&place, &[-1]);
            graph.mul(&place, &frequencies)
        });
        let angles = graph.concat(&[&angles[0], &angles[1]], -1);
        let angles = graph.reshape(&angles, &[-1, facts.head_dim as i64 / 2]);
        let cosines = graph.op("Cos", &[&angles], &[]);
        let sines = graph.op("Sin", &[&angles], &[]);
        Self { cosines, sines, rows: numbered(graph, &patches.present), heads: facts.heads as i64 }
    }

    /// Turns queries or keys, `[images, patches, heads * head_dim]` in the order of [`Rotary::order`].
    pub fn turn(&self, graph: &mut Graph, x: &Value) -> Value {
        let inputs = [x, &self.rows, &self.cosines, &self.sines];
        graph.contrib("RotaryEmbedding", &inputs, &[("num_heads", Attribute::Int(self.heads))])
    }

    /// Which of the model's dimensions of one head stands at each place: quarters 0, 2, 1, 3.
    pub fn order(head_dim: usize) -> Vec<usize> {
        let quarter = head_dim / 4;
        [0, 2, 1, 3].iter().flat_map(|part| part * quarter..(part + 1) * quarter).collect()
    }
}

/// `theta^(-2j / (d/2))` for the `d/4` pairs of one axis.
fn frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
    let half = (head_dim / 2) as f64;
    (0..head_dim / 4).map(|pair| theta.powf(-2.0 * pair as f64 / half) as f32).collect()
}

/// `0..images * patches` in the shape of `like`.
fn numbered(graph: &mut Graph, like: &Value) -> Value {
    let shape = graph.op("Shape", &[like], &[]);
    let count = graph.op("Size", &[like], &[]);
    let (zero, one) = (graph.int(0), graph.int(1));
    let numbers = graph.op("Range", &[&zero, &count, &one], &[]);
    graph.op("Reshape", &[&numbers, &shape], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_of_both_axes_end_up_half_a_head_apart() {
        let order = Rotary::order(16);
        assert_eq!(order, [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]);
        for (low, high) in order[..8].iter().zip(&order[8..]) {
            assert_eq!(low + 4, *high);
        }
    }

    #[test]
    fn frequencies_fall_from_one_by_powers_of_theta() {
        assert_eq!(frequencies(16, 100.0), [1.0, 0.316_227_77, 0.1, 0.031_622_775]);
    }
}
