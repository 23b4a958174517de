//! The patches of several pictures, where they sit, and their embedding.

use super::tower::{Tower, widths};
use crate::{
    base::Fatal,
    bundle::{
        Checkpoint, VisionConfig,
        graph::{Axis, Element, Graph, Value},
    },
};

const EMBEDDER: &str = "vision_tower.patch_embedder";

/// What is fed, taken apart. All but the pixels have the shape `[images, patches]`.
pub(super) struct Patches {
    /// `[images, patches, 3 * side * side]` f32 in [0, 1].
    pub pixels: Value,
    /// Column and row, i64, -1 for padding.
    pub places: [Value; 2],
    /// Column and row, i64, 0 for padding.
    pub clamped: [Value; 2],
    /// False for padding.
    pub present: Value,
    /// 0 for padding, else 1, f32.
    pub weight: Value,
}

impl Patches {
    /// Declares the two inputs.
    pub fn declare(graph: &mut Graph, facts: &VisionConfig) -> Self {
        let (images, count) = (Axis::Named("images"), Axis::Named("patches"));
        let width = Axis::Fixed(3 * facts.patch_size * facts.patch_size);
        let pixels = graph.input("pixel_values", Element::F32, &[images, count, width]);
        let ids = graph.input("pixel_position_ids", Element::I64, &[images, count, Axis::Fixed(2)]);
        graph.set_scope("patches");
        let places = [0, 1].map(|axis| along(graph, &ids, axis));
        let zero = graph.int(0);
        let clamped = [0, 1].map(|axis| graph.op("Max", &[&places[axis], &zero], &[]));
        let [present, weight] = presence(graph, &places);
        Self { pixels, places, clamped, present, weight }
    }

    /// `[images, patches, hidden]`: projected pixels plus the embeddings of column and row.
    pub fn embed(&self, tower: &mut Tower, facts: &VisionConfig) -> Result<Value, Fatal> {
        let (two, one) = (tower.graph.float(2.0), tower.graph.float(1.0));
        let doubled = tower.graph.mul(&self.pixels, &two);
        let centred = tower.graph.sub(&doubled, &one);
        let size = widths(3 * facts.patch_size * facts.patch_size, facts.hidden_size);
        let projected = tower.plain(&centred, &format!("{EMBEDDER}.input_proj.weight"), size)?;
        let placed = self.embed_places(tower, facts)?;
        Ok(tower.graph.add(&projected, &placed))
    }

    fn embed_places(&self, tower: &mut Tower, facts: &VisionConfig) -> Result<Value, Fatal> {
        let name = format!("{EMBEDDER}.position_embedding_table");
        let shape = [2, facts.positions, facts.hidden_size];
        tower.check(&name, &shape)?;
        let half = |axis: usize| {
            let name = name.clone();
            move |checkpoint: &Checkpoint| checkpoint.tensor(&name, &shape)?.part(axis..axis + 1).values()
        };
        let columns = tower.stored(&format!("{name}.columns"), &shape[1..], half(0))?;
        let rows = tower.stored(&format!("{name}.rows"), &shape[1..], half(1))?;
        let graph = &mut tower.graph;
        let columns = graph.gather(&columns, &self.clamped[0], 0);
        let rows = graph.gather(&rows, &self.clamped[1], 0);
        let sum = graph.add(&columns, &rows);
        let weight = graph.unsqueeze(&self.weight, &[-1]);
        Ok(graph.mul(&sum, &weight))
    }
}

fn along(graph: &mut Graph, ids: &Value, axis: i64) -> Value {
    let axis = graph.int(axis);
    graph.gather(ids, &axis, 2)
}

/// Whether a patch is there, as bool and as f32: padding has -1 on both axes.
fn presence(graph: &mut Graph, places: &[Value; 2]) -> [Value; 2] {
    let nowhere = graph.int(-1);
    let outside = [0, 1].map(|axis| graph.op("Equal", &[&places[axis], &nowhere], &[]));
    let padding = graph.op("And", &[&outside[0], &outside[1]], &[]);
    let present = graph.op("Not", &[&padding], &[]);
    let weight = graph.cast(&present, Element::F32);
    [present, weight]
}
