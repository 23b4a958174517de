//! The ways in which a run is asked to end: drain (finish what is begun), abort (drop it, whole rows only), and give up
//! (abort without waiting for a thread that is stuck).

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

use super::fault::Fatal;

/// Shared by all threads of a run; cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicU8,
    given_up: OnceLock<Fatal>,
}

const DRAIN: u8 = 1;
const ABORT: u8 = 2;

impl Stop {
    /// No new documents; units in flight are finished, with all tries that the ladder gives them.
    pub fn drain(&self) {
        self.0.asked.fetch_max(DRAIN, Ordering::SeqCst);
    }

    /// Units in flight are dropped; rows already written stay whole.
    pub fn abort(&self) {
        self.0.asked.fetch_max(ABORT, Ordering::SeqCst);
    }

    /// As [`Stop::abort`], and a thread that is stuck is not waited for. The first reason counts.
    pub fn give_up(&self, why: Fatal) {
        let _ = self.0.given_up.set(why);
        self.abort();
    }

    /// Aborts when the thread that calls it panics: for what such a thread drops, so that no other waits for it.
    pub fn abort_if_panicking(&self) {
        if thread::panicking() {
            self.abort();
        }
    }

    /// Asked once: drain; asked again: abort.
    pub fn ask(&self) {
        if self.draining() { self.abort() } else { self.drain() }
    }

    /// True from the first request on.
    pub fn draining(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst) >= DRAIN
    }

    /// True from the second request on.
    pub fn aborting(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst) >= ABORT
    }

    /// Why the run was given up.
    pub fn given_up(&self) -> Option<&Fatal> {
        self.0.given_up.get()
    }
}
