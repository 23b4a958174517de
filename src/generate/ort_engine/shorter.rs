//! A chunk of a prompt that fails is tried again in shorter ones: what is short is most likely memory.

use super::OrtEngine;
use crate::{
    base::{Fault, FaultKind},
    generate::engine::{EngineError, Slot},
};

/// Shorter chunks are not tried: a unit that fails with these is at fault itself.
const SHORTEST: usize = 16;

impl OrtEngine {
    /// Feeds a slot's next chunk, of which `tried` tokens at once have failed. When a shorter one works, all prompts are
    /// fed in chunks of that length from here on.
    ///
    /// # Errors
    /// The latest failure, when none works or the chunk cannot be cut.
    pub(super) fn feed_shorter(&mut self, slot: Slot, tried: usize, fault: Fault) -> Result<(), EngineError> {
        let (before, mut tried, mut fault) = (self.prefill_chunk, tried, fault);
        while fault.kind == FaultKind::Engine && tried > SHORTEST {
            self.prefill_chunk = (tried / 2).max(SHORTEST);
            let part = self.chunk(slot, None)?;
            // A picture that is fed in one piece stays as long as it is.
            if part.tokens.len() >= tried {
                break;
            }
            tried = part.tokens.len();
            match self.run(&[part]) {
                Ok(()) => {
                    let why = fault.message;
                    tracing::warn!(target: "generate", tokens = self.prefill_chunk, why, "prompts are fed in shorter chunks");
                    return Ok(());
                }
                Err(EngineError::Unit(next)) => fault = next,
                Err(error) => return Err(error),
            }
        }
        self.prefill_chunk = before;
        Err(fault.into())
    }
}
