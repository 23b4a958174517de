//! The time in which slots are in use: from the first admission to the last unit that left its slot. What part of it the
//! decoder spends inside runs says whether anything keeps it waiting.

use std::time::{Duration, Instant};

/// Two moments of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Occupancy {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Occupancy {
    /// A prompt begins to be admitted.
    pub(super) fn admitted(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// A unit has left its slot.
    pub(super) fn left(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Nothing before both have happened.
    pub(super) fn span(&self) -> Duration {
        self.last.zip(self.first).map_or(Duration::ZERO, |(last, first)| last.saturating_duration_since(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_first_admission_and_after_the_last_unit_does_not_count() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut occupancy = Occupancy::default();
        assert_eq!(occupancy.span(), Duration::ZERO);
        occupancy.admitted(after(10));
        assert_eq!(occupancy.span(), Duration::ZERO);
        occupancy.admitted(after(12));
        occupancy.left(after(15));
        occupancy.left(after(19));
        assert_eq!(occupancy.span(), Duration::from_secs(9));
    }
}
