//! Ends runs of ONNX Runtime that are stuck: a thread beside the engine's that knows since when the run in progress has
//! been going on and when it is late.
//!
//! A late run is asked to end, which ONNX Runtime does before its next node, also inside a `Loop`; it then fails like any
//! other. A node that never comes back cannot be ended inside this process: after as long again the [`Stop`] of the run
//! is told, so that what is written so far can be closed and the process can go.

use std::{
    error::Error,
    fmt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ort::session::RunOptions;

use super::pace::Pace;
use crate::base::{Fatal, Stop, clock::Clock};

/// A run is late after this many times the longest that is known of its kind and size.
const TIMES_THE_LONGEST: u32 = 20;

/// Before anything is known of a graph, a run is late after this many times the shortest patience: the first may read
/// the weights from a slow disk.
const TIMES_THE_FIRST: u32 = 30;

/// The thread. Dropping it ends it.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// No run is late before this; zero when none ever is.
    patience: Duration,
    state: Mutex<State>,
    over: Condvar,
}

struct State {
    /// What the runs are timed by.
    clock: Clock,
    /// In progress: the decoder's side and the encoders work at the same time.
    runs: Vec<Running>,
    stop: Option<Stop>,
    over: bool,
}

/// A run in progress.
struct Running {
    what: Arc<str>,
    options: Arc<RunOptions>,
    rows: usize,
    /// By the clock.
    since: Duration,
    patience: Duration,
    /// Asked to end.
    asked: bool,
    /// The run as a whole has been told.
    given_up: bool,
}

/// One graph's place at the watchdog. A graph is run by one thread at a time.
pub(super) struct Watch {
    shared: Arc<Shared>,
    what: Arc<str>,
    options: Arc<RunOptions>,
    pace: Mutex<Pace>,
}

/// A run under watch, until it is dropped.
pub(super) struct Watched<'a>(&'a Watch);

/// Why a run was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Late {
    what: Arc<str>,
    rows: usize,
    after: Duration,
}

impl fmt::Display for Late {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, rows, after } = self;
        write!(out, "{what} with {rows} rows was stuck and ended after {:.1} s", after.as_secs_f64())
    }
}

impl Error for Late {}

impl Watchdog {
    /// Watches with so much patience; zero is for ever.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new(patience: Duration) -> Result<Self, Fatal> {
        let clock = Clock::new(Instant::now(), glance(patience));
        let state = Mutex::new(State { clock, runs: Vec::new(), stop: None, over: false });
        let shared = Arc::new(Shared { patience, state, over: Condvar::new() });
        if patience.is_zero() {
            return Ok(Self { shared, thread: None });
        }
        let watching = shared.clone();
        let thread = thread::Builder::new().name("generate-watch".into()).spawn(move || watching.watch());
        Ok(Self { thread: Some(thread.map_err(|error| unwatched(&error))?), shared })
    }

    /// A place for the runs of one graph.
    ///
    /// # Errors
    /// When ONNX Runtime gives no options.
    pub(super) fn watch(&self, graph: &Path) -> Result<Watch, Fatal> {
        let options = Arc::new(RunOptions::new().map_err(|error| unwatched(&error))?);
        let names: Vec<_> = graph.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
        let what = names.into_iter().rev().collect::<Vec<_>>().join("/").into();
        Ok(Watch { shared: self.shared.clone(), what, options, pace: Mutex::default() })
    }

    /// Tells this one when a run does not end although it was asked to.
    pub(super) fn tell(&self, stop: Stop) {
        self.shared.state().stop = Some(stop);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.over.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks now and then, so that a run costs no more than two locks that nobody else holds.
    fn watch(&self) {
        let mut state = self.state();
        while !state.over {
            state = self.over.wait_timeout(state, glance(self.patience)).unwrap_or_else(PoisonError::into_inner).0;
            let State { clock, runs, stop, .. } = &mut *state;
            let now = clock.read(Instant::now());
            runs.iter_mut().for_each(|run| run.look(now, stop.as_ref()));
        }
    }
}

/// How often it is looked at the runs.
fn glance(patience: Duration) -> Duration {
    (patience / 10).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

impl Running {
    fn look(&mut self, now: Duration, stop: Option<&Stop>) {
        let late = now.saturating_sub(self.since);
        let (seconds, graph, rows) = (late.as_secs(), &*self.what, self.rows);
        if !self.asked && late >= self.patience {
            tracing::warn!(target: "generate", graph, rows, seconds, "a run is stuck; it is asked to end");
            self.asked = self.options.terminate().is_ok();
        }
        if !self.given_up && late >= self.patience.saturating_mul(2) {
            tracing::error!(target: "generate", graph, rows, seconds, "a stuck run does not end");
            self.given_up = true;
            stop.iter().for_each(|stop| stop.give_up(self.fatal(late)));
        }
    }

    fn fatal(&self, late: Duration) -> Fatal {
        let (what, rows, seconds) = (&self.what, self.rows, late.as_secs_f64());
        let message = format!("generate: {what} with {rows} rows is stuck for {seconds:.1} s and cannot be ended");
        Fatal::new(
            message,
            "what is written so far is whole; raise generate.step_timeout_s if the machine is only slow",
        )
    }
}

impl Watch {
    /// Begins a run of so many rows.
    pub(super) fn begin(&self, rows: usize) -> Watched<'_> {
        let shortest = self.shared.patience;
        let longest = self.pace().longest(rows).map(|longest| longest.saturating_mul(TIMES_THE_LONGEST));
        let patience = longest.unwrap_or(shortest.saturating_mul(TIMES_THE_FIRST)).max(shortest);
        let (what, options) = (self.what.clone(), self.options.clone());
        let mut state = self.shared.state();
        let since = state.clock.read(Instant::now());
        state.runs.push(Running { what, options, rows, since, patience, asked: false, given_up: false });
        drop(state);
        Watched(self)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that goes on is over; gives it, and how long it took.
    fn end(&self) -> Option<(Running, Duration)> {
        let mut state = self.shared.state();
        let place = state.runs.iter().position(|run| Arc::ptr_eq(&run.options, &self.options))?;
        let run = state.runs.swap_remove(place);
        let took = state.clock.read(Instant::now()).saturating_sub(run.since);
        // The watchdog sets the flag only while the run is among those in progress.
        if run.asked && self.options.unterminate().is_err() {
            tracing::error!(target: "generate", graph = &*self.what, "the request to end cannot be taken back");
        }
        Some((run, took))
    }
}

impl Watched<'_> {
    /// Through these the run can be ended.
    pub(super) fn options(&self) -> &RunOptions {
        &self.0.options
    }

    /// The run has come to its end, however late.
    pub(super) fn succeeded(self) {
        if let Some((run, took)) = self.0.end() {
            self.0.pace().note(run.rows, took);
        }
    }

    /// The run has failed: because it was ended, or of itself.
    pub(super) fn failed(self, error: ort::Error) -> ort::Error {
        match self.0.end() {
            Some((Running { what, rows, asked: true, .. }, after)) => ort::Error::wrap(Late { what, rows, after }),
            _ => error,
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn unwatched(error: &dyn Error) -> Fatal {
    let message = format!("the engine cannot be watched: {error}");
    Fatal::new(message, "end other programs, or set generate.step_timeout_s to 0")
}
