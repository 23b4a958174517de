//! `lapidary` turns folders of PDFs, pictures, sound and video into a typed Parquet dataset with
//! Gemma 4 running as ONNX graphs under ONNX Runtime.
//!
//! The six stages stand in the order in which the data walks:
//!
//! 1. [`collect`]  paths -> `Document`: walk, kind by content, hash
//! 2. [`decode`]   `Document` -> `Unit`: a page, picture, clip of sound, film or text, made by child processes
//! 3. [`encode`]   `Unit` -> `Prompt`: patches, log-mel, chat template, token ids
//! 4. [`generate`] `Prompt` -> `Generation`: the only room with an accelerator
//! 5. [`parse`]    `Generation` -> `Extraction`: JSON to typed values
//! 6. [`write`]    `Extraction` -> Parquet: columns from the JSON Schema, failures, totals
//!
//! Four service rooms stand before them: [`app`] wires the stages into a line, [`base`] holds the words
//! that all rooms share, [`bundle`] makes and checks model bundles, [`cli`] is the only place that
//! prints or reads arguments. A stage imports `base` and never another stage.
#![deny(unsafe_code)]

pub mod app;
pub mod base;
pub mod bundle;
pub mod cli;
pub mod collect;
pub mod decode;
pub mod encode;
pub mod generate;
pub mod parse;
pub mod write;
