//! `--limit N`: how many units a run may still begin.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A shared allowance of units. Without a limit it never runs out.
#[derive(Debug, Clone)]
pub struct UnitQuota(Arc<AtomicU64>);

impl UnitQuota {
    /// At most `limit` units; `None` is no limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self(Arc::new(AtomicU64::new(limit.unwrap_or(u64::MAX))))
    }

    /// Takes up to `wanted` units from the allowance and says how many were granted.
    pub fn take(&self, wanted: u64) -> u64 {
        let mut granted = 0;
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            granted = wanted.min(left);
            Some(if left == u64::MAX { left } else { left - granted })
        });
        granted
    }

    /// False when it never runs out.
    pub fn is_limited(&self) -> bool {
        self.0.load(Ordering::SeqCst) != u64::MAX
    }

    /// True when nothing is left to grant.
    pub fn spent(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_no_more_than_the_limit() {
        let quota = UnitQuota::new(Some(3));
        assert_eq!((quota.take(2), quota.take(2), quota.take(2)), (2, 1, 0));
        assert!(quota.spent() && quota.is_limited());
        assert_eq!(UnitQuota::new(None).take(1 << 40), 1 << 40);
    }
}
