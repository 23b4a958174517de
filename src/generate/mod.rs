//! Stage 4: prompts to generations. The only room with an accelerator.
//!
//! [`Generator`] seats prompts in the slots of an [`Engine`], follows the grammar of a [`Guide`], chooses tokens with a
//! [`Sampler`] and hands out [`crate::base::Generation`]s.

mod answer;
mod closing;
mod engine;
mod generator;
mod guide;
mod replay;
mod reserve;
mod sample;
mod seat;
mod settings;
mod vocabulary;

pub use answer::{Answer, Rules, Turn};
pub use engine::{Card, Engine, EngineError, Logits, Prefill, Slot};
pub use generator::{Generator, Stats};
pub use guide::{Guide, Guided};
pub use replay::ReplayEngine;
pub use sample::{Choice, Sampler};
pub use settings::Settings;
pub use vocabulary::Vocabulary;
