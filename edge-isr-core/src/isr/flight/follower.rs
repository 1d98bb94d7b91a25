//! Waiting for somebody else's render.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use super::news::Told;
use super::{Boarding, Flight, News, Outcome};
use crate::model::snapshot::Snapshot;
#[cfg(feature = "twins")]
use crate::testing::Twin;

/// A place among those who wait for a flight.
#[derive(Debug)]
pub struct Follower {
    flight: Arc<Flight>,
    told: watch::Receiver<Told>,
}

impl Follower {
    pub(super) fn of(flight: &Arc<Flight>, most: usize) -> Boarding {
        if flight.waiters.fetch_add(1, Relaxed) >= most {
            flight.waiters.fetch_sub(1, Relaxed);
            return Boarding::Full;
        }
        Boarding::Follow(Self { flight: Arc::clone(flight), told: flight.told.subscribe() })
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
        match self.told.wait_for(|told| told.outcome.is_some()).await {
            Ok(told) => told.outcome.clone().unwrap_or(Outcome::Abandoned),
            Err(_) => Outcome::Abandoned,
        }
    }

    /// Waits for the head of the answer, or the end of a flight that told nothing before.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: the place is the follower's.
    pub async fn news(&mut self) -> News {
        let told = self.told.wait_for(|told| told.at_head.is_some() || told.outcome.is_some()).await;
        let news = told.ok().and_then(|told| told.news());
        news.unwrap_or(News::Landed(Outcome::Abandoned))
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
