//! What a Hugging Face `config.json` of Gemma 4 says, checked and with every layer spelled out.
//!
//! Two shapes are read: `global_head_dim` with `num_global_key_value_heads`, and the `per_layer_config`
//! that transformers writes since 5.2. E2B, E4B, 26B-A4B and 31B pass, and small models of their making; all that
//! speaks against a checkpoint is reported at once.

mod check;
mod encoders;
mod raw;
mod tokens;

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use crate::base::{
    Fatal,
    model::{ImageAttention, TokenIds},
};

/// Everything that the graphs need to know before the first weight is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The decoder.
    pub text: TextConfig,
    /// The vision encoder, when there is one.
    pub vision: Option<VisionConfig>,
    /// The audio encoder, when there is one.
    pub audio: Option<AudioConfig>,
    /// Ids with a meaning; `eos` may be replaced by what generation_config.json says.
    pub tokens: TokenIds,
    /// SHA-256 of config.json, in hexadecimal.
    pub sha256: String,
}

/// The decoder (transformers' `configuration_gemma4.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Rows of the embedding table, width of the logits.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Query heads of every layer.
    pub heads: usize,
    /// Width of one layer's per-layer input, 0 when the model has none.
    pub per_layer_size: usize,
    /// Keys that a sliding layer sees, itself included.
    pub sliding_window: usize,
    /// The longest sequence that the model was made for.
    pub max_positions: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f32,
    /// Logits are squeezed to `cap * tanh(z / cap)`, when set.
    pub logit_softcap: Option<f32>,
    /// True when the head is the embedding table.
    pub tied_head: bool,
    /// Rotary positions of sliding layers.
    pub sliding_rotary: Rotary,
    /// Rotary positions of full layers.
    pub full_rotary: Rotary,
    /// Whom the tokens of one picture see.
    pub image_attention: ImageAttention,
    /// The experts that every layer has beside its MLP, in a mixture of experts.
    pub experts: Option<ExpertsConfig>,
    /// Every layer, in order.
    pub layers: Vec<LayerConfig>,
}

impl TextConfig {
    /// Layers that write keys and values; the layers after them read those of their donor.
    pub fn own_kv_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.donor.is_none()).count()
    }
}

/// The experts of a layer (`num_experts`, `top_k_experts`, `moe_intermediate_size`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsConfig {
    /// How many there are.
    pub count: usize,
    /// How many the router takes for one token.
    pub active: usize,
    /// Width of each expert's MLP.
    pub intermediate_size: usize,
}

/// One layer of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerConfig {
    /// True when the layer sees only the sliding window.
    pub sliding: bool,
    /// Width of one head.
    pub head_dim: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// The earlier layer whose keys and values this one reads, instead of making its own.
    pub donor: Option<usize>,
    /// True when the layer has no map for values: they are the projected keys, before norm and rotation.
    pub keys_are_values: bool,
}

/// Rotary positions: frequency `j` is `theta^(-2j / head_dim)` for the first `fraction` of them, 0 for the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// The base.
    pub theta: f64,
    /// The share of dimensions that are rotated.
    pub fraction: f64,
}

/// The vision encoder (`Gemma4VisionConfig`).
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub layers: usize,
    /// Heads, of queries, keys and values alike.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f32,
    /// Base of the two-dimensional rotary positions.
    pub rope_theta: f64,
    /// Pixels per patch side (16).
    pub patch_size: usize,
    /// Patches per soft token side (3).
    pub pooling: usize,
    /// Rows of the position table per axis.
    pub positions: usize,
    /// True when pooled features are shifted by `std_bias` and scaled by `std_scale`.
    pub standardized: bool,
    /// True when every linear clamps its input and output to bounds that lie beside its weight.
    pub clipped_linears: bool,
}

/// The audio encoder of E2B and E4B (`Gemma4AudioConfig`).
#[derive(Debug, Clone, PartialEq)]
pub struct AudioConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Conformer blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels after the first and the second convolution.
    pub channels: [usize; 2],
    /// Taps of the causal depthwise convolution.
    pub conv_kernel: usize,
    /// What a feed-forward block's output is multiplied by before it is added.
    pub residual_weight: f32,
    /// Queries per attention block.
    pub chunk: usize,
    /// Keys that a query sees to its left, itself included, plus one (13: the distances 12 to 0).
    pub context_left: usize,
    /// Attention logits are squeezed to `cap * tanh(z / cap)`.
    pub logit_cap: f32,
    /// What a masked attention logit is set to.
    pub invalid_logit: f32,
    /// Activations are clamped to plus and minus this before and after each feed-forward block.
    pub gradient_clipping: f32,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f32,
    /// Width of what goes to the projector.
    pub output_size: usize,
    /// True when every linear clamps its input and output to bounds that lie beside its weight.
    pub clipped_linears: bool,
}

impl Config {
    /// The name that bundles give to the architecture: `gemma4-moe` (26B-A4B), `gemma4-e` (E2B and E4B, with
    /// per-layer inputs) or `gemma4-dense` (31B).
    pub fn architecture(&self) -> &'static str {
        match (&self.text.experts, self.text.per_layer_size) {
            (Some(_), _) => "gemma4-moe",
            (None, 0) => "gemma4-dense",
            (None, _) => "gemma4-e",
        }
    }

    /// Reads and checks `config.json` of a checkpoint folder.
    pub fn read(folder: &Path) -> Result<Self, Fatal> {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).map_err(|error| {
            Fatal::new(
                format!("cannot read `{}`: {error}", path.display()),
                "name the folder of a Hugging Face checkpoint, the one that holds config.json",
            )
        })?;
        Self::parse(&text)
            .map_err(|fatal| Fatal { message: format!("`{}`: {}", path.display(), fatal.message), ..fatal })
    }

    /// Checks the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Self, Fatal> {
        let (text_config, vision, audio, tokens) = check::check(raw::parse(text)?)?;
        let sha256 = format!("{:x}", HexDigest(Sha256::digest(text.as_bytes()).into()));
        Ok(Self { text: text_config, vision, audio, tokens, sha256 })
    }
}

/// A SHA-256 digest that prints as hexadecimal.
pub(super) struct HexDigest(pub [u8; 32]);

impl std::fmt::LowerHex for HexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
