//! A roof over other people's decoders: a panic inside one becomes a fault of the unit that it was reading.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::base::{Fault, FaultKind};

use super::{memory, output::refuse};

/// Runs `work`. What it borrows must not be used again after a fault, because a panic may have left it half done.
pub fn sheltered<T>(format: &str, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(stumbled(format, &words(&*panic))))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn stumbled(format: &str, words: &str) -> Fault {
    if memory::was_refused(words) {
        return memory::refused(format!("the {format} decoder has run out of memory: {words}"));
    }
    let message = format!("the {format} decoder stumbled over the content, which contradicts the format: {words}");
    refuse(FaultKind::Corrupt, message, "open it in another program and save it anew")
}
