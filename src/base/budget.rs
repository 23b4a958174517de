//! Bytes in flight: units lease them where they are born and give them back when they are dropped.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::stop::Stop;

/// One budget for the whole line. A unit larger than the budget is let through alone.
#[derive(Debug, Clone)]
pub struct ByteBudget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    total: u64,
    used: Mutex<u64>,
    given_back: Condvar,
}

impl ByteBudget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        Self(Arc::new(Pool { total, used: Mutex::new(0), given_back: Condvar::new() }))
    }

    /// Waits until `bytes` are free, or nothing else is in flight. `None` when the run is aborted meanwhile.
    pub fn lease(&self, bytes: u64, stop: &Stop) -> Option<Lease> {
        let mut used = self.0.used();
        while *used > 0 && *used + bytes > self.0.total {
            if stop.aborting() {
                return None;
            }
            let patience = Duration::from_millis(100);
            used = self.0.given_back.wait_timeout(used, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
        Some(Lease { pool: Some(self.0.clone()), bytes })
    }

    /// Bytes leased at this moment.
    pub fn in_use(&self) -> u64 {
        *self.0.used()
    }
}

impl Pool {
    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of the byte budget; dropping it gives it back.
#[derive(Default)]
pub struct Lease {
    pool: Option<Arc<Pool>>,
    bytes: u64,
}

impl Lease {
    /// A lease of nothing, for items that hold no bytes.
    pub fn none() -> Self {
        Self::default()
    }

    /// Gives back all but `bytes`, when a stage has made something smaller of its item.
    pub fn shrink(&mut self, bytes: u64) {
        let kept = bytes.min(self.bytes);
        self.give_back(self.bytes - kept);
        self.bytes = kept;
    }

    /// Takes more without waiting, when a stage has made something larger of its item: waiting in the
    /// middle of the line could wait for ever.
    pub fn grow(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.bytes);
        if let Some(pool) = &self.pool {
            *pool.used() += more;
            self.bytes += more;
        }
    }

    /// Leases exactly `bytes` from now on, without waiting.
    pub fn resize(&mut self, bytes: u64) {
        self.shrink(bytes);
        self.grow(bytes);
    }

    fn give_back(&self, bytes: u64) {
        if let Some(pool) = &self.pool {
            *pool.used() -= bytes;
            pool.given_back.notify_all();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lease_makes_room_for_the_one_that_waits() {
        let budget = ByteBudget::new(100);
        let first = budget.lease(80, &Stop::default()).unwrap();
        let waiting = std::thread::spawn({
            let budget = budget.clone();
            move || budget.lease(50, &Stop::default()).unwrap().bytes
        });
        drop(first);
        assert_eq!(waiting.join().unwrap(), 50);
        assert_eq!(budget.in_use(), 0);
    }

    #[test]
    fn a_unit_larger_than_the_budget_passes_alone() {
        let budget = ByteBudget::new(10);
        assert_eq!(budget.lease(1000, &Stop::default()).unwrap().bytes, 1000);
    }

    #[test]
    fn an_aborted_run_waits_for_nothing() {
        let (budget, stop) = (ByteBudget::new(10), Stop::default());
        let _held = budget.lease(10, &stop);
        stop.abort();
        assert!(budget.lease(10, &stop).is_none());
    }

    #[test]
    fn resizing_keeps_the_books() {
        let budget = ByteBudget::new(100);
        let mut lease = budget.lease(40, &Stop::default()).unwrap();
        lease.resize(10);
        assert_eq!(budget.in_use(), 10);
        lease.resize(60);
        assert_eq!(budget.in_use(), 60);
        drop(lease);
        assert_eq!(budget.in_use(), 0);
    }
}
