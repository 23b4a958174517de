//! Model bundles: a Hugging Face checkpoint in, four ONNX graphs with a manifest out.

pub mod checkpoint;
pub mod config;
pub mod graph;
pub mod precision;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{AudioConfig, Config, LayerConfig, Rotary, TextConfig, VisionConfig};
pub use precision::{Dtype, Precision, Quantize};
