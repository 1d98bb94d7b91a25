//! Collapse: requests for one key share one render.
//!
//! Whoever comes first leads and gets a [`Permit`]; the others follow. A permit that is dropped without an
//! outcome releases everybody: no key is ever wedged.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::hash::IdentityState;
use crate::model::key::CacheKey;
use crate::model::snapshot::Snapshot;
use crate::model::tag::TagId;
use crate::sync::{AtomicUsize, Mutex, lock};
#[cfg(feature = "twins")]
use crate::testing::Twin;

mod follower;
mod news;
mod permit;

use self::news::Told;
pub use follower::Follower;
pub use news::{AtHead, News, Outcome, Streaming};
pub use permit::Permit;

const SHARDS: usize = 64;

/// A render that others may wait for.
#[derive(Debug)]
pub struct Flight {
    key: CacheKey,
    snapshot: Snapshot,
    /// The tags known before the render: implicit ones and those of the layer.
    known: Box<[TagId]>,
    told: watch::Sender<Told>,
    waiters: AtomicUsize,
    #[cfg(feature = "twins")]
    twin: Option<Twin>,
}

impl Flight {
    /// The snapshot the render began with.
    #[must_use]
    pub const fn snapshot(&self) -> Snapshot {
        self.snapshot
    }

    /// The tags known before the render.
    #[must_use]
    pub fn known(&self) -> &[TagId] {
        &self.known
    }

    /// What its body is read from while it arrives, if its head said that all may.
    #[must_use]
    pub fn streaming(&self) -> Option<Arc<Streaming>> {
        match &self.told.borrow().at_head {
            Some(AtHead::Shared(streaming)) => Some(Arc::clone(streaming)),
            Some(AtHead::Undecided) | None => None,
        }
    }

    /// Whether a protection was removed to show that its model can fail.
    #[cfg(feature = "twins")]
    fn lacks(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }
}

/// What a request got.
#[derive(Debug)]
pub enum Boarding {
    /// The right to render.
    Lead(Permit),
    /// A place among those who wait.
    Follow(Follower),
    /// Neither: as many wait as may.
    Full,
}

type Shard = HashMap<u64, Vec<Arc<Flight>>, IdentityState>;

/// The flights in the air, at most one joinable per key.
#[derive(Debug)]
pub struct Flights {
    shards: Box<[Mutex<Shard>]>,
    most_waiters: usize,
    aloft: Arc<super::busy::Busy>,
    #[cfg(feature = "twins")]
    twin: Option<Twin>,
}

impl Flights {
    pub(crate) fn new(most_waiters: usize, aloft: Arc<super::busy::Busy>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most_waiters,
            aloft,
            #[cfg(feature = "twins")]
            twin: None,
        }
    }

    /// The same without one protection.
    #[cfg(feature = "twins")]
    pub(crate) fn lacking(mut self, twin: Option<Twin>) -> Self {
        self.twin = twin;
        self
    }

    /// Joins the key's flight if `joinable` says so, else begins the next one.
    ///
    /// `begin` takes the snapshot and names the known tags; it runs under the lock, so that no two requests
    /// lead at once.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: &CacheKey,
        joinable: impl Fn(&Flight) -> bool,
        begin: impl FnOnce() -> (Snapshot, Box<[TagId]>),
    ) -> Boarding {
        let mut shard = lock(self.shard(key));
        let aloft =
            shard.get(&key.hash()).and_then(|flights| flights.iter().find(|flight| flight.key == *key));
        if let Some(flight) = aloft.filter(|flight| joinable(flight)) {
            return Follower::of(flight, self.most_waiters);
        }
        // Before the table is touched: `begin` calls the layer's code, and a panic there leaves nothing behind.
        let (snapshot, known) = begin();
        let flight = self.flight(key.clone(), snapshot, known);
        let flights = shard.entry(key.hash()).or_default();
        // Overtaken: it goes on for those who wait for it, but nobody joins it any more.
        flights.retain(|overtaken| overtaken.key != *key);
        flights.push(Arc::clone(&flight));
        let flights = Some(Arc::clone(self));
        Boarding::Lead(Permit::of(flight, flights, self.aloft.begin()))
    }

    /// Whether a render of the key is in the air that can be joined.
    pub(crate) fn is_aloft(&self, key: &CacheKey) -> bool {
        lock(self.shard(key))
            .get(&key.hash())
            .is_some_and(|flights| flights.iter().any(|flight| flight.key == *key))
    }

    /// A place among those who wait for the key's render, if one is in the air that began before `seq`.
    pub(crate) fn begun_before(&self, key: &CacheKey, seq: u64) -> Option<Follower> {
        let shard = lock(self.shard(key));
        let is_older = |flight: &&Arc<Flight>| flight.key == *key && flight.snapshot.seq < seq;
        let older = shard.get(&key.hash())?.iter().find(is_older)?;
        match Follower::of(older, self.most_waiters) {
            Boarding::Follow(follower) => Some(follower),
            Boarding::Lead(_) | Boarding::Full => None,
        }
    }

    /// The right to render without anybody joining: for keys that are passed.
    pub(crate) fn solo(&self, key: CacheKey, snapshot: Snapshot) -> Permit {
        let flight = self.flight(key, snapshot, Box::default());
        Permit::of(flight, None, self.aloft.begin())
    }

    fn flight(&self, key: CacheKey, snapshot: Snapshot, known: Box<[TagId]>) -> Arc<Flight> {
        Arc::new(Flight {
            key,
            snapshot,
            known,
            told: watch::Sender::default(),
            waiters: AtomicUsize::new(0),
            #[cfg(feature = "twins")]
            twin: self.twin,
        })
    }

    fn shard(&self, key: &CacheKey) -> &Mutex<Shard> {
        &self.shards[key.hash() as usize % SHARDS]
    }

    fn land(&self, flight: &Arc<Flight>) {
        let mut shard = lock(self.shard(&flight.key));
        if let Some(flights) = shard.get_mut(&flight.key.hash()) {
            flights.retain(|other| !Arc::ptr_eq(other, flight));
            if flights.is_empty() {
                shard.remove(&flight.key.hash());
            }
        }
    }
}

#[cfg(shuttle)]
impl crate::Isr {
    /// How many entries the table of flights has: what a model finds empty at its end.
    #[must_use]
    pub fn flights_in_the_table(&self) -> usize {
        self.0.flights.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

#[cfg(test)]
mod tests;
