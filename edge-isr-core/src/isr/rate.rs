//! Keeps a [`Rate`], by our own clock.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as Timer, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Moment};
use crate::model::rate::Rate;

/// Timers ring in steps of a millisecond and a little late. What a rate holds in so much time may happen at once,
/// or one that is fast would lose what each of its waits is late.
const STEP: Duration = Duration::from_millis(50);

/// A burst holds no more than what the rate gives in so much time.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Lets something happen as often as a [`Rate`] says.
pub(crate) struct Limiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Tick>>,
    clock: Ticks,
}

impl Limiter {
    pub(crate) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let interval = rate.interval();
        let in_a_step = STEP.as_nanos().div_ceil(interval.as_nanos());
        let in_a_step = u32::try_from(in_a_step).unwrap_or(u32::MAX);
        // The limiter counts in nanoseconds: what takes a century to come about is as good as no bound.
        let in_a_century = u32::try_from(CENTURY.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        let burst = rate.most_at_once().max(in_a_step).min(in_a_century);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        // No interval is zero, so there is always a quota.
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let clock = Ticks(clock);
        Self { limiter: RateLimiter::direct_with_clock(quota.allow_burst(burst), clock.clone()), clock }
    }

    /// Takes the right to do it once; else says how long to wait before it is worth asking again.
    pub(crate) fn try_take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

/// Our clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl Timer for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(self.0.now())
    }
}

/// Our moment, as the limiter counts with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(Moment);

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.after(Duration::from_nanos(nanos.as_u64())))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        let earlier = self.0.as_nanos().checked_sub(duration.as_u64());
        earlier.map_or(*self, |nanos| Self(Moment::from_nanos(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::ManualClock;

    /// How often it happens within `time`, for a caller who always comes `late`.
    fn taken(rate: Rate, time: Duration, late: Duration) -> u32 {
        let clock = ManualClock::default();
        let limiter = Limiter::new(rate, Arc::new(clock.clone()));
        let (begin, mut taken) = (clock.now(), 0);
        while clock.now().since(begin) <= time {
            match limiter.try_take() {
                Ok(()) => taken += 1,
                Err(wait) => clock.advance(wait + late),
            }
        }
        taken
    }

    #[test]
    fn p15_a_burst_is_had_once_and_then_the_rate_is_kept() {
        let minute = Duration::from_secs(60);
        assert_eq!(taken(Rate::per_minute(30), minute, Duration::ZERO), 31);
        assert_eq!(taken(Rate::per_minute(30).burst(5), minute, Duration::ZERO), 35);
        assert_eq!(taken(Rate::per_second(1), Duration::ZERO, Duration::ZERO), 1);
    }

    #[test]
    fn p15_no_burst_is_too_large_to_be_counted() {
        for rate in [Rate::per_minute(1), Rate::per_second(1), Rate::per_second(u32::MAX)] {
            let limiter = Limiter::new(rate.burst(u32::MAX), Arc::new(ManualClock::default()));
            assert!((0..100_000).all(|_| limiter.try_take().is_ok()), "{rate:?}");
        }
    }

    #[test]
    fn to_come_late_costs_at_most_a_twentieth_of_the_rate() {
        for times in [1, 10, 19, 20, 21, 100, 999, 10_000] {
            let late = Duration::from_micros(1_100);
            let done = taken(Rate::per_second(times), Duration::from_secs(20), late);
            let (least, most) = (times * 20 * 95 / 100, times * 20 + 1 + times.div_ceil(20));
            assert!((least..=most).contains(&done), "{times} a second: {done} in 20 s");
        }
    }

    proptest! {
        #[test]
        fn p15_whoever_waits_as_told_gets_it_and_nobody_gets_it_before(
            times in 1u32..2_000,
            burst in 1u32..50,
            steps in proptest::collection::vec(1u64..100, 1..100),
        ) {
            let clock = ManualClock::default();
            let limiter = Limiter::new(Rate::per_second(times).burst(burst), Arc::new(clock.clone()));
            for millis in steps {
                clock.advance(Duration::from_millis(millis));
                while limiter.try_take().is_ok() {}
                let wait = limiter.try_take().unwrap_err();
                clock.advance(wait - Duration::from_nanos(1));
                prop_assert_eq!(limiter.try_take(), Err(Duration::from_nanos(1)));
                clock.advance(Duration::from_nanos(1));
                prop_assert_eq!(limiter.try_take(), Ok(()));
            }
        }
    }
}
