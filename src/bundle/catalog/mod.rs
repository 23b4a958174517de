//! The models that are known by name: where each is found, what its configuration says, which recipe suits it.

mod config;

use std::{fs, path::Path};

use serde::Deserialize;

use crate::base::{Fatal, model::ImageAttention};

/// The manifests of onnx/, which are built in.
const BUILT_IN: [&str; 4] = [
    include_str!("../../../onnx/gemma-4-e2b.toml"),
    include_str!("../../../onnx/gemma-4-e4b.toml"),
    include_str!("../../../onnx/gemma-4-26b-a4b.toml"),
    include_str!("../../../onnx/gemma-4-31b.toml"),
];

/// The models that are known by name.
pub struct Catalog;

/// One model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name on the command line.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// SPDX.
    pub licence: String,
    /// Weights of all parts; bounds of clipped linears are not counted.
    pub parameters: u64,
    /// The longest sequence that it was made for.
    pub context: usize,
    /// Soft tokens per picture that it was trained with.
    pub image_budgets: Vec<u32>,
    /// Which recipe suits it where.
    pub recipes: Recommended,
    /// Where it is found.
    pub repositories: Vec<Repository>,
    /// The decoder.
    pub text: Text,
    /// The vision encoder.
    pub vision: Vision,
    /// The audio encoder, when there is one.
    pub audio: Option<Audio>,
}

/// Names of recipes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recommended {
    /// On a processor.
    pub cpu: String,
    /// On a card.
    pub cuda: String,
    /// Compiled for a card.
    pub tensorrt: String,
}

/// A repository of a Hugging Face hub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// `organisation/name`.
    pub name: String,
    /// What lies in it.
    pub holds: Holds,
    /// True when somebody has looked.
    pub verified: bool,
}

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// The instruction-tuned checkpoint.
    Checkpoint,
    /// The pretrained checkpoint.
    BaseCheckpoint,
    /// A checkpoint whose weights lie on the grid of q4_0.
    QatCheckpoint,
    /// ONNX graphs.
    Onnx,
}

/// The decoder's facts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// How many layers.
    pub layers: usize,
    /// Every so many layers, the last sees all positions.
    pub full_attention_every: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Twice that in layers that share keys and values.
    #[serde(default)]
    pub double_wide_mlp: bool,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads of sliding layers, and of full ones that do not say otherwise.
    pub kv_heads: usize,
    /// Key-value heads of full layers.
    pub full_kv_heads: Option<usize>,
    /// Full layers take their keys for values.
    #[serde(default)]
    pub keys_are_values: bool,
    /// The last layers that read the keys and values of earlier ones.
    #[serde(default)]
    pub kv_shared_layers: usize,
    /// Positions that a sliding layer sees.
    pub sliding_window: usize,
    /// Width of one layer's per-layer input.
    #[serde(default)]
    pub per_layer_size: usize,
    /// Whom the tokens of a picture see.
    pub image_attention: ImageAttention,
    /// The experts of a mixture.
    pub experts: Option<Experts>,
}

/// A mixture's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many one token uses.
    pub active: usize,
    /// Width of each one's MLP.
    pub intermediate_size: usize,
}

/// The vision encoder's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vision {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// How many layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Linear maps clamp what goes in and what comes out.
    pub clipped_linears: bool,
    /// Features are shifted and scaled at the end.
    pub standardized: bool,
}

/// The audio encoder's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// How many blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of what goes to the projector.
    pub output_size: usize,
}

impl Catalog {
    /// All models that are built in.
    pub fn all() -> Result<Vec<Entry>, Fatal> {
        BUILT_IN.iter().map(|text| Entry::parse(text)).collect()
    }

    /// The model of that name, or of the manifest at that path.
    pub fn find(name: &str) -> Result<Entry, Fatal> {
        if Path::new(name).extension().is_some_and(|end| end == "toml") {
            return Self::read(Path::new(name));
        }
        let all = Self::all()?;
        let names: Vec<String> = all.iter().map(|entry| entry.name.clone()).collect();
        all.into_iter().find(|entry| entry.name == name).ok_or_else(|| {
            Fatal::new(
                format!("no model is called `{name}`"),
                format!("name one of {}, or a manifest (.toml) or config.json", names.join(", ")),
            )
        })
    }

    fn read(path: &Path) -> Result<Entry, Fatal> {
        let text = fs::read_to_string(path).map_err(|error| {
            Fatal::new(format!("cannot read `{}`: {error}", path.display()), "name a manifest like those in onnx/")
        })?;
        Entry::parse(&text)
            .map_err(|fatal| Fatal { message: format!("`{}`: {}", path.display(), fatal.message), ..fatal })
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, Fatal> {
        toml::from_str(text)
            .map_err(|error| Fatal::new(format!("not a model's manifest: {error}"), "see onnx/gemma-4-e2b.toml"))
    }

    /// The first repository that holds this.
    pub fn repository(&self, holds: Holds) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.holds == holds)
    }
}
