//! The two ways in which a run is asked to end: drain (finish what is begun) and abort (drop it, whole rows only).

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Shared by all threads of a run; cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

const DRAIN: u8 = 1;
const ABORT: u8 = 2;

impl Stop {
    /// No new documents; units in flight are finished.
    pub fn drain(&self) {
        self.0.fetch_max(DRAIN, Ordering::SeqCst);
    }

    /// Units in flight are dropped; rows already written stay whole.
    pub fn abort(&self) {
        self.0.fetch_max(ABORT, Ordering::SeqCst);
    }

    /// Asked once: drain; asked again: abort.
    pub fn ask(&self) {
        if self.draining() { self.abort() } else { self.drain() }
    }

    /// True from the first request on.
    pub fn draining(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= DRAIN
    }

    /// True from the second request on.
    pub fn aborting(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= ABORT
    }
}
