//! Stage 2, `Document` -> `Unit`: pages, pictures, clips, films and text, made by child processes.
//!
//! The decoders run in a child of the same binary, because they read hostile files: one that loops, bombs or
//! crashes costs a page and is replaced. Each decoder is a function
//! `fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault>`; an `Err` means that the
//! document as a whole failed, [`Output::fault`] that one unit did.

pub mod child;
mod children;
mod course;
mod decoder;
mod ffmpeg;
pub mod film;
mod form;
mod group;
#[cfg(unix)]
mod hand;
pub mod input;
#[cfg(target_os = "linux")]
mod leash;
mod memory;
mod notes;
mod nursery;
pub mod order;
pub mod output;
mod overhear;
mod packets;
pub mod pages;
mod pdf;
pub mod picture;
mod process;
pub mod proof;
pub mod settings;
mod several;
mod shared;
mod shelter;
mod slice;
pub mod sound;
mod stream;
mod text;
mod together;
pub mod walls;
mod wanted;
mod watch;
mod wire;
mod word;

pub use decoder::Decoder;
pub use input::Input;
pub use order::{Order, Render};
pub use output::{Gathered, Output, refuse};
#[doc(hidden)]
pub use overhear::overhear;
pub use pages::PageRanges;
#[doc(hidden)]
pub use pdf::PdfReader;
pub use settings::{Cut, LONGEST_CLIP, Limits, Settings, SoundSettings, SoundTrack, TextSettings, VideoSettings};
pub use slice::{Slice, Slicer};
pub use walls::{Level, Reached, Sandbox, Walls};
