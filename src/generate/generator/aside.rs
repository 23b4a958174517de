//! Units that memory is short for though they are stepped alone: they keep their seats and are set aside while the others
//! go on, whose leaving may give memory back. Such a unit fails only when nobody else is at work.
//!
//! Nobody is seated beside it until it has left, or it would be short again at once.

use std::mem;

use super::Generator;
use crate::{
    base::{Emit, Fatal, Fault, FaultKind, Generation},
    generate::{
        engine::{Engine, Slot},
        seat::Memory,
        trouble::Trouble,
    },
};

impl<E: Engine> Generator<E> {
    /// True while there is a unit that memory has been short for.
    pub(super) fn is_short(&self) -> bool {
        self.seats.iter().flatten().any(|seat| seat.memory != Memory::Enough)
    }

    /// True when a unit that failed alone may wait for another to leave: memory was short, and others are at work.
    pub(super) fn may_wait(&self, slot: Slot, fault: &Fault) -> bool {
        let is_short = fault.kind == FaultKind::Engine && Trouble::of(&fault.message) == Trouble::OutOfMemory;
        is_short && (0..self.seats.len()).any(|other| other != slot && self.is_at_work(other))
    }

    /// The unit waits until another has left its slot; its own slot stands as before the step that failed.
    pub(super) fn set_aside(&mut self, slot: Slot, fault: &Fault) {
        let Some(seat) = &mut self.seats[slot] else { return };
        let (unit, why) = (seat.envelope.origin.source.name.as_str(), fault.message.as_str());
        tracing::debug!(target: "generate", unit, why, "memory is short: the unit waits until another has left");
        seat.memory = Memory::Awaited;
        self.asides += 1;
    }

    /// Those that were set aside are tried one by one once another has left, and when nobody else is at work.
    pub(super) fn try_those_aside(&mut self, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let others_work = (0..self.seats.len()).any(|slot| self.is_at_work(slot));
        if !mem::take(&mut self.has_left) && others_work {
            return Ok(());
        }
        let is_aside = |slot: &Slot| self.seats[*slot].as_ref().is_some_and(|seat| seat.memory == Memory::Awaited);
        let aside: Vec<Slot> = (0..self.seats.len()).filter(is_aside).collect();
        for slot in aside {
            if let Some(seat) = &mut self.seats[slot] {
                seat.memory = Memory::Scarce;
            }
            if let Some(work) = self.work(slot) {
                self.step_together(&[work], emit)?;
            }
        }
        Ok(())
    }

    fn is_at_work(&self, slot: Slot) -> bool {
        self.seats[slot].as_ref().is_some_and(|seat| seat.memory != Memory::Awaited)
    }
}
