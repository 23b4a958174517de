//! Model bundles: a Hugging Face checkpoint in, four ONNX graphs with a manifest out.

pub mod graph;
