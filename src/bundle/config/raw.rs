//! The JSON of `config.json` as it is written, with the defaults that transformers 5.23 fills in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::base::Fatal;

/// The whole file.
#[derive(Deserialize)]
pub(super) struct RawConfig {
    pub text_config: Option<RawText>,
    pub vision_config: Option<RawVision>,
    pub audio_config: Option<RawAudio>,
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    pub boi_token_id: Option<u32>,
    pub eoi_token_id: Option<u32>,
    #[serde(alias = "image_token_index")]
    pub image_token_id: Option<u32>,
    #[serde(alias = "video_token_index")]
    pub video_token_id: Option<u32>,
    pub boa_token_id: Option<u32>,
    pub eoa_token_id: Option<u32>,
    pub eoa_token_index: Option<u32>,
    #[serde(alias = "audio_token_index")]
    pub audio_token_id: Option<u32>,
    pub eos_token_id: Option<OneOrMany>,
}

/// An id or a list of ids.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl OneOrMany {
    pub fn list(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

/// `text_config`.
#[derive(Deserialize)]
pub(super) struct RawText {
    pub model_type: Option<String>,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    #[serde(default = "head_dim")]
    pub head_dim: usize,
    pub global_head_dim: Option<usize>,
    pub num_global_key_value_heads: Option<usize>,
    pub per_layer_config: Option<BTreeMap<String, RawLayer>>,
    #[serde(default = "gelu")]
    pub hidden_activation: String,
    #[serde(default = "max_positions")]
    pub max_position_embeddings: usize,
    #[serde(default = "epsilon")]
    pub rms_norm_eps: f32,
    pub pad_token_id: Option<u32>,
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<OneOrMany>,
    pub tie_word_embeddings: Option<bool>,
    pub rope_parameters: Option<RawRotaries>,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default = "window")]
    pub sliding_window: usize,
    pub layer_types: Option<Vec<String>>,
    pub final_logit_softcapping: Option<f32>,
    pub use_bidirectional_attention: Option<Value>,
    pub vocab_size_per_layer_input: Option<usize>,
    #[serde(default)]
    pub hidden_size_per_layer_input: usize,
    #[serde(default)]
    pub attention_k_eq_v: bool,
    #[serde(default)]
    pub num_kv_shared_layers: usize,
    #[serde(default)]
    pub enable_moe_block: bool,
    pub num_experts: Option<usize>,
    pub top_k_experts: Option<usize>,
    #[serde(alias = "expert_intermediate_size")]
    pub moe_intermediate_size: Option<usize>,
    #[serde(default)]
    pub use_double_wide_mlp: bool,
}

/// One entry of `per_layer_config`: what differs from the rest.
#[derive(Deserialize, Default, Clone)]
pub(super) struct RawLayer {
    pub head_dim: Option<usize>,
    pub num_key_value_heads: Option<usize>,
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// `rope_parameters` of the decoder.
#[derive(Deserialize)]
pub(super) struct RawRotaries {
    pub sliding_attention: Option<RawRotary>,
    pub full_attention: Option<RawRotary>,
}

/// One kind of rotary positions.
#[derive(Deserialize)]
pub(super) struct RawRotary {
    pub rope_type: Option<String>,
    pub rope_theta: Option<f64>,
    pub partial_rotary_factor: Option<f64>,
    pub factor: Option<f64>,
}

/// `vision_config`.
#[derive(Deserialize)]
pub(super) struct RawVision {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    #[serde(default = "gelu")]
    pub hidden_activation: String,
    #[serde(default = "epsilon")]
    pub rms_norm_eps: f32,
    #[serde(default)]
    pub attention_bias: Option<bool>,
    pub rope_parameters: Option<RawRotary>,
    #[serde(default = "three")]
    pub pooling_kernel_size: usize,
    #[serde(default = "sixteen")]
    pub patch_size: usize,
    #[serde(default = "vision_positions")]
    pub position_embedding_size: usize,
    #[serde(default)]
    pub use_clipped_linears: bool,
    #[serde(default)]
    pub standardize: bool,
}

/// `audio_config`.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct RawAudio {
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub hidden_act: String,
    pub subsampling_conv_channels: Vec<usize>,
    pub conv_kernel_size: usize,
    pub residual_weight: f32,
    pub attention_chunk_size: usize,
    pub attention_context_left: usize,
    pub attention_context_right: usize,
    pub attention_logit_cap: f32,
    pub attention_invalid_logits_value: f32,
    pub use_clipped_linears: bool,
    pub rms_norm_eps: f32,
    pub gradient_clipping: f32,
    pub output_proj_dims: usize,
}

impl Default for RawAudio {
    fn default() -> Self {
        Self {
            hidden_size: 1024,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            hidden_act: "silu".to_owned(),
            subsampling_conv_channels: vec![128, 32],
            conv_kernel_size: 5,
            residual_weight: 0.5,
            attention_chunk_size: 12,
            attention_context_left: 13,
            attention_context_right: 0,
            attention_logit_cap: 50.0,
            attention_invalid_logits_value: -1e9,
            use_clipped_linears: true,
            rms_norm_eps: epsilon(),
            gradient_clipping: 1e10,
            output_proj_dims: 1536,
        }
    }
}

/// Reads the file's text, after a look at what kind of model it describes.
pub(super) fn parse(text: &str) -> Result<RawConfig, Fatal> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Fatal::new(format!("not valid JSON: {error}"), "download the checkpoint's config.json again")
    })?;
    check_model_type(&value)?;
    serde_json::from_value(value)
        .map_err(|error| Fatal::new(format!("not a Gemma 4 configuration: {error}"), super::check::SUPPORTED))
}

fn check_model_type(value: &Value) -> Result<(), Fatal> {
    match value.get("model_type").and_then(Value::as_str) {
        Some("gemma4") => Ok(()),
        Some(other @ ("gemma4_unified" | "gemma4_unified_text")) => Err(Fatal::new(
            format!("model type `{other}` (Gemma 4 12B, which has no encoders) is not supported"),
            super::check::SUPPORTED,
        )),
        Some(other) => Err(Fatal::new(format!("model type `{other}` is not supported"), super::check::SUPPORTED)),
        None => Err(Fatal::new("`model_type` is missing", super::check::SUPPORTED)),
    }
}

fn yes() -> bool {
    true
}

fn head_dim() -> usize {
    256
}

fn gelu() -> String {
    "gelu_pytorch_tanh".to_owned()
}

fn max_positions() -> usize {
    131_072
}

fn epsilon() -> f32 {
    1e-6
}

fn window() -> usize {
    512
}

fn three() -> usize {
    3
}

fn sixteen() -> usize {
    16
}

fn vision_positions() -> usize {
    10_240
}
