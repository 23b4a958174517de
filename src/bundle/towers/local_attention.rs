//! Attention of the audio encoder: each step sees itself and the steps shortly before it, by relative position.
//!
//! Steps stand in blocks of `chunk` (12); a block of queries meets the keys of its own block and of the one before.
//! Shapes: `c` clips, `b` blocks, `h` heads, `q` = chunk queries, `k` = 2 chunk keys, `d` head width. A query sees
//! the keys at the distances 0 to 11; a score is `q . (key + r(distance))`, squeezed by `cap * tanh(x / cap)`.

use std::f64::consts::{E, LN_2};

use super::{
    subsampling::Frames,
    tower::{Tower, Widths, widths},
};
use crate::{
    base::Fatal,
    bundle::{
        AudioConfig,
        graph::{Attribute, Element, Graph, Value},
    },
};

/// The longest wavelength of the relative positions, over 2 pi.
const LONGEST: f64 = 10_000.0;

/// What all blocks of the encoder share: how steps stand in blocks, and who sees whom.
pub(super) struct Window {
    /// `[1]` i64: steps of the padded batch.
    steps: Value,
    /// `[6]` i64: what a `Pad` of `[clips, steps, hidden]` needs to fill the last block.
    fill: Value,
    /// `[c, b, 1, q, k]` bool.
    visible: Value,
    chunk: usize,
}

impl Window {
    /// Cuts the steps of `frames` into blocks.
    pub fn of(graph: &mut Graph, frames: &Frames, facts: &AudioConfig) -> Self {
        graph.set_scope("window");
        let chunk = facts.chunk;
        let axis = [("start", Attribute::Int(1)), ("end", Attribute::Int(2))];
        let steps = graph.op("Shape", &[&frames.present], &axis);
        let missing = missing(graph, &steps, chunk);
        let none = graph.ints(&[0, 0, 0, 0]);
        let last = graph.ints(&[0]);
        let fill = graph.concat(&[&none, &missing, &last], 0);
        let visible = visible(graph, frames, &missing, facts);
        Self { steps, fill, visible, chunk }
    }

    /// Adds the attention `name`. `x` and the result: `[clips, steps, hidden]`.
    pub fn attend(&self, tower: &mut Tower, x: &Value, name: &str, facts: &AudioConfig) -> Result<Value, Fatal> {
        let query = self.queries(tower, x, name, facts)?;
        let key = self.projected(tower, x, &format!("{name}.k_proj"), facts)?;
        let value = self.projected(tower, x, &format!("{name}.v_proj"), facts)?;
        let positions = relative_keys(tower, name, facts)?;
        let graph = &mut tower.graph;
        let key = with_previous(graph, &key, 5);
        let key = graph.transpose(&key, &[0, 1, 3, 4, 2]);
        let value = with_previous(graph, &value, 5);
        let value = graph.transpose(&value, &[0, 1, 3, 2, 4]);
        let by_content = graph.matmul(&query, &key);
        let by_distance = graph.matmul(&query, &positions);
        let by_distance = shifted(graph, &by_distance, facts);
        let scores = graph.add(&by_content, &by_distance);
        let shares = self.shares(graph, &scores, facts);
        let seen = graph.matmul(&shares, &value);
        let seen = self.in_a_row(graph, &seen, facts);
        tower.linear(&seen, &format!("{name}.post"), square(facts))
    }

    /// `[c, b, h, q, d]`.
    fn queries(&self, tower: &mut Tower, x: &Value, name: &str, facts: &AudioConfig) -> Result<Value, Fatal> {
        let scale = query_scale(tower, name, facts)?;
        let query = self.projected(tower, x, &format!("{name}.q_proj"), facts)?;
        let query = tower.graph.mul(&query, &scale);
        Ok(tower.graph.transpose(&query, &[0, 1, 3, 2, 4]))
    }

    /// `[c, b, q, h, d]`.
    fn projected(&self, tower: &mut Tower, x: &Value, name: &str, facts: &AudioConfig) -> Result<Value, Fatal> {
        let projected = tower.linear(x, name, square(facts))?;
        let filled = tower.graph.op("Pad", &[&projected, &self.fill], &[]);
        Ok(tower.graph.reshape(&filled, &[0, -1, self.chunk as i64, facts.heads as i64, head_dim(facts) as i64]))
    }

    /// The softmax of the squeezed scores of visible keys.
    fn shares(&self, graph: &mut Graph, scores: &Value, facts: &AudioConfig) -> Value {
        let (cap, invalid) = (graph.float(facts.logit_cap), graph.float(facts.invalid_logit));
        let squeezed = graph.div(scores, &cap);
        let squeezed = graph.op("Tanh", &[&squeezed], &[]);
        let squeezed = graph.mul(&squeezed, &cap);
        let masked = graph.op("Where", &[&self.visible, &squeezed, &invalid], &[]);
        graph.op("Softmax", &[&masked], &[("axis", Attribute::Int(-1))])
    }

    /// `[c, b, h, q, d]` to `[clips, steps, hidden]`.
    fn in_a_row(&self, graph: &mut Graph, blocks: &Value, facts: &AudioConfig) -> Value {
        let blocks = graph.transpose(blocks, &[0, 1, 3, 2, 4]);
        let row = graph.reshape(&blocks, &[0, -1, facts.hidden_size as i64]);
        let (start, axis) = (graph.ints(&[0]), graph.ints(&[1]));
        graph.op("Slice", &[&row, &start, &self.steps, &axis], &[])
    }
}

fn head_dim(facts: &AudioConfig) -> usize {
    facts.hidden_size / facts.heads
}

fn square(facts: &AudioConfig) -> Widths {
    widths(facts.hidden_size, facts.hidden_size)
}

/// `[1]` i64: how many steps the last block lacks.
fn missing(graph: &mut Graph, steps: &Value, chunk: usize) -> Value {
    let (zero, chunk) = (graph.ints(&[0]), graph.ints(&[chunk as i64]));
    let beyond = graph.sub(&zero, steps);
    graph.op("Mod", &[&beyond, &chunk], &[])
}

/// `[c, b, 1, q, k]` bool: the key is there and at a distance of 0 to `context_left - 2`.
fn visible(graph: &mut Graph, frames: &Frames, missing: &Value, facts: &AudioConfig) -> Value {
    let zeros = graph.ints(&[0, 0, 0]);
    let fill = graph.concat(&[&zeros, missing], 0);
    let present = graph.cast(&frames.present, Element::I32);
    let present = graph.op("Pad", &[&present, &fill], &[]);
    let present = graph.reshape(&present, &[0, -1, facts.chunk as i64]);
    let present = with_previous(graph, &present, 3);
    let present = graph.cast(&present, Element::Bool);
    let present = graph.unsqueeze(&present, &[2, 3]);
    let near: Vec<u8> = near(facts.chunk).into_iter().map(u8::from).collect();
    let near = graph.constant(Element::Bool, &[facts.chunk, 2 * facts.chunk], near);
    graph.op("And", &[&present, &near], &[])
}

/// `[q, k]`: key `k` of both blocks is at the distance `q + chunk - k`, which must be 0 to `chunk - 1`.
fn near(chunk: usize) -> Vec<bool> {
    let pairs = (0..chunk).flat_map(|query| (0..2 * chunk).map(move |key| (query, key)));
    pairs.map(|(query, key)| query < key && key <= query + chunk).collect()
}

/// `[c, b, q, ...]` to `[c, b, 2 q, ...]`: each block behind the one before it, the first behind zeros.
fn with_previous(graph: &mut Graph, blocks: &Value, rank: usize) -> Value {
    let earlier = graph.slice(blocks, 1, 0, -1);
    let mut one_before = vec![0; 2 * rank];
    one_before[1] = 1;
    let one_before = graph.ints(&one_before);
    let earlier = graph.op("Pad", &[&earlier, &one_before], &[]);
    graph.concat(&[&earlier, blocks], 2)
}

/// `[c, b, h, q, chunk + 1]` scores by distance, `chunk` first and 0 last, to `[c, b, h, q, k]`: row `q` moves `q`
/// places to the right. Padding each row to one more than `k` and reading in rows of `k` does it.
fn shifted(graph: &mut Graph, scores: &Value, facts: &AudioConfig) -> Value {
    let (queries, keys) = (facts.chunk as i64, 2 * facts.chunk as i64);
    let right = graph.ints(&[0, 0, 0, 0, 0, 0, 0, 0, 0, keys - queries]);
    let padded = graph.op("Pad", &[scores, &right], &[]);
    let flat = graph.reshape(&padded, &[0, 0, 0, -1]);
    let cut = graph.slice(&flat, 3, 0, queries * keys);
    graph.reshape(&cut, &[0, 0, 0, queries, keys])
}

/// `[d]` f32: everything that queries, and through them keys, are multiplied by.
fn query_scale(tower: &mut Tower, name: &str, facts: &AudioConfig) -> Result<Value, Fatal> {
    let name = format!("{name}.per_dim_scale");
    let shape = [head_dim(facts)];
    let fixed = (head_dim(facts) as f64).powf(-0.5) / LN_2 * key_scale();
    let scale = tower.values(&name, &shape)?;
    let scale: Vec<f32> = scale.iter().map(|&value| (softplus(value.into()) * fixed) as f32).collect();
    tower.floats(&name, &shape, &scale)
}

/// What the model multiplies its keys by; here the queries carry it.
fn key_scale() -> f64 {
    E.ln_1p() / LN_2
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `[h, d, chunk + 1]` f32: the keys of the distances, `chunk` first and 0 last. They depend on weights alone and are
/// multiplied out here; the scale that [`query_scale`] adds for the keys is taken out of them again.
fn relative_keys(tower: &mut Tower, name: &str, facts: &AudioConfig) -> Result<Value, Fatal> {
    let (heads, width, hidden) = (facts.heads, head_dim(facts), facts.hidden_size);
    let name = format!("{name}.relative_k_proj.weight");
    tower.check(&name, &[hidden, hidden])?;
    tower.made(&name, Element::F32, &[heads, width, facts.chunk + 1], |checkpoint| {
        let weight = checkpoint.values(&name, &[hidden, hidden])?;
        let waves: Vec<Vec<f64>> = (0..=facts.chunk).rev().map(|distance| waves(distance, hidden)).collect();
        let keys = weight.chunks_exact(hidden).flat_map(|row| waves.iter().map(move |wave| dot(row, wave)));
        Ok(keys.map(|key| (key / key_scale()) as f32).collect())
    })
}

/// Sines, then cosines of a distance at `hidden / 2` wavelengths.
fn waves(distance: usize, hidden: usize) -> Vec<f64> {
    let count = hidden / 2;
    let step = LONGEST.ln() / (count.max(2) - 1) as f64;
    let angles: Vec<f64> = (0..count).map(|wave| distance as f64 * (-step * wave as f64).exp()).collect();
    angles.iter().map(|angle| angle.sin()).chain(angles.iter().map(|angle| angle.cos())).collect()
}

fn dot(row: &[f32], wave: &[f64]) -> f64 {
    row.iter().zip(wave).map(|(&weight, value)| f64::from(weight) * value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_sees_itself_and_as_many_steps_before_it_as_fill_a_block() {
        let near = near(12);
        for query in 0..12 {
            let seen: Vec<usize> = (0..24).filter(|key| near[query * 24 + key]).collect();
            assert_eq!(seen, (query + 1..=query + 12).collect::<Vec<_>>());
        }
    }

    #[test]
    fn distance_zero_is_all_cosines() {
        assert_eq!(waves(0, 6), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn softplus_holds_at_both_ends() {
        assert!((softplus(0.0) - LN_2).abs() < 1e-15);
        assert_eq!(softplus(800.0), 800.0);
        assert_eq!(softplus(-800.0), 0.0);
    }
}
