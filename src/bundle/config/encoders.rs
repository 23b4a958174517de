//! The encoders' part of `config.json`: what Gemma 4's encoders have passes, the rest is named.

use super::{
    AudioConfig, VisionConfig,
    check::{LARGEST, MOST_LAYERS, check_range},
    raw::{RawAudio, RawVision},
};

/// Steps of sound that attention and convolution may reach over: their masks are constants of the graph.
const FARTHEST: usize = 256;

/// Checks `vision_config`.
pub(super) fn vision(raw: &RawVision, problems: &mut Vec<String>) -> VisionConfig {
    let heads = raw.num_attention_heads;
    let head_dim = raw.head_dim.unwrap_or(raw.hidden_size / heads.max(1));
    let mut refuse =
        |is_so: bool, what: &str| is_so.then(|| problems.push(format!("vision_config: {what} is not supported")));
    refuse(raw.attention_bias == Some(true), "attention_bias true");
    refuse(raw.hidden_activation != "gelu_pytorch_tanh", &format!("hidden_activation `{}`", raw.hidden_activation));
    refuse(raw.num_key_value_heads.is_some_and(|kv| kv != heads), "num_key_value_heads other than num_attention_heads");
    refuse(
        raw.patch_size != 16 || raw.pooling_kernel_size != 3,
        "a patch_size other than 16 or a pooling_kernel_size other than 3",
    );
    refuse(!head_dim.is_multiple_of(4), &format!("head_dim {head_dim}, no multiple of 4,"));
    let sizes = [
        ("vision_config.hidden_size", raw.hidden_size),
        ("vision_config.intermediate_size", raw.intermediate_size),
        ("vision_config.num_attention_heads", heads),
        ("vision_config.head_dim", head_dim),
        ("vision_config.position_embedding_size", raw.position_embedding_size),
    ];
    check_range(&sizes, LARGEST, problems);
    check_range(&[("vision_config.num_hidden_layers", raw.num_hidden_layers)], MOST_LAYERS, problems);
    VisionConfig {
        hidden_size: raw.hidden_size,
        intermediate_size: raw.intermediate_size,
        layers: raw.num_hidden_layers,
        heads,
        head_dim,
        rms_norm_eps: raw.rms_norm_eps,
        rope_theta: raw.rope_parameters.as_ref().and_then(|rotary| rotary.rope_theta).unwrap_or(100.0),
        patch_size: raw.patch_size,
        pooling: raw.pooling_kernel_size,
        positions: raw.position_embedding_size,
        standardized: raw.standardize,
        clipped_linears: raw.use_clipped_linears,
    }
}

/// Checks `audio_config`.
pub(super) fn audio(raw: &RawAudio, problems: &mut Vec<String>) -> AudioConfig {
    let channels = <[usize; 2]>::try_from(raw.subsampling_conv_channels.as_slice()).unwrap_or([0, 0]);
    let mut refuse =
        |is_so: bool, what: &str| is_so.then(|| problems.push(format!("audio_config: {what} is not supported")));
    refuse(raw.hidden_act != "silu", &format!("hidden_act `{}`", raw.hidden_act));
    refuse(raw.attention_context_right != 0, "attention_context_right other than 0");
    // Attention is written over a block of queries and the block before it (12 and 13 in all Gemma 4 E checkpoints).
    let (left, chunk) = (raw.attention_context_left, raw.attention_chunk_size);
    refuse(
        left != chunk.saturating_add(1),
        &format!(
            "attention_context_left {left} with attention_chunk_size {chunk}, of which it is one more in all models,"
        ),
    );
    refuse(
        raw.num_attention_heads == 0 || !raw.hidden_size.is_multiple_of(raw.num_attention_heads.max(1)),
        "a hidden_size that the heads do not divide",
    );
    let sizes = [
        ("audio_config.hidden_size", raw.hidden_size),
        ("audio_config.subsampling_conv_channels", channels[0]),
        ("audio_config.subsampling_conv_channels", channels[1]),
        ("audio_config.output_proj_dims", raw.output_proj_dims),
    ];
    check_range(&sizes, LARGEST, problems);
    check_range(&[("audio_config.num_hidden_layers", raw.num_hidden_layers)], MOST_LAYERS, problems);
    let reaches = [
        ("audio_config.conv_kernel_size", raw.conv_kernel_size),
        ("audio_config.attention_chunk_size", raw.attention_chunk_size),
    ];
    check_range(&reaches, FARTHEST, problems);
    AudioConfig {
        hidden_size: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        channels,
        conv_kernel: raw.conv_kernel_size,
        residual_weight: raw.residual_weight,
        chunk: raw.attention_chunk_size,
        context_left: raw.attention_context_left,
        logit_cap: raw.attention_logit_cap,
        invalid_logit: raw.attention_invalid_logits_value,
        gradient_clipping: raw.gradient_clipping,
        rms_norm_eps: raw.rms_norm_eps,
        output_size: raw.output_proj_dims,
        clipped_linears: raw.use_clipped_linears,
    }
}
