//! A mixture of experts: the router gives every token to a few small MLPs and adds up what they make of it.

use ndarray::{Array2, Axis, s};

use super::super::{
    Part, Weights,
    elementary::{gelu_tanh, rms_norm, softmax},
};
use crate::{base::Fatal, bundle::ExpertsConfig};

/// `[rows, hidden]`: the experts' sum. The router looks at `stream`, the experts at `input`.
pub fn experts(
    weights: &Weights,
    facts: &ExpertsConfig,
    prefix: &str,
    stream: &Array2<f32>,
    input: &Array2<f32>,
    epsilon: f32,
) -> Result<Array2<f32>, Fatal> {
    let shares = route(weights, facts, prefix, stream, epsilon)?;
    let mut sum = Array2::zeros(input.dim());
    for expert in 0..facts.count {
        let rows: Vec<usize> = (0..input.nrows()).filter(|&row| shares[[row, expert]].is_some()).collect();
        if rows.is_empty() {
            continue;
        }
        let made = mlp(weights, facts, prefix, expert, &input.select(Axis(0), &rows))?;
        for (&row, made) in rows.iter().zip(made.rows()) {
            sum.row_mut(row).scaled_add(shares[[row, expert]].unwrap_or(0.0), &made);
        }
    }
    Ok(sum)
}

/// `[rows, experts]`: how much of each chosen expert's output counts.
fn route(
    weights: &Weights,
    facts: &ExpertsConfig,
    prefix: &str,
    stream: &Array2<f32>,
    epsilon: f32,
) -> Result<Array2<Option<f32>>, Fatal> {
    let width = stream.ncols();
    let scale = weights.vector(&format!("{prefix}.router.scale"), width)?;
    let scale: Vec<f32> = scale.into_iter().map(|value| value / (width as f32).sqrt()).collect();
    let normed = rms_norm(stream, Some(&scale), epsilon);
    let mut chances = weights.exact_linear(&format!("{prefix}.router.proj.weight"), &normed, facts.count)?;
    let own = weights.vector(&format!("{prefix}.router.per_expert_scale"), facts.count)?;
    let mut shares = Array2::from_elem(chances.dim(), None);
    for (mut chances, mut shares) in chances.rows_mut().into_iter().zip(shares.rows_mut()) {
        softmax(chances.as_slice_mut().unwrap_or_default());
        let mut order: Vec<usize> = (0..facts.count).collect();
        order.sort_by(|&a, &b| chances[b].total_cmp(&chances[a]));
        let chosen = &order[..facts.active];
        let sum: f32 = chosen.iter().map(|&expert| chances[expert]).sum();
        chosen.iter().for_each(|&expert| shares[expert] = Some(chances[expert] / sum * own[expert]));
    }
    Ok(shares)
}

/// One expert's gated MLP; its gate and its up lie in one tensor, one below the other.
fn mlp(
    weights: &Weights,
    facts: &ExpertsConfig,
    prefix: &str,
    expert: usize,
    x: &Array2<f32>,
) -> Result<Array2<f32>, Fatal> {
    let inner = facts.intermediate_size;
    let map = |name: &str, x: &Array2<f32>, outputs: usize| {
        weights.one_of(Part::Experts, &format!("{prefix}.experts.{name}"), x, [facts.count, outputs], expert)
    };
    let both = map("gate_up_proj", x, 2 * inner)?;
    let gate = both.slice(s![.., ..inner]).mapv(gelu_tanh);
    map("down_proj", &(gate * both.slice(s![.., inner..])), x.ncols())
}
