//! All integration tests in one binary, one module per room.

mod again;
mod bundle;
mod catalogue;
mod cli;
mod collect;
mod continuing;
mod decode;
mod demo;
mod encode;
mod evidence;
mod family;
pub mod generate;
mod hostile;
mod http;
mod hub;
mod letters;
mod line;
mod loader;
mod media;
mod mutations;
mod onnx;
mod parse;
#[cfg(target_os = "linux")]
mod pins;
mod pipelines;
mod plain;
mod publish;
mod records;
mod rooms;
mod score;
mod speech;
mod stuck;
mod synthetic;
mod towers;
mod verify;
mod vocabulary;
mod write;
