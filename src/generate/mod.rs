//! Stage 4: prompts to generations. The only room with an accelerator.
//!
//! [`Generator`] seats prompts in the slots of an [`Engine`], follows the grammar of a [`Guide`], chooses tokens with a
//! [`Sampler`] and hands out [`crate::base::Generation`]s.

mod ahead;
mod album;
mod answer;
mod arena;
mod cache;
mod call;
mod capacity;
mod closing;
mod cuts;
mod decoder;
mod draft;
mod embedder;
mod encoders;
mod engine;
mod exponentials;
mod floats;
mod footprint;
mod generator;
mod growing;
mod guide;
mod network;
mod occupancy;
mod operators;
mod ort_engine;
mod pace;
mod packed;
mod pattern;
mod prefix;
mod probe;
mod raw;
mod replay;
mod reserve;
mod runtime;
mod sample;
mod scores;
mod seat;
mod settings;
mod slots;
mod spelling;
mod splice;
mod sweep;
mod syntax;
mod thinking;
mod tops;
mod vocabulary;
mod watchdog;

pub use answer::{Answer, Rules, Turn};
pub use capacity::{Capacity, Spare};
pub use draft::{Drafter, Shelf};
pub use encoders::Encoders;
pub use engine::{Card, Engine, EngineError, Feed, Logits, Reused, Slot};
pub use footprint::{Footprint, Keeping, declared_element};
pub use generator::{Generator, Stats};
pub use guide::{Guide, Guided};
pub use ort_engine::{EngineSettings, OrtEngine};
pub use replay::ReplayEngine;
pub use runtime::{Device, Runtime};
pub use sample::{Choice, Sampler};
pub use settings::{Form, Settings, Thoughts};
pub use spelling::Speller;
pub use syntax::Syntax;
pub use thinking::{Channel, Thinking};
pub use vocabulary::Vocabulary;
