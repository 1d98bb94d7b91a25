//! The only place that reads a clock. Everything else is given a [`Moment`] or an age.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

/// A point on the monotonic time line of this process.
///
/// Moments of different clocks are not comparable, and a moment never leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    /// Where clocks begin: late enough for what an origin says is as old as HTTP can say (RFC 9111 §1.2.2) to
    /// have been born on the same time line.
    pub const BEGINNING: Self = Self(1_000_000_000 * (1 << 31));

    /// The moment `nanos` nanoseconds after the clock's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How much later this moment is; zero if it is earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved into the past, as far as the time line goes.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This moment moved into the future, as far as the time line goes.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Tells the time. Ages come from [`now`](Clock::now); [`wall`](Clock::wall) only stamps things that leave
/// the process and decides nothing about freshness.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic time.
    fn now(&self) -> Moment;
    /// The time of day.
    fn wall(&self) -> SystemTime;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        const NANOS: u64 = 1_000_000_000;
        let passed = self.start.elapsed();
        // Good for five centuries, and cheaper than what is good for more.
        let nanos = passed.as_secs().wrapping_mul(NANOS).wrapping_add(u64::from(passed.subsec_nanos()));
        Moment(Moment::BEGINNING.0.wrapping_add(nanos))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
