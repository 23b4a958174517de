//! How each kind of tensor is drawn, so that no part of a random model is switched off or saturated and activations
//! keep their size: the laws of onnx/reference/checkpoint.py, with norms near one and clip bounds out of the way.

use super::Drawing;

/// Far beyond what a random model's encoders make.
const BOUND: f32 = 64.0;

/// The law for the tensor of that name and shape.
pub fn law(seed: u64, name: &str, shape: &[usize]) -> Drawing {
    let (mean, deviation) = moments(name, shape);
    Drawing::new(seed, name, mean, deviation)
}

fn moments(name: &str, shape: &[usize]) -> (f32, f32) {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let last = shape.last().copied().unwrap_or(1) as f32;
    match name {
        _ if ends(&["input_min", "output_min"]) => (-BOUND, 0.0),
        _ if ends(&["input_max", "output_max"]) => (BOUND, 0.0),
        _ if ends(&["layer_scalar"]) => (1.0, 0.0),
        _ if ends(&["per_dim_scale"]) => (0.0, 0.3),
        // Scores are not divided by the root of the width: this keeps them near 2, where a softmax is not saturated.
        _ if ends(&["q_norm.weight", "k_norm.weight"]) => ((4.0 / last).powf(0.25), 0.05),
        _ if ends(&["position_embedding_table"]) => (0.0, 0.3),
        _ if ends(&["std_bias"]) => (0.0, 0.5),
        _ if ends(&["router.scale", "per_expert_scale"]) => (1.0, 0.3),
        // So that the experts' shares differ.
        _ if ends(&["router.proj.weight"]) => (0.0, 3.0 / last.sqrt()),
        // Of both signs, else a tied head favours the last token.
        "language_model.norm.weight" => (0.0, 3.0),
        "language_model.embed_tokens_per_layer.weight" => (0.0, 0.125),
        _ if ends(&["bias"]) => (0.0, 0.1),
        _ if shape.len() == 1 => (1.0, 0.1),
        _ if ends(&["experts.gate_up_proj", "experts.down_proj"]) => (0.0, last.sqrt().recip()),
        _ => (0.0, (shape.iter().skip(1).product::<usize>() as f32).sqrt().recip()),
    }
}
