//! Recipes: which part of the model is stored in which format, as a TOML file under a name or a path.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{Config, Dtype, Format, Part, Precision};
use crate::base::Fatal;

/// The recipes of onnx/recipes, which are built in.
const BUILT_IN: [(&str, &str); 7] = [
    ("f32", include_str!("../../onnx/recipes/f32.toml")),
    ("cpu-int8", include_str!("../../onnx/recipes/cpu-int8.toml")),
    ("cpu-int4", include_str!("../../onnx/recipes/cpu-int4.toml")),
    ("cpu-int4-asymmetric", include_str!("../../onnx/recipes/cpu-int4-asymmetric.toml")),
    ("cpu-int4-experts-int8", include_str!("../../onnx/recipes/cpu-int4-experts-int8.toml")),
    ("cuda-f16", include_str!("../../onnx/recipes/cuda-f16.toml")),
    ("cuda-int4", include_str!("../../onnx/recipes/cuda-int4.toml")),
];

/// A recipe under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The name of a built-in recipe, or of the file.
    pub name: String,
    /// What it is for, in a line.
    pub summary: String,
    /// What it says.
    pub precision: Precision,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    summary: String,
    compute: Dtype,
    keys_values: Option<Dtype>,
    decoder: Format,
    head: Format,
    experts: Format,
    embedding: Format,
    per_layer_embedding: Format,
    vision: Format,
    audio: Format,
}

impl Recipe {
    /// All built-in recipes.
    pub fn built_in() -> Result<Vec<Self>, Fatal> {
        BUILT_IN.iter().map(|(name, text)| Self::parse(name, text)).collect()
    }

    /// The built-in recipe of that name, or the file at that path.
    pub fn find(name: &str) -> Result<Self, Fatal> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text);
        }
        let path = Path::new(name);
        let text = fs::read_to_string(path).map_err(|error| {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            Fatal::new(
                format!("no recipe is called `{name}`, and it cannot be read as a file: {error}"),
                format!("name a file or one of {}", known.join(", ")),
            )
        })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&stem, &text).map_err(|fatal| Fatal { message: format!("`{name}`: {}", fatal.message), ..fatal })
    }

    /// What is taken where nothing is asked for: 4 bits for the CPU, with experts in 8 bits, which are ten times faster
    /// there.
    pub fn suiting(config: &Config) -> Result<Self, Fatal> {
        Self::find(if config.text.experts.is_some() { "cpu-int4-experts-int8" } else { "cpu-int4" })
    }

    fn parse(name: &str, text: &str) -> Result<Self, Fatal> {
        let text: Text = toml::from_str(text).map_err(|error| {
            Fatal::new(format!("not a recipe: {error}"), "see onnx/recipes/cpu-int4.toml for one that is")
        })?;
        let precision = Precision::new(text.compute, |part| text.format(part))?;
        let precision = precision.with_keys_values(text.keys_values.unwrap_or(text.compute))?;
        Ok(Self { name: name.to_owned(), summary: text.summary, precision })
    }
}

impl Text {
    fn format(&self, part: Part) -> Format {
        match part {
            Part::Decoder => self.decoder,
            Part::Head => self.head,
            Part::Experts => self.experts,
            Part::Embedding => self.embedding,
            Part::PerLayerEmbedding => self.per_layer_embedding,
            Part::Vision => self.vision,
            Part::Audio => self.audio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: &str, to: &str) -> String {
        let text = BUILT_IN[2].1.replace(from, to);
        let fatal = Recipe::parse("mine", &text).unwrap_err();
        assert!(!fatal.hint.is_empty());
        fatal.message
    }

    #[test]
    fn every_built_in_recipe_is_whole() {
        assert_eq!(Recipe::built_in().unwrap().len(), BUILT_IN.len());
        assert_eq!(Recipe::find("cpu-int4").unwrap().precision.of(Part::Head), Format::Int4);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_part() {
        assert!(refusal("vision = \"int8\"", "vision = \"int4\"").contains("`vision` cannot be int4"));
        assert!(refusal("audio = \"f32\"", "audio = \"int4-asymmetric\"").contains("`audio`"));
        assert!(refusal("head = \"int4\"", "head = \"f16\"").contains("`head` cannot be f16 where `compute` is f32"));
        assert!(refusal("experts = \"int4\"", "experts = \"int3\"").contains("int3"));
        assert!(refusal("keys_values = \"f16\"", "keys_values = \"int8\"").contains("int8"));
        assert!(refusal("head = \"int4\"\n", "").contains("head"));
        assert!(refusal("compute", "heart = 1\ncompute").contains("heart"));
        assert!(Recipe::find("no-such").unwrap_err().hint.contains("cuda-f16"));
    }
}
