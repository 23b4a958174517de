//! Time that stands still while this process does: stopped by hand (Ctrl-Z), or frozen with its container.

use std::time::{Duration, Instant};

/// A glance that comes later than it should by more than this tells that the process stood still.
const LATE: Duration = Duration::from_secs(1);

/// A clock that a thread looks at in even steps, since that is how it learns that the process stood still.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    /// When it was last looked at.
    seen: Instant,
    /// For how long it stood still in all.
    still: Duration,
    /// How often it is looked at.
    glance: Duration,
}

impl Clock {
    /// A clock that begins at `now` and is looked at every `glance`.
    pub fn new(now: Instant, glance: Duration) -> Self {
        Self { began: now, seen: now, still: Duration::ZERO, glance }
    }

    /// The time at `now`. A glance that comes far too late counts as one in time.
    pub fn read(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.seen);
        if passed > self.glance + LATE {
            self.still += passed - self.glance;
        }
        self.seen = self.seen.max(now);
        self.seen.saturating_duration_since(self.began).saturating_sub(self.still)
    }

    /// As after so long a time in which nothing looked at it.
    #[cfg(test)]
    pub fn stand_still(&mut self, time: Duration) {
        (self.began, self.seen) = (self.began - time, self.seen - time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_while_the_process_does() {
        let began = Instant::now();
        let mut clock = Clock::new(began, Duration::from_millis(100));
        let mut at = |millis| clock.read(began + Duration::from_millis(millis)).as_millis();
        assert_eq!(at(100), 100);
        assert_eq!(at(1_200), 1_200, "a glance that is a little late");
        assert_eq!(at(601_200), 1_300, "ten minutes stopped");
        assert_eq!(at(601_250), 1_350);
        assert_eq!(at(601_200), 1_350, "it does not go back");
        assert_eq!(at(611_250), 1_450, "stopped once more");
    }
}
