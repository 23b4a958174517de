//! 3: what the model receives. A `Unit` comes in; a `Prompt` goes out: token ids with places for pictures and sound,
//! the pictures as patches and the sound as log-mel spectrograms, laid out as Gemma 4 was trained on them.

pub mod audio;
pub mod image;
pub mod template;
pub mod tensors;
pub mod vocabulary;

mod detail;
mod encoder;
mod layout;
mod manner;
mod mel;
mod settings;
mod wording;

pub use encoder::Encoder;
pub use manner::Manner;
pub use settings::Settings;

use crate::base::{Fault, FaultKind, StageName};

/// A fault of this stage.
fn fault(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault::new(StageName::Encode, kind, message, hint)
}
