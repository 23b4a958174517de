//! Attention of one conformer block: every row sees itself and the rows shortly before it, with a bias that depends on
//! how far away they are.

use ndarray::{Array2, s};

use super::{
    super::{
        Part, Weights,
        elementary::{softcap, softmax, softplus},
    },
    Clips,
};
use crate::{base::Fatal, bundle::AudioConfig};

/// Slowest sinusoid of the distances.
const SLOWEST: f64 = 1e4;

/// `[rows, hidden]` in and out; `linear` applies the map of that name.
pub fn attention(
    weights: &Weights,
    config: &AudioConfig,
    prefix: &str,
    x: &Array2<f32>,
    clips: &Clips,
    linear: impl Fn(&str, &Array2<f32>, usize) -> Result<Array2<f32>, Fatal>,
) -> Result<Array2<f32>, Fatal> {
    let width = config.hidden_size;
    let heads = Heads {
        queries: scaled_queries(weights, config, prefix, linear("self_attn.q_proj", x, width)?)?,
        keys: linear("self_attn.k_proj", x, width)? * ((1.0 + std::f32::consts::E).ln() / std::f32::consts::LN_2),
        values: linear("self_attn.v_proj", x, width)?,
        distances: distances(weights, config, prefix)?,
    };
    let mut mixed = Array2::zeros(x.dim());
    for span in &clips.spans {
        for row in span.clone() {
            let first = span.start.max((row + 2).saturating_sub(config.context_left));
            let seen: Vec<usize> = (first..row + 1).filter(|&key| clips.valid[key]).collect();
            heads.mix(config, row, &seen, &mut mixed);
        }
    }
    linear("self_attn.post", &mixed, width)
}

/// All `[rows, heads * width]`, `distances` with a row for each distance from 0 on.
struct Heads {
    queries: Array2<f32>,
    keys: Array2<f32>,
    values: Array2<f32>,
    distances: Array2<f32>,
}

impl Heads {
    /// What row number `row` makes of those that it sees; nothing when it sees none.
    fn mix(&self, config: &AudioConfig, row: usize, seen: &[usize], mixed: &mut Array2<f32>) {
        let width = config.hidden_size / config.heads;
        for from in (0..config.hidden_size).step_by(width) {
            let head = s![from..from + width];
            let query = self.queries.row(row).slice_move(head);
            let score = |&key: &usize| {
                let (key, distance) = (self.keys.row(key), self.distances.row(row - key));
                let score = query.dot(&key.slice(head)) + query.dot(&distance.slice(head));
                softcap(score, config.logit_cap)
            };
            let mut shares: Vec<f32> = seen.iter().map(score).collect();
            softmax(&mut shares);
            let mut target = mixed.row_mut(row).slice_move(head);
            seen.iter()
                .zip(shares)
                .for_each(|(&key, share)| target.scaled_add(share, &self.values.row(key).slice(head)));
        }
    }
}

/// Every value of a head has a scale of its own.
fn scaled_queries(
    weights: &Weights,
    config: &AudioConfig,
    prefix: &str,
    mut queries: Array2<f32>,
) -> Result<Array2<f32>, Fatal> {
    let width = config.hidden_size / config.heads;
    let scale = weights.vector(&format!("{prefix}.self_attn.per_dim_scale"), width)?;
    let common = (width as f32).powf(-0.5) / std::f32::consts::LN_2;
    for mut row in queries.rows_mut() {
        row.iter_mut().zip(scale.iter().cycle()).for_each(|(value, &scale)| *value *= common * softplus(scale));
    }
    Ok(queries)
}

/// The sinusoids of the distances, sines then cosines, projected: `[distances, heads * width]`.
fn distances(weights: &Weights, config: &AudioConfig, prefix: &str) -> Result<Array2<f32>, Fatal> {
    let half = config.hidden_size / 2;
    let slowness = |index: usize| SLOWEST.powf(-(index as f64) / (half.max(2) - 1) as f64);
    let wave = |(distance, index): (usize, usize)| {
        let angle = distance as f64 * slowness(index % half);
        (if index < half { angle.sin() } else { angle.cos() }) as f32
    };
    let waves = Array2::from_shape_fn((config.context_left, 2 * half), wave);
    weights.linear(Part::AroundAudio, &format!("{prefix}.self_attn.relative_k_proj.weight"), &waves, config.hidden_size)
}
