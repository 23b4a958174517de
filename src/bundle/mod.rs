//! Model bundles: a Hugging Face checkpoint in, four ONNX graphs with a manifest out; and graphs of other exporters.

mod catalog;
pub mod checkpoint;
mod community;
pub mod config;
pub mod draft;
pub mod export;
mod foreign;
pub mod graph;
pub mod hub;
mod manifest;
mod open;
pub mod output;
pub mod plain;
pub mod precision;
pub mod quantize;
mod recipe;
mod room;
pub mod self_test;
mod synthetic;
pub mod text;
pub mod towers;
pub mod workshop;

pub use catalog::{Catalog, Entry, Holds};
pub use checkpoint::{Checkpoint, Tensor};
pub use config::{AudioConfig, Config, ExpertsConfig, LayerConfig, Rotary, TextConfig, VisionConfig};
pub use export::{ExportRequest, Exported, Source, export};
pub use open::{Check, open, read_manifest};
pub use precision::{Dtype, Format, Part, Precision, Quantize};
pub use recipe::Recipe;
pub use synthetic::{SynthesizeRequest, Synthesized, checkpoint as random_checkpoint, inventory, shape, synthesize};
