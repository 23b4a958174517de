//! What becomes of units that fail: they leave their slots, and are told of unless it is the engine that has failed.

use std::time::Instant;

use super::Generator;
use crate::{
    base::{Emit, Fatal, Fault, FaultKind, Generation},
    generate::{
        engine::{Engine, EngineError, Slot},
        seat::Seat,
    },
};

/// After so many failures of the engine without a success in between, the engine is at fault and not the units.
const PATIENCE: usize = 16;

impl<E: Engine> Generator<E> {
    /// The units in these slots have failed; the slots are free again. When the engine is of no more use nobody is told of
    /// them: they are not done.
    pub(super) fn fail(
        &mut self,
        slots: &[Slot],
        error: EngineError,
        emit: &mut dyn Emit<Generation>,
    ) -> Result<(), Fatal> {
        let seats = self.vacate(slots);
        let fault = self.weigh(error)?;
        self.stats.faults += (seats.len() as u64).saturating_sub(1);
        seats.iter().for_each(|seat| emit.fault(&seat.envelope.origin, fault.clone()));
        Ok(())
    }

    /// The grammar could not follow the slot's answer, which says nothing of the engine.
    pub(super) fn give_up(&mut self, slot: Slot, fault: &Fault, emit: &mut dyn Emit<Generation>) {
        for seat in self.vacate(&[slot]) {
            self.stats.faults += 1;
            emit.fault(&seat.envelope.origin, fault.clone());
        }
    }

    fn vacate(&mut self, slots: &[Slot]) -> Vec<Seat> {
        let seats = slots.iter().filter_map(|slot| self.seats[*slot].take()).collect();
        slots.iter().for_each(|slot| self.engine.release(*slot));
        self.occupancy.left(Instant::now());
        self.has_left = true;
        seats
    }

    /// Whether an error costs units or the run. The engine is asked first: what a lost card says of its last run may read
    /// like a fault of the unit.
    pub(super) fn weigh(&mut self, error: EngineError) -> Result<Fault, Fatal> {
        let fault = match error {
            EngineError::Session(fatal) => return Err(fatal),
            EngineError::Unit(fault) => fault,
        };
        let of_the_engine = matches!(fault.kind, FaultKind::Engine | FaultKind::Deadline);
        if let Some(fatal) = of_the_engine.then(|| self.engine.lost()).flatten() {
            return Err(Fatal::new(format!("{}; {}", fatal.message, fault.message), fatal.hint));
        }
        self.stats.faults += 1;
        self.failures_in_a_row += usize::from(of_the_engine);
        if self.failures_in_a_row < PATIENCE {
            return Ok(fault);
        }
        Err(Fatal::new(format!("the engine failed {PATIENCE} times in a row; last: {}", fault.message), fault.hint))
    }
}
