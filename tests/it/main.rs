//! All integration tests in one binary, one module per room.

mod bundle;
mod collect;
mod decode;
mod encode;
mod generate;
mod line;
mod media;
mod onnx;
mod parse;
mod towers;
mod vocabulary;
mod write;
