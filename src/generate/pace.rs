//! How long runs of a graph take: the longest seen, by the size of the run.

use std::time::Duration;

/// Sizes that are told apart: one bucket for each power of two.
const BUCKETS: usize = 32;

/// The longest runs of a graph.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace([Option<Duration>; BUCKETS]);

impl Pace {
    /// A run of so many rows has taken so long.
    pub(super) fn note(&mut self, rows: usize, took: Duration) {
        let longest = &mut self.0[bucket(rows)];
        *longest = (*longest).max(Some(took));
    }

    /// The longest that a run of so many rows can be expected to take: as long as one of its size or larger, or a smaller
    /// one for as many times as it is larger. `None` before anything is known.
    pub(super) fn longest(&self, rows: usize) -> Option<Duration> {
        let own = bucket(rows);
        let larger = self.0[own..].iter().find_map(|longest| *longest);
        let scaled = |(bucket, longest): (usize, &Option<Duration>)| {
            longest.map(|took| took.saturating_mul(1 << (own - bucket)))
        };
        larger.or_else(|| self.0[..own].iter().enumerate().rev().find_map(scaled))
    }
}

fn bucket(rows: usize) -> usize {
    (rows.max(1).ilog2() as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_run_is_expected_to_take_longer_and_a_smaller_one_no_longer() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert_eq!(pace.longest(8), None);
        pace.note(8, second);
        pace.note(9, second / 2);
        let seconds = [1, 8, 15, 16, 256].map(|rows| pace.longest(rows).unwrap().as_secs());
        assert_eq!(seconds, [1, 1, 1, 2, 32]);
        pace.note(1, second / 10);
        assert_eq!(pace.longest(1), Some(second / 10));
        assert_eq!(pace.longest(2), Some(second), "nothing is known of its own size");
    }

    #[test]
    fn runs_of_any_size_have_a_place() {
        let mut pace = Pace::default();
        pace.note(usize::MAX, Duration::from_secs(1));
        assert_eq!(pace.longest(0), Some(Duration::from_secs(1)));
        let mut pace = Pace::default();
        pace.note(0, Duration::from_secs(1));
        assert_eq!(pace.longest(usize::MAX), Some(Duration::from_secs(1 << 31)));
    }
}
