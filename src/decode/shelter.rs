//! A roof over other people's decoders: a panic inside one becomes a fault of the unit that it was reading.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::{Fault, FaultKind};

use super::output::refuse;

/// Runs `work`. What it borrows must not be used again after a fault, because a panic may have left it half done.
pub fn sheltered<T>(format: &str, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = format!("the {format} decoder stumbled over the content, which contradicts the format");
        Err(refuse(FaultKind::Corrupt, message, "open it in another program and save it anew"))
    })
}
