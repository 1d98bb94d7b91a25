//! Waiting for somebody else's render.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use super::{Boarding, Flight, Outcome};
use crate::model::snapshot::Snapshot;
#[cfg(feature = "twins")]
use crate::testing::Twin;

/// A place among those who wait for a flight.
#[derive(Debug)]
pub struct Follower {
    flight: Arc<Flight>,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Follower {
    pub(super) fn of(flight: &Arc<Flight>, most: usize) -> Boarding {
        if flight.waiters.fetch_add(1, Relaxed) >= most {
            flight.waiters.fetch_sub(1, Relaxed);
            return Boarding::Full;
        }
        Boarding::Follow(Self { flight: Arc::clone(flight), outcome: flight.outcome.subscribe() })
    }

    /// The snapshot the render began with.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.flight.snapshot
    }

    /// Waits for the end of the flight.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the place and harms nobody.
    pub async fn outcome(mut self) -> Outcome {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Abandoned),
            Err(_) => Outcome::Abandoned,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        #[cfg(feature = "twins")]
        if self.flight.lacks(Twin::KeepPlace) {
            return;
        }
        self.flight.waiters.fetch_sub(1, Relaxed);
    }
}
