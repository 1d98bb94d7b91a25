//! The time that queues are tried with.

use std::time::Duration;

use crate::clock::{Clock, Moment, SystemClock};
use crate::sync::{Mutex, lock};

/// The shortest time that clauses tell apart. Long enough for a real clock on a machine that is busy.
pub(super) const UNIT: Duration = Duration::from_millis(400);

/// The time that a queue is tried with.
#[derive(Debug)]
pub struct Time(Source);

#[derive(Debug)]
enum Source {
    ByHand(Mutex<Moment>),
    Real(SystemClock),
}

impl Time {
    /// For a queue that goes by the moments it is given. Nothing waits.
    #[must_use]
    pub fn by_hand() -> Self {
        Self(Source::ByHand(Mutex::new(Moment::from_nanos(1_000_000_000))))
    }

    /// For a queue that goes by a clock of its own, such as its server's. The suite then takes some seconds.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real(SystemClock::default()))
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::ByHand(now) => *lock(now),
            Source::Real(clock) => clock.now(),
        }
    }

    pub(super) async fn pass(&self, by: Duration) {
        match &self.0 {
            Source::ByHand(now) => {
                let mut now = lock(now);
                *now = now.after(by);
            }
            Source::Real(_) => tokio::time::sleep(by).await,
        }
    }
}
