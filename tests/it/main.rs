//! All integration tests in one binary, one module per room.

mod again;
mod bundle;
mod cards;
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
#[cfg(target_os = "linux")]
mod gpu;
mod hostile;
mod http;
mod hub;
mod letters;
mod line;
mod loader;
mod lost;
mod media;
mod mutations;
mod onnx;
mod parse;
#[cfg(target_os = "linux")]
mod pins;
mod pipelines;
mod plain;
mod prepare;
mod publish;
mod records;
mod reference;
mod rooms;
mod score;
mod speech;
mod stuck;
mod synthetic;
mod towers;
mod verify;
mod vocabulary;
mod words;
mod write;
