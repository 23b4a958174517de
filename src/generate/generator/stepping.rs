//! One decoding step of all live slots: in one call where that works, else in halves, down to the slot that is at fault.

use super::{Generator, Seat, Waiting};
use crate::{
    base::{Emit, Fatal, Fault, Generation},
    generate::engine::{Engine, EngineError, Slot},
};

impl<E: Engine> Generator<E> {
    /// Feeds each live slot its next token.
    pub(super) fn step(&mut self, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let feed = |(slot, seat): (Slot, &Option<Seat>)| match seat.as_ref()?.waiting {
            Waiting::Step(token) => Some((slot, token)),
            Waiting::Prefill => None,
        };
        let feeds: Vec<(Slot, u32)> = self.seats.iter().enumerate().filter_map(feed).collect();
        feeds.chunks(self.together).try_for_each(|feeds| self.step_together(feeds, emit))
    }

    fn step_together(&mut self, feeds: &[(Slot, u32)], emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        match self.engine.step(feeds) {
            Ok(()) => {
                self.stats.steps += 1;
                self.stats.step_tokens += feeds.len() as u64;
                feeds.iter().try_for_each(|(slot, _)| self.advance(*slot, emit))
            }
            Err(EngineError::Unit(fault)) if feeds.len() > 1 => self.step_in_halves(feeds, &fault, emit),
            Err(error) => {
                let slots: Vec<Slot> = feeds.iter().map(|(slot, _)| *slot).collect();
                self.fail(&slots, error, emit)
            }
        }
    }

    /// A step that fails leaves its slots as they were. If one of them fails alone it was at fault; if none does, there
    /// were too many (memory, most likely), and from here on fewer go together.
    fn step_in_halves(
        &mut self,
        feeds: &[(Slot, u32)],
        fault: &Fault,
        emit: &mut dyn Emit<Generation>,
    ) -> Result<(), Fatal> {
        let (faults, half) = (self.stats.faults, feeds.len().div_ceil(2));
        feeds.chunks(half).try_for_each(|feeds| self.step_together(feeds, emit))?;
        if self.stats.faults == faults && half < self.together {
            tracing::warn!(target: "generate", slots = half, why = fault.message, "fewer slots are decoded together");
            self.together = half;
            self.stats.narrowed_to = half as u64;
        }
        Ok(())
    }
}
