//! A clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, Moment};

/// A clock that moves only when told to. Clones share the time.
///
/// ```
/// use std::time::Duration;
/// use edge_isr_core::clock::Clock;
/// use edge_isr_core::testing::ManualClock;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(clock.now().since(before), Duration::from_secs(3));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    monotonic: Arc<AtomicU64>,
    /// The time of day, apart: tests skew it to show that nothing depends on it.
    wall: Arc<AtomicU64>,
}

impl Default for ManualClock {
    fn default() -> Self {
        let second = 1_000_000_000;
        Self {
            monotonic: Arc::new(AtomicU64::new(Moment::BEGINNING.as_nanos())),
            wall: Arc::new(AtomicU64::new(1_800_000_000 * second)),
        }
    }
}

impl ManualClock {
    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic.fetch_add(nanos, SeqCst);
        self.wall.fetch_add(nanos, SeqCst);
    }

    /// Sets the time of day alone, forwards or backwards.
    pub fn set_wall(&self, time: SystemTime) {
        let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.wall.store(u64::try_from(nanos).unwrap_or(u64::MAX), SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.monotonic.load(SeqCst))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.wall.load(SeqCst))
    }
}
