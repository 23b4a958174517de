//! A decoder that the wall on memory has stopped, told by what it said last.

use crate::base::{Fault, FaultKind, Limit};

use super::output::refuse;

/// What is said where memory is refused: by Rust's allocator before it ends the process, by code that asks first and
/// panics on the answer, by PDFium, whose only exceptions are those of C++'s allocator, and by ffmpeg.
const SIGNS: [&str; 4] =
    ["memory allocation of", "AllocError", "cannot catch foreign exceptions", "Cannot allocate memory"];

/// True when `words` are those of a decoder that was refused memory.
pub fn was_refused(words: &str) -> bool {
    SIGNS.iter().any(|sign| words.contains(sign))
}

/// The fault of going over the limit.
pub fn refused(message: impl Into<String>) -> Fault {
    let hint = "raise `[decode.limits] memory` or look at the file apart";
    refuse(FaultKind::TooLarge, message, hint).over(Limit::Memory)
}
