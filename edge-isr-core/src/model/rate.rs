//! How often something may happen.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many times in so much time, some of them at once.
///
/// ```
/// use std::time::Duration;
/// use edge_isr_core::Rate;
///
/// let rate = Rate::per_minute(30).burst(5);
/// assert_eq!(rate.interval(), Duration::from_secs(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    times: NonZeroU32,
    per: Duration,
    burst: NonZeroU32,
}

impl Rate {
    /// `times` a second, evenly spread. Zero counts as one.
    #[must_use]
    pub const fn per_second(times: u32) -> Self {
        Self::new(times, Duration::from_secs(1))
    }

    /// `times` a minute, evenly spread. Zero counts as one.
    #[must_use]
    pub const fn per_minute(times: u32) -> Self {
        Self::new(times, Duration::from_secs(60))
    }

    const fn new(times: u32, per: Duration) -> Self {
        let times = match NonZeroU32::new(times) {
            Some(times) => times,
            None => NonZeroU32::MIN,
        };
        Self { times, per, burst: NonZeroU32::MIN }
    }

    /// So many may happen at once, if none did for a while. By default one. Zero counts as one.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        self
    }

    /// The time from one to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        // At most four thousand million a second: never zero.
        (self.per / self.times.get()).max(Duration::from_nanos(1))
    }

    /// How many may happen at once.
    #[must_use]
    pub const fn most_at_once(&self) -> u32 {
        self.burst.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_one_and_no_interval_is_zero() {
        assert_eq!(Rate::per_second(0), Rate::per_second(1).burst(0));
        assert_eq!(Rate::per_second(u32::MAX).interval(), Duration::from_nanos(1));
        assert_eq!(Rate::per_minute(60), Rate::per_minute(60));
        assert_eq!(Rate::per_second(8).interval(), Duration::from_millis(125));
        assert_eq!(Rate::per_second(8).burst(3).most_at_once(), 3);
    }
}
