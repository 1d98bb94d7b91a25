//! Who leads.

use std::sync::Arc;

use super::news::{AtHead, Outcome, Told};
use super::{Flight, Flights};
use crate::clock::Moment;
use crate::isr::busy::Guard;
use crate::model::key::CacheKey;
use crate::model::snapshot::Snapshot;
#[cfg(feature = "twins")]
use crate::model::tag::TagId;
#[cfg(feature = "twins")]
use crate::testing::Twin;

/// The right to render one key. Dropped without an outcome, it releases those who wait.
#[derive(Debug)]
#[must_use = "a permit that is dropped abandons its flight"]
pub struct Permit {
    flight: Arc<Flight>,
    /// `None` once landed, and for a flight that nobody could join.
    flights: Option<Arc<Flights>>,
    began: Option<Moment>,
    is_for_one: bool,
    is_as_asked: bool,
    _aloft: Guard,
}

impl Permit {
    pub(super) fn of(flight: Arc<Flight>, flights: Option<Arc<Flights>>, aloft: Guard) -> Self {
        Self { flight, flights, began: None, is_for_one: false, is_as_asked: false, _aloft: aloft }
    }

    /// The key to render.
    #[must_use]
    pub fn key(&self) -> &CacheKey {
        &self.flight.key
    }

    /// The snapshot the render began with.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.flight.snapshot
    }

    /// Notes when the handler is first polled: from here on it is counted how long the render takes. A wait for
    /// room is none of it, or pages would be rendered the further ahead the fuller it is.
    pub fn begin(&mut self, now: Moment) {
        self.began = Some(now);
    }

    /// Notes that it is asked with one visitor's credentials: an answer that is not stored says nothing about
    /// everyone's page.
    pub fn keep_to_one(&mut self) {
        self.is_for_one = true;
    }

    /// Notes that it is asked as one visitor asked, and not by the key alone: an answer may be about that request.
    pub fn ask_as_visitor(&mut self) {
        self.is_as_asked = true;
    }

    /// Whether it is asked as one visitor asked.
    #[must_use]
    pub fn is_as_asked(&self) -> bool {
        self.is_as_asked
    }

    /// Whether an answer that is not stored leaves everyone's page alone.
    #[must_use]
    pub fn is_for_one(&self) -> bool {
        self.is_for_one
    }

    /// When the handler was first polled.
    #[must_use]
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    /// The tags known before the render.
    #[cfg(feature = "twins")]
    pub(crate) fn known(&self) -> &[TagId] {
        self.flight.known()
    }

    /// Ends the flight.
    pub fn finish(mut self, outcome: Outcome) {
        self.land(outcome);
    }

    /// Tells those who wait, and those who come, what the head says. The flight goes on.
    pub fn announce(&self, at_head: AtHead) {
        self.flight.told.send_modify(|told| told.at_head = Some(at_head));
    }

    fn land(&mut self, outcome: Outcome) {
        #[cfg(feature = "twins")]
        if self.flight.lacks(Twin::TellBeforeLeaving) {
            self.tell(outcome.clone());
        }
        // Out of the table first: whoever comes now begins the next flight or finds the stored page.
        if let Some(flights) = self.flights.take() {
            flights.land(&self.flight);
        }
        self.tell(outcome);
    }

    /// The first outcome counts.
    fn tell(&self, outcome: Outcome) {
        self.flight.told.send_if_modified(|told| {
            let first = told.outcome.is_none();
            if first {
                *told = Told { at_head: None, outcome: Some(outcome) };
            }
            first
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        #[cfg(feature = "twins")]
        if self.flight.lacks(Twin::SilentDrop) {
            return;
        }
        self.land(Outcome::Abandoned);
    }
}
