//! In which order jobs are taken, and when.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Rank;
use crate::clock::Moment;

/// Names a job for as long as it is in the queue. Later jobs have higher ones.
pub(super) type Id = u64;

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A moment.
    Waits { until: Moment },
    /// A place.
    Ready,
    /// Its holder, or the end of the lease.
    Leased { token: u64, until: Moment },
}

/// Jobs by what they wait for, each in one of three sets.
#[derive(Debug, Default)]
pub(super) struct Order {
    waits: BTreeSet<(Moment, Id)>,
    ready: BTreeSet<(Reverse<Rank>, Id)>,
    leased: BTreeSet<(Moment, Id)>,
}

impl Order {
    pub(super) fn add(&mut self, id: Id, rank: Rank, state: State) {
        match state {
            State::Waits { until } => self.waits.insert((until, id)),
            State::Ready => self.ready.insert((Reverse(rank), id)),
            State::Leased { until, .. } => self.leased.insert((until, id)),
        };
    }

    pub(super) fn remove(&mut self, id: Id, rank: Rank, state: State) {
        match state {
            State::Waits { until } => self.waits.remove(&(until, id)),
            State::Ready => self.ready.remove(&(Reverse(rank), id)),
            State::Leased { until, .. } => self.leased.remove(&(until, id)),
        };
    }

    /// A job whose wait is over at `now`; call it until there is none.
    pub(super) fn next_due(&self, now: Moment) -> Option<Id> {
        due(&self.waits, now)
    }

    /// A job whose lease is over at `now`.
    pub(super) fn next_expired(&self, now: Moment) -> Option<Id> {
        due(&self.leased, now)
    }

    /// The first of the jobs that are ready.
    pub(super) fn next_ready(&self) -> Option<Id> {
        self.ready.first().map(|&(_, id)| id)
    }
}

fn due(set: &BTreeSet<(Moment, Id)>, now: Moment) -> Option<Id> {
    set.first().filter(|(until, _)| *until <= now).map(|&(_, id)| id)
}
