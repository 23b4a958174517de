//! How a bundle stores its numbers: one type to compute with, and a format for the weights of each part.

use serde::{Deserialize, Serialize};

use super::graph::Element;
use crate::base::{Fatal, model as facts};

/// Activations and KV buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 4 bytes; what the CPU computes with.
    #[default]
    F32,
    /// 2 bytes; for accelerators. The residual streams stay at f32 inside the graphs.
    F16,
}

impl Dtype {
    /// The name in the manifest and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The element type in the graphs.
    pub fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::F16 => Element::F16,
        }
    }

    /// The format of weights that are not quantised.
    pub fn format(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 => Format::F16,
        }
    }
}

/// The shorthand of the command line: the weights of the decoder and of the embedding tables, all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quantize {
    /// As [`Dtype`] says.
    #[default]
    None,
    /// [`Format::Int8`].
    Int8,
    /// [`Format::Int4`].
    Int4,
}

impl Quantize {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Int8, Self::Int4];

    /// The name in the manifest and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// 4 bytes each.
    F32,
    /// 2 bytes each.
    F16,
    /// 8 bits, one scale per output; activations are rounded to 8 bits row by row.
    Int8,
    /// 4 bits, one scale per 32 inputs.
    Int4,
    /// 4 bits, one scale and one zero point per 32 inputs.
    Int4Asymmetric,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Int8, Self::Int4, Self::Int4Asymmetric];

    /// The name in recipes and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::Int4Asymmetric => "int4-asymmetric",
        }
    }

    /// True for formats with a scale per block.
    pub fn in_blocks(self) -> bool {
        matches!(self, Self::Int4 | Self::Int4Asymmetric)
    }

    /// The element of weights that are stored as floats.
    pub fn dense(self) -> Option<Element> {
        match self {
            Self::F32 => Some(Element::F32),
            Self::F16 => Some(Element::F16),
            Self::Int8 | Self::Int4 | Self::Int4Asymmetric => None,
        }
    }
}

/// A part of the model whose weights have a format of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The linear maps of the decoder's layers, but for the experts.
    Decoder,
    /// Residual stream to logits.
    Head,
    /// The experts of a mixture.
    Experts,
    /// The table of token embeddings.
    Embedding,
    /// The table of per-layer embeddings.
    PerLayerEmbedding,
    /// The vision encoder: in 8 bits the linear maps of its layers, in floats its other matrices and tables too.
    Vision,
    /// The audio encoder: the same.
    Audio,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 7] =
        [Self::Decoder, Self::Head, Self::Experts, Self::Embedding, Self::PerLayerEmbedding, Self::Vision, Self::Audio];

    /// The key in recipes and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decoder => "decoder",
            Self::Head => "head",
            Self::Experts => "experts",
            Self::Embedding => "embedding",
            Self::PerLayerEmbedding => "per_layer_embedding",
            Self::Vision => "vision",
            Self::Audio => "audio",
        }
    }
}

/// How a bundle stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Precision {
    /// Activations and KV buffers.
    pub dtype: Dtype,
    /// The KV buffers of the decoder over slots, whose attention is our own and reads either type.
    pub keys_values: Dtype,
    formats: [Format; Part::ALL.len()],
}

impl Default for Precision {
    fn default() -> Self {
        Self::uniform(Dtype::F32, Quantize::None)
    }
}

impl Precision {
    /// One format for the decoder and the tables, encoders as `dtype` says.
    pub fn uniform(dtype: Dtype, quantize: Quantize) -> Self {
        let text = match quantize {
            Quantize::None => dtype.format(),
            Quantize::Int8 => Format::Int8,
            Quantize::Int4 => Format::Int4,
        };
        let encoder = |part| matches!(part, Part::Vision | Part::Audio);
        let formats = Part::ALL.map(|part| if encoder(part) { dtype.format() } else { text });
        Self { dtype, keys_values: dtype, formats }
    }

    /// The format of each part; refused where graphs cannot have it.
    pub fn new(dtype: Dtype, format: impl Fn(Part) -> Format) -> Result<Self, Fatal> {
        let precision = Self { dtype, keys_values: dtype, formats: Part::ALL.map(format) };
        Part::ALL.into_iter().try_for_each(|part| precision.check(part))?;
        Ok(precision)
    }

    /// What a manifest says of a bundle; parts that it does not name are of no concern.
    pub fn of_manifest(facts: &facts::Precision) -> Result<Self, Fatal> {
        let unknown = |what: &str| {
            let hint = "export the bundle again with this lapidary";
            Fatal::new(format!("the manifest names a precision that is not known: `{what}`"), hint)
        };
        let known = |name: &str| {
            let known = [Dtype::F32, Dtype::F16].into_iter().find(|dtype| dtype.as_str() == name);
            known.ok_or_else(|| unknown(name))
        };
        let dtype = known(&facts.dtype)?;
        let keys_values = if facts.keys_values.is_empty() { dtype } else { known(&facts.keys_values)? };
        let quantize = Quantize::ALL.into_iter().find(|quantize| quantize.as_str() == facts.quantize);
        let mut formats = Self::uniform(dtype, quantize.unwrap_or_default()).formats;
        for (name, format) in &facts.parts {
            let part = Part::ALL.into_iter().find(|part| part.as_str() == name).ok_or_else(|| unknown(name))?;
            let format = Format::ALL.into_iter().find(|known| known.as_str() == format);
            formats[part as usize] = format.ok_or_else(|| unknown(name))?;
        }
        Ok(Self { dtype, keys_values, formats })
    }

    /// The same with other KV buffers for the decoder over slots; refused where there is none.
    pub fn with_keys_values(self, keys_values: Dtype) -> Result<Self, Fatal> {
        if self.dtype == Dtype::F32 || keys_values == self.dtype {
            return Ok(Self { keys_values, ..self });
        }
        let message = "`keys_values` cannot differ from `compute` f16: no decoder over slots is written then";
        Err(Fatal::new(message, "leave `keys_values` out"))
    }

    /// The format of one part.
    pub fn of(&self, part: Part) -> Format {
        self.formats[part as usize]
    }

    /// The format of what stays in floats where the maps of a part do not: what stands around an encoder's layers.
    pub fn around(&self, part: Part) -> Format {
        let format = self.of(part);
        if format.dense().is_some() { format } else { self.dtype.format() }
    }

    /// What the maps of a part compute with: the product of 8 bits exists for f32 only.
    pub fn compute(&self, part: Part) -> Element {
        match self.of(part) {
            Format::Int8 => Element::F32,
            _ => self.dtype.element(),
        }
    }

    fn check(&self, part: Part) -> Result<(), Fatal> {
        let format = self.of(part);
        let (problem, hint) = match (part, format.dense()) {
            (Part::Vision | Part::Audio, None) if format.in_blocks() => {
                ("encoders lose too much in 4 bits", "give it f32, f16 or int8")
            }
            (Part::Decoder | Part::Head | Part::Experts, Some(element)) if element != self.dtype.element() => {
                ("its maps take floats of the type that is computed with", "give it the type of `compute`")
            }
            _ => return Ok(()),
        };
        let (part, format, dtype) = (part.as_str(), format.as_str(), self.dtype.as_str());
        Err(Fatal::new(format!("`{part}` cannot be {format} where `compute` is {dtype}: {problem}"), hint))
    }
}
