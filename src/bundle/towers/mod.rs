//! The two towers that turn pictures and sound into soft tokens, written as ONNX graphs from a checkpoint.
//!
//! [`vision`] writes `vision_encoder.onnx`, [`audio`] writes `audio_encoder.onnx`. Both take and give f32 whatever
//! the precision of their weights, and both compute in f32: the pooled picture does not fit f16, and ONNX Runtime's
//! blockwise attention on processors is f32 only.

pub mod audio;
mod conformer;
mod local_attention;
mod mask;
mod patches;
mod pooling;
mod rotary;
mod subsampling;
mod tower;
pub mod vision;
mod vision_layer;
