//! From the file's words to layers: what is not supported and what contradicts itself is named, all at once.

use super::{
    AudioConfig, ExpertsConfig, LayerConfig, Rotary, TextConfig, VisionConfig, encoders,
    raw::{RawConfig, RawLayer, RawRotary, RawText},
    tokens,
};
use crate::base::{
    Fatal,
    model::{ImageAttention, TokenIds},
};

/// The advice that goes with every refusal.
pub(super) const SUPPORTED: &str =
    "supported are checkpoints of Gemma 4 E2B, E4B, 26B-A4B and 31B and their small kin (model_type gemma4)";

/// No size in a configuration may be larger: it bounds what a hostile file can make us allocate.
pub(super) const LARGEST: usize = 1 << 24;

/// Layers of any part.
pub(super) const MOST_LAYERS: usize = 1024;

/// Experts of one layer.
const MOST_EXPERTS: usize = 4096;

/// Positions and head sizes bound the rotary tables, which are written before the weights are looked at.
const MOST_POSITIONS: usize = 1 << 20;
const WIDEST_HEAD: usize = 1024;

type Checked = (TextConfig, Option<VisionConfig>, Option<AudioConfig>, TokenIds);

/// Checks everything and collects what speaks against it.
pub(super) fn check(raw: RawConfig) -> Result<Checked, Fatal> {
    let Some(text) = &raw.text_config else {
        return Err(Fatal::new("`text_config` is missing", SUPPORTED));
    };
    let mut problems = refusals(text);
    let tied = raw.tie_word_embeddings && text.tie_word_embeddings.unwrap_or(true);
    let text_config = text_config(text, tied, &mut problems);
    let vision = raw.vision_config.as_ref().map(|vision| encoders::vision(vision, &mut problems));
    let audio = raw.audio_config.as_ref().map(|audio| encoders::audio(audio, &mut problems));
    let ids = tokens::tokens(&raw);
    problems.extend(tokens::problems(&raw, &ids, text.vocab_size));
    match problems.is_empty() {
        true => Ok((text_config, vision, audio, ids)),
        false => Err(Fatal::new(problems.join("; "), SUPPORTED)),
    }
}

/// What no model of the family has.
fn refusals(text: &RawText) -> Vec<String> {
    let unknown_type = text.model_type.as_deref().filter(|name| *name != "gemma4_text");
    let mut problems = Vec::new();
    let mut refuse = |is_so: bool, what: String| is_so.then(|| problems.push(what));
    refuse(unknown_type.is_some(), format!("text model type `{}` is not supported", unknown_type.unwrap_or_default()));
    refuse(text.attention_bias, "attention_bias true is not supported".to_owned());
    refuse(
        text.hidden_activation != "gelu_pytorch_tanh",
        format!("hidden_activation `{}` is not supported", text.hidden_activation),
    );
    problems
}

fn text_config(raw: &RawText, tied_head: bool, problems: &mut Vec<String>) -> TextConfig {
    check_sizes(raw, problems);
    let (sliding_rotary, full_rotary) = rotaries(raw, problems);
    TextConfig {
        vocab_size: raw.vocab_size,
        hidden_size: raw.hidden_size,
        heads: raw.num_attention_heads,
        per_layer_size: raw.hidden_size_per_layer_input,
        sliding_window: raw.sliding_window,
        max_positions: raw.max_position_embeddings,
        rms_norm_eps: raw.rms_norm_eps,
        logit_softcap: raw.final_logit_softcapping,
        tied_head,
        sliding_rotary,
        full_rotary,
        image_attention: image_attention(raw, problems),
        experts: experts(raw, problems),
        layers: layers(raw, problems),
    }
}

fn image_attention(raw: &RawText, problems: &mut Vec<String>) -> ImageAttention {
    match &raw.use_bidirectional_attention {
        None | Some(serde_json::Value::Null) => ImageAttention::Causal,
        Some(value) if value == "vision" => {
            if raw.num_kv_shared_layers > 0 {
                problems
                    .push("use_bidirectional_attention together with num_kv_shared_layers is not supported".to_owned());
            }
            ImageAttention::Bidirectional
        }
        Some(value) => {
            problems.push(format!("use_bidirectional_attention {value} is not supported"));
            ImageAttention::Causal
        }
    }
}

fn experts(raw: &RawText, problems: &mut Vec<String>) -> Option<ExpertsConfig> {
    if !raw.enable_moe_block {
        return None;
    }
    let (count, active) = (raw.num_experts.unwrap_or(0), raw.top_k_experts.unwrap_or(0));
    let intermediate_size = raw.moe_intermediate_size.unwrap_or(0);
    check_range(&[("text_config.num_experts", count)], MOST_EXPERTS, problems);
    check_range(&[("text_config.top_k_experts", active)], count.max(1), problems);
    check_range(&[("text_config.moe_intermediate_size", intermediate_size)], LARGEST, problems);
    Some(ExpertsConfig { count, active, intermediate_size })
}

fn check_sizes(raw: &RawText, problems: &mut Vec<String>) {
    let sizes = [
        ("text_config.vocab_size", raw.vocab_size),
        ("text_config.hidden_size", raw.hidden_size),
        ("text_config.intermediate_size", raw.intermediate_size),
        ("text_config.num_attention_heads", raw.num_attention_heads),
        ("text_config.num_key_value_heads", raw.num_key_value_heads),
        ("text_config.head_dim", raw.head_dim),
        ("text_config.sliding_window", raw.sliding_window),
    ];
    check_range(&sizes, LARGEST, problems);
    let positions = [("text_config.max_position_embeddings", raw.max_position_embeddings)];
    check_range(&positions, MOST_POSITIONS, problems);
    check_range(&[("text_config.num_hidden_layers", raw.num_hidden_layers)], MOST_LAYERS, problems);
    if raw.hidden_size_per_layer_input > LARGEST {
        problems.push(format!("hidden_size_per_layer_input {} is not sensible", raw.hidden_size_per_layer_input));
    }
    let rows = raw.vocab_size_per_layer_input.unwrap_or(raw.vocab_size);
    if raw.hidden_size_per_layer_input > 0 && rows != raw.vocab_size {
        problems.push(format!("vocab_size_per_layer_input {rows} differs from vocab_size {}", raw.vocab_size));
    }
    if raw.final_logit_softcapping.is_some_and(|cap| cap <= 0.0 || !cap.is_finite()) {
        problems.push("final_logit_softcapping must be above 0".to_owned());
    }
}

/// Names the sizes that are 0 or larger than `largest`.
pub(super) fn check_range(sizes: &[(&str, usize)], largest: usize, problems: &mut Vec<String>) {
    let outside = sizes.iter().filter(|(_, size)| *size == 0 || *size > largest);
    problems.extend(outside.map(|(name, size)| format!("{name} {size} is not between 1 and {largest}")));
}

fn rotaries(raw: &RawText, problems: &mut Vec<String>) -> (Rotary, Rotary) {
    let given = raw.rope_parameters.as_ref();
    let sliding = given.and_then(|both| both.sliding_attention.as_ref());
    let full = given.and_then(|both| both.full_attention.as_ref());
    let sliding = rotary("sliding_attention", sliding, Rotary { theta: 1e4, fraction: 1.0 }, problems);
    let full = rotary("full_attention", full, Rotary { theta: 1e6, fraction: 0.25 }, problems);
    (sliding, full)
}

fn rotary(name: &str, raw: Option<&RawRotary>, fallback: Rotary, problems: &mut Vec<String>) -> Rotary {
    let Some(raw) = raw else { return fallback };
    let theta = raw.rope_theta.unwrap_or(fallback.theta);
    let fraction = match raw.rope_type.as_deref().unwrap_or("default") {
        "default" => 1.0,
        "proportional" => raw.partial_rotary_factor.unwrap_or(1.0),
        other => {
            problems.push(format!("rope_type `{other}` of {name} is not supported"));
            1.0
        }
    };
    let sensible = theta > 1.0 && theta.is_finite() && (0.0..=1.0).contains(&fraction);
    if !sensible || raw.factor.is_some_and(|factor| factor != 1.0) {
        problems.push(format!("rope_parameters of {name} are not sensible or scaled, which is not supported"));
    }
    Rotary { theta, fraction }
}

fn layers(raw: &RawText, problems: &mut Vec<String>) -> Vec<LayerConfig> {
    let count = raw.num_hidden_layers.min(MOST_LAYERS);
    let sliding = attention_kinds(raw, count, problems);
    let overrides = overrides(raw, &sliding, problems);
    if raw.num_kv_shared_layers >= count.max(1) {
        problems.push(format!(
            "num_kv_shared_layers {} leaves none of {count} layers to write keys",
            raw.num_kv_shared_layers
        ));
    }
    let first_shared = count.saturating_sub(raw.num_kv_shared_layers);
    let layers = (0..count).map(|index| LayerConfig {
        sliding: sliding[index],
        head_dim: overrides[index].head_dim.unwrap_or(raw.head_dim),
        kv_heads: overrides[index].num_key_value_heads.unwrap_or(raw.num_key_value_heads),
        intermediate_size: raw.intermediate_size * if raw.use_double_wide_mlp && index >= first_shared { 2 } else { 1 },
        donor: (index >= first_shared)
            .then(|| donor(&sliding[..first_shared], sliding[index], index, problems))
            .flatten(),
        keys_are_values: raw.attention_k_eq_v && !sliding[index] && index < first_shared,
    });
    let layers: Vec<LayerConfig> = layers.collect();
    check_layers(&layers, raw.num_attention_heads, problems);
    layers
}

/// True for each layer that slides.
fn attention_kinds(raw: &RawText, count: usize, problems: &mut Vec<String>) -> Vec<bool> {
    let Some(names) = &raw.layer_types else {
        return (1..=count).map(|place| place % 6 != 0 && place != count).collect();
    };
    if names.len() != count {
        problems.push(format!("layer_types has {} entries for {count} layers", names.len()));
    }
    for name in names.iter().filter(|name| !["sliding_attention", "full_attention"].contains(&name.as_str())) {
        problems.push(format!("layer type `{name}` is not supported"));
    }
    if names.last().is_some_and(|last| last == "sliding_attention") {
        problems.push("the last of layer_types must be full_attention".to_owned());
    }
    (0..count).map(|index| names.get(index).is_none_or(|name| name == "sliding_attention")).collect()
}

/// What differs per layer, from either shape of the file; `per_layer_config` wins, as in transformers.
fn overrides(raw: &RawText, sliding: &[bool], problems: &mut Vec<String>) -> Vec<RawLayer> {
    let Some(per_layer) = &raw.per_layer_config else {
        let full = RawLayer {
            head_dim: Some(raw.global_head_dim.unwrap_or(512)),
            num_key_value_heads: raw.num_global_key_value_heads.filter(|_| raw.attention_k_eq_v),
            ..RawLayer::default()
        };
        return sliding.iter().map(|&slides| if slides { RawLayer::default() } else { full.clone() }).collect();
    };
    let mut layers = vec![RawLayer::default(); sliding.len()];
    for (key, layer) in per_layer {
        // transformers pads the numbers with zeros: "05" where there are ten layers or more.
        match key.parse().ok().and_then(|index: usize| layers.get_mut(index)) {
            Some(place) => *place = layer.clone(),
            None => problems.push(format!("per_layer_config names layer `{key}` of {}", sliding.len())),
        }
        for other in layer.others.keys() {
            problems.push(format!("per_layer_config of layer {key} sets `{other}`, which is not supported"));
        }
    }
    layers
}

/// The last layer of the same kind that writes keys and values.
fn donor(own: &[bool], slides: bool, index: usize, problems: &mut Vec<String>) -> Option<usize> {
    let donor = own.iter().rposition(|&kind| kind == slides);
    if donor.is_none() {
        problems.push(format!("layer {index} shares keys and values, but no layer of its kind writes any"));
    }
    donor
}

fn check_layers(layers: &[LayerConfig], heads: usize, problems: &mut Vec<String>) {
    for (index, layer) in layers.iter().enumerate() {
        let sizes_fit = layer.kv_heads > 0 && heads.is_multiple_of(layer.kv_heads) && layer.head_dim.is_multiple_of(2);
        if !sizes_fit || layer.head_dim == 0 || layer.head_dim > WIDEST_HEAD {
            let LayerConfig { kv_heads, head_dim, .. } = layer;
            problems.push(format!(
                "layer {index}: {heads} heads, {kv_heads} key-value heads of width {head_dim} do not fit"
            ));
        }
        let same_kind = layers.iter().find(|other| other.sliding == layer.sliding).unwrap_or(layer);
        if same_kind.head_dim != layer.head_dim {
            problems.push(format!("layer {index} has heads of another width than the layers of its kind"));
        }
        if let Some(donor) = layer.donor.map(|donor| layers[donor])
            && (donor.head_dim, donor.kv_heads) != (layer.head_dim, layer.kv_heads)
        {
            problems.push(format!("layer {index} reads keys and values of a layer with other head sizes"));
        }
    }
}
