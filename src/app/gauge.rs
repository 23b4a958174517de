//! Counters of a run that anyone may read while it goes on: what progress and the report are made of.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
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
    /// Prompt tokens of settled units.
    pub prompt_tokens: Count,
    /// New tokens of settled units.
    pub new_tokens: Count,
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
            prompt_tokens: Count::default(),
            new_tokens: Count::default(),
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

    /// Time left if the rest goes as what is settled did: units that documents not yet decoded will bring are
    /// guessed from those decoded. `None` before there is anything to go by.
    pub fn time_left(&self) -> Option<Duration> {
        let (settled, promised) = (self.settled.get() as f64, self.promised.get() as f64);
        let (decoded, documents) = (self.documents_decoded.get() as f64, self.documents.get() as f64);
        if settled == 0.0 || !self.collection_closed() || decoded == 0.0 {
            return None;
        }
        let units = promised.max(promised / decoded * documents);
        let seconds = self.began.elapsed().as_secs_f64() / settled * (units - settled).max(0.0);
        Some(Duration::from_secs_f64(seconds.min(1e9)))
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
}
