//! A thread that kills a child from outside: when it shows no progress for too long, or when the run is aborted.

use std::{
    io,
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::base::{Stop, clock::Clock};

/// How often an aborted run is noticed.
const GLANCE: Duration = Duration::from_millis(100);

/// A child process under watch. Dropping it kills the child.
#[derive(Debug)]
pub struct Watched {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    child: Child,
    clock: Clock,
    /// By that clock.
    deadline: Option<Duration>,
    late: bool,
    over: bool,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// True when it was killed because it was too slow.
    pub late: bool,
    /// True when the system ended it, its processor time being used up.
    pub out_of_time: bool,
    /// The exit status in words.
    pub status: String,
}

impl Watched {
    /// Puts a child under watch.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(child: Child, stop: Stop) -> io::Result<Self> {
        let clock = Clock::new(Instant::now(), GLANCE);
        let state = Mutex::new(State { child, clock, deadline: None, late: false, over: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let watcher = shared.clone();
        let thread = std::thread::Builder::new().name("decode-watch".into()).spawn(move || watcher.watch(&stop));
        // Built first, so that a missing thread does not leave the child behind.
        let mut watched = Self { shared, thread: None };
        watched.thread = Some(thread?);
        Ok(watched)
    }

    /// From now on the child has `patience` to show progress; `None` lets it rest. Returns for how long it has been
    /// under watch, without the time for which this process itself stood still.
    pub fn expect(&self, patience: Option<Duration>) -> Duration {
        let mut state = self.shared.state();
        let now = state.clock.read(Instant::now());
        state.deadline = patience.map(|patience| now.saturating_add(patience));
        now
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.shared.state().child.id()
    }

    /// Kills the child if it still runs, and says how it ended.
    pub fn end(self) -> End {
        let mut state = self.shared.state();
        // A child that closed its pipe is about to exit by itself: its own status says more than our signal.
        let grace = Instant::now() + Duration::from_millis(300);
        while matches!(state.child.try_wait(), Ok(None)) && !state.late && Instant::now() < grace {
            std::thread::sleep(Duration::from_millis(5));
        }
        state.kill();
        let status = state.child.wait();
        let out_of_time = status.as_ref().is_ok_and(ran_out_of_time);
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        End { late: state.late, out_of_time, status }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.over = true;
            state.kill();
            let _ = state.child.wait();
        }
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, stop: &Stop) {
        let mut state = self.state();
        while !state.over {
            if stop.aborting() {
                state.kill();
            }
            let now = state.clock.read(Instant::now());
            if state.deadline.is_some_and(|deadline| deadline <= now) {
                (state.late, state.deadline) = (true, None);
                state.kill();
            }
            state = self.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// True of a process that the system ended, its processor time being used up.
#[cfg(unix)]
pub fn ran_out_of_time(status: &ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub fn ran_out_of_time(_status: &ExitStatus) -> bool {
    false
}

impl State {
    /// The whole process group: a decoder may have started ffmpeg.
    fn kill(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            super::group::kill(self.child.id());
            let _ = self.child.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn sleeper() -> Watched {
        let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        Watched::new(child, Stop::default()).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn a_child_is_not_killed_for_the_time_that_its_parent_was_stopped() {
        let watched = sleeper();
        let patience = Duration::from_secs(30);
        let began = watched.expect(Some(patience));
        {
            watched.shared.state().clock.stand_still(Duration::from_secs(3600));
        }
        std::thread::sleep(5 * GLANCE);
        let passed = watched.expect(None) - began;
        assert!(passed < patience && !watched.end().late, "{passed:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_is_too_slow_is_killed() {
        let watched = sleeper();
        watched.expect(Some(Duration::from_millis(1)));
        std::thread::sleep(20 * GLANCE);
        assert!(watched.end().late);
    }
}
