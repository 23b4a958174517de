//! Model bundles: a Hugging Face checkpoint in, four ONNX graphs with a manifest out.

pub mod checkpoint;
pub mod config;
pub mod draft;
pub mod export;
pub mod graph;
mod manifest;
mod open;
pub mod plain;
pub mod precision;
pub mod quantize;
pub mod self_test;
pub mod text;
pub mod towers;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{AudioConfig, Config, ExpertsConfig, LayerConfig, Rotary, TextConfig, VisionConfig};
pub use export::{ExportRequest, Exported, export};
pub use open::{Check, open};
pub use precision::{Dtype, Precision, Quantize};
