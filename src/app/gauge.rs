//! Counters of a run that anyone may read while it goes on: what progress and the report are made of.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::base::StageName;

/// A number that many threads add to.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one stage has done.
#[derive(Debug, Default)]
pub struct StageGauge {
    /// Items that left the stage.
    pub items: Count,
    /// Items that failed in it.
    pub faults: Count,
    /// Time its lanes spent working rather than waiting, in microseconds, summed over the lanes.
    busy_micros: Count,
}

impl StageGauge {
    /// Adds working time.
    pub fn worked(&self, time: Duration) {
        self.busy_micros.add(time.as_micros() as u64);
    }

    /// Working time so far, summed over the lanes.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.get())
    }
}

/// All counters of a run.
#[derive(Debug)]
pub struct Gauge {
    /// When the run began.
    pub began: Instant,
    /// Documents that `collect` found, duplicates left out.
    pub documents: Count,
    /// Documents whose decoding has ended.
    pub documents_decoded: Count,
    /// Documents that were not begun, since the run is ending or its limit is reached.
    pub documents_left: Count,
    /// Units that `decode` promised.
    pub promised: Count,
    /// Units that have a row or a failure.
    pub settled: Count,
    /// Those of them that the dataset held already: they cost no time worth counting.
    pub kept: Count,
    /// Prompt tokens of settled units.
    pub prompt_tokens: Count,
    /// New tokens of settled units.
    pub new_tokens: Count,
    /// Most new units, where there is a limit.
    limit: OnceLock<u64>,
    collected_all: AtomicBool,
    stages: [StageGauge; 6],
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            documents: Count::default(),
            documents_decoded: Count::default(),
            documents_left: Count::default(),
            promised: Count::default(),
            settled: Count::default(),
            kept: Count::default(),
            prompt_tokens: Count::default(),
            new_tokens: Count::default(),
            limit: OnceLock::new(),
            collected_all: AtomicBool::new(false),
            stages: Default::default(),
        }
    }
}

impl Gauge {
    /// The counters of one stage.
    pub fn stage(&self, stage: StageName) -> &StageGauge {
        &self.stages[stage as usize]
    }

    /// Says that `collect` has come to its end: the number of documents is final.
    pub fn close_collection(&self) {
        self.collected_all.store(true, Ordering::Release);
    }

    /// True once the number of documents is final.
    pub fn collection_closed(&self) -> bool {
        self.collected_all.load(Ordering::Acquire)
    }

    /// Says, before the run begins, that it takes no more new units than these: `--limit`.
    pub fn limit_to(&self, units: u64) {
        // The first word counts.
        let _ = self.limit.set(units);
    }

    /// Units that this run itself has settled, without those that were kept: what its speed is made of.
    pub fn settled_now(&self) -> u64 {
        self.settled.get().saturating_sub(self.kept.get())
    }

    /// Time left if the rest goes as what this run has settled did. `None` before there is anything to go by.
    pub fn time_left(&self) -> Option<Duration> {
        let settled = self.settled_now();
        let left = self.units_left(settled)?;
        let seconds = self.began.elapsed().as_secs_f64() / settled as f64 * left;
        Some(Duration::from_secs_f64(seconds.min(1e9)))
    }

    /// New units to come when so many are settled. What documents not yet decoded will bring is guessed from those
    /// decoded; documents that are left out bring nothing, and all together no more than the limit.
    fn units_left(&self, settled: u64) -> Option<f64> {
        let decoded = self.documents_decoded.get();
        if settled == 0 || decoded == 0 || !self.collection_closed() {
            return None;
        }
        let promised = self.promised.get().saturating_sub(self.kept.get()) as f64;
        let documents = self.documents.get().saturating_sub(self.documents_left.get()).max(decoded);
        let guessed = promised / decoded as f64 * documents as f64;
        let most = self.limit.get().map_or(f64::INFINITY, |units| *units as f64);
        Some((guessed.min(most).max(promised) - settled as f64).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_promised_before_anything_is_known() {
        let gauge = Gauge::default();
        assert_eq!(gauge.time_left(), None);
        gauge.settled.add(1);
        assert_eq!(gauge.time_left(), None);
    }

    #[test]
    fn a_run_with_everything_settled_has_no_time_left() {
        let gauge = Gauge::default();
        gauge.documents.add(2);
        gauge.documents_decoded.add(2);
        gauge.promised.add(4);
        gauge.settled.add(4);
        gauge.close_collection();
        assert_eq!(gauge.time_left(), Some(Duration::ZERO));
    }

    /// A gauge of a run that has found 100 documents and decoded 10, of four units each, of which 20 are settled.
    fn under_way() -> Gauge {
        let gauge = Gauge::default();
        gauge.documents.add(100);
        gauge.documents_decoded.add(10);
        gauge.promised.add(40);
        gauge.settled.add(20);
        gauge.close_collection();
        gauge
    }

    #[test]
    fn documents_that_are_left_out_take_no_time() {
        let gauge = under_way();
        assert_eq!(gauge.units_left(20), Some(380.0));
        gauge.documents_left.add(80);
        assert_eq!(gauge.units_left(20), Some(60.0), "ten documents are still to be decoded");
        gauge.documents_left.add(10);
        assert_eq!(gauge.units_left(20), Some(20.0), "what is promised is all there is");
    }

    #[test]
    fn no_more_is_expected_than_the_limit_and_no_less_than_what_is_promised() {
        let gauge = under_way();
        gauge.limit_to(50);
        assert_eq!(gauge.units_left(20), Some(30.0));
        gauge.promised.add(20);
        assert_eq!(gauge.units_left(20), Some(40.0), "a document that is begun may go over the limit");
    }

    #[test]
    fn what_is_kept_is_no_work_and_says_nothing_of_the_speed() {
        let gauge = under_way();
        gauge.kept.add(15);
        assert_eq!(gauge.settled_now(), 5);
        assert_eq!(gauge.units_left(5), Some(245.0), "of four units of a document two and a half are new");
        gauge.kept.add(5);
        assert_eq!((gauge.settled_now(), gauge.time_left()), (0, None));
    }
}
