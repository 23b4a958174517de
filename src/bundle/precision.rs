//! How a bundle stores its numbers.

use super::graph::Element;

/// Activations, KV buffers, and weights that are not quantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
}

/// Weights of the decoder and of the embedding tables; the encoders are never quantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quantize {
    /// As [`Dtype`] says.
    #[default]
    None,
    /// 8 bits, one scale per output; activations are rounded to 8 bits row by row.
    Int8,
    /// 4 bits, one scale per 32 inputs.
    Int4,
}

impl Quantize {
    /// The name in the manifest and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }
}

/// How a bundle stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Precision {
    /// Activations and unquantised weights.
    pub dtype: Dtype,
    /// Weights of the decoder and of the embedding tables.
    pub quantize: Quantize,
}
