//! What a model bundle says of itself: the manifest `bundle.toml`, read by `bundle`, used by `encode` and `generate`.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The name of the manifest inside a bundle folder.
pub const MANIFEST: &str = "bundle.toml";

/// The version of the manifest's layout that this build writes and reads.
pub const FORMAT: u32 = 1;

/// A model on disk whose manifest has been read or made (and, unless told otherwise, whose files have been hashed).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The folder that its files are in.
    pub folder: PathBuf,
    /// Names the content, in hexadecimal: SHA-256 of `bundle.toml`, which holds every file's hash; without one, of the
    /// names, sizes and hashes of all files.
    pub hash: String,
    /// The manifest: of a bundle as read, else made of config.json and the folder.
    pub manifest: Manifest,
    /// How the folder is laid out.
    pub layout: Layout,
    /// What is worth knowing of how the files were chosen; empty for bundles.
    pub notes: Vec<String>,
}

/// How a folder of graphs is laid out, and so who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `bundle.toml`: graphs of this program, tested against transformers.
    #[default]
    Bundle,
    /// `onnx/decoder_model_merged*.onnx` and its kin, as transformers.js reads them.
    Community,
    /// `decoder/model.onnx` and its kin, as mobius writes them.
    Mobius,
}

impl Layout {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Community => "onnx-community layout",
            Self::Mobius => "mobius layout",
        }
    }
}

impl Model {
    /// The path of one of the bundle's files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// `bundle.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// A name for people.
    pub name: String,
    /// `gemma4-e` (E2B, E4B), `gemma4-moe` (26B-A4B) or `gemma4-dense` (31B); small kin have their names too.
    pub architecture: String,
    /// Where the weights came from.
    pub source: Provenance,
    /// How the numbers are stored.
    pub precision: Precision,
    /// The decoder.
    pub text: TextFacts,
    /// The vision encoder, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<VisionFacts>,
    /// The audio encoder, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioFacts>,
    /// Ids with a meaning.
    pub tokens: TokenIds,
    /// The checkpoint's own sampling defaults.
    pub sampling: Sampling,
    /// Names of the files by role.
    pub graphs: Graphs,
    /// Every file of the bundle but the manifest.
    pub files: BTreeMap<String, FileFact>,
}

/// Where a bundle's weights came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The checkpoint's folder name or repository.
    pub checkpoint: String,
    /// SHA-256 of the checkpoint's config.json.
    pub config_sha256: String,
    /// The program that wrote the bundle, with its version.
    pub exporter: String,
}

/// How the numbers are stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// `f32` or `f16`: activations, KV buffers, and weights that are not quantised.
    pub dtype: String,
    /// `f32` or `f16`: the KV buffers of the decoder over slots; empty where they are as `dtype` says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keys_values: String,
    /// The format of the decoder's weights, `none` when they are not quantised.
    pub quantize: String,
    /// The format of each part's weights, by name; empty in bundles of older exporters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

/// Facts of the decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextFacts {
    /// Rows of the embedding table, width of the logits.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Width of one layer's per-layer input (PLE), 0 without.
    pub per_layer_size: usize,
    /// Keys that a sliding layer sees, itself included.
    pub sliding_window: usize,
    /// The longest sequence that the model was made for.
    pub max_positions: usize,
    /// Whom the tokens of one picture see on sliding layers.
    #[serde(default)]
    pub image_attention: ImageAttention,
    /// One entry per layer that writes keys and values, in the order of `past_key_values.{i}`.
    pub kv: Vec<KvLayer>,
}

/// Whom the tokens of one picture, or of one frame of a film, see on sliding layers; full layers are always causal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageAttention {
    /// What stands before them (E2B, E4B).
    #[default]
    Causal,
    /// Each other too, so that a picture must go through the decoder in one piece (26B-A4B, 31B).
    Bidirectional,
}

/// Shape of one layer's key and value buffers: `[slots, heads, length, head_dim]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvLayer {
    /// Key-value heads.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// True when the layer sees only the sliding window.
    pub sliding: bool,
}

/// Facts of the vision encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionFacts {
    /// Pixels per patch side (16).
    pub patch_size: usize,
    /// Patches per soft token side (3).
    pub pooling: usize,
    /// Rows of the position table per axis: no picture may have more patches along one side.
    pub positions: usize,
    /// Supported numbers of soft tokens per picture.
    pub budgets: Vec<u32>,
}

/// Facts of the audio encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioFacts {
    /// Mel bins per frame (128).
    pub mel_bins: usize,
    /// Most soft tokens of one clip (750, that is 30 s).
    pub max_soft_tokens: usize,
}

/// Ids with a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenIds {
    /// Padding; also what the embedding tables see at soft-token places.
    pub pad: u32,
    /// Starts every prompt.
    pub bos: u32,
    /// Each of these ends a generation.
    pub eos: Vec<u32>,
    /// Image soft token, begin and end of image.
    pub image: u32,
    /// Begin of image.
    pub begin_image: u32,
    /// End of image.
    pub end_image: u32,
    /// Soft token of a film's frame.
    pub video: u32,
    /// Audio soft token.
    pub audio: u32,
    /// Begin of audio.
    pub begin_audio: u32,
    /// End of audio.
    pub end_audio: u32,
}

/// The checkpoint's generation_config.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 is off.
    pub top_k: u32,
    /// 1 is off.
    pub top_p: f32,
}

/// Names of the files by role, relative to the bundle's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graphs {
    /// ids -> embeddings and per-layer inputs.
    pub embed_tokens: String,
    /// embeddings -> logits and present keys and values.
    pub decoder: String,
    /// The same for tokens of any slots, with operators of our own; where the bundle computes in f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_slots: Option<String>,
    /// patches -> image features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision_encoder: Option<String>,
    /// log-mel -> audio features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_encoder: Option<String>,
    /// Hugging Face tokenizer.json.
    pub tokenizer: String,
    /// A Jinja chat template, when the checkpoint brought one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Inputs and what the graphs must make of them; bundles that lapidary did not export have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_test: Option<String>,
}

impl Graphs {
    /// The graphs alone.
    pub fn onnx(&self) -> impl Iterator<Item = &String> {
        let optional = [&self.decoder_slots, &self.vision_encoder, &self.audio_encoder];
        [&self.embed_tokens, &self.decoder].into_iter().chain(optional.into_iter().flatten())
    }

    /// Every file that has a role.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        let optional = [&self.chat_template, &self.self_test];
        self.onnx().chain([&self.tokenizer]).chain(optional.into_iter().flatten())
    }
}

/// Size and hash of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFact {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}
