//! What is still to be done about invalidations: their pages rendered anew, the caches in front told.
//!
//! All of it is here and none of it in a worker, so that a worker that is killed takes nothing with it: the next one
//! goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::busy::{Busy, Guard};
use super::progress::Watched;
use crate::clock::Moment;
use crate::graph::Members;
use crate::model::tag::Tag;
use crate::queue::Window;
use crate::sync::{Mutex, lock};

mod crew;
mod fed;
mod feeding;
#[cfg(test)]
mod tests;
mod underway;
mod waiting;

pub(crate) use feeding::{Ending, Next};
pub(crate) use underway::{Found, Place, Underway};
pub(crate) use waiting::Run;

/// The most runs that are under way at once and have pages to be listed or to be given to the queue, or a long list of
/// URLs.
const MOST_AT_WORK: usize = 256;
/// The most that are under way at all: the others only wait for pages that the queue has. One that hangs may be many
/// edits' page, and must not keep those of other pages out.
const MOST_UNDERWAY: usize = 4_096;
/// From how many pages in all backlogs on only runs without a backlog list further.
const MOST_BACKLOG: usize = 1 << 20;
/// The most bytes of URLs that all runs together have listed; those of which there is no room for more are told as
/// everything.
const MOST_LISTED: usize = 16 << 20;

#[derive(Debug, Default)]
struct State {
    waiting: waiting::Waiting,
    underway: BTreeMap<u64, Underway>,
    /// Those of them that do more than wait.
    at_work: BTreeSet<u64>,
    fed: fed::Fed,
    /// Whose pages are all done, and whose caches in front are to be told.
    over: Vec<Underway>,
    backlog: usize,
    last_id: u64,
    /// The runs that listed and that fed a page last: the next one is another's.
    listed: u64,
    served: u64,
    workers: usize,
    has_foreman: bool,
    is_closed: bool,
    /// Keeps `idle` waiting while a worker has something to do.
    busy: Option<Guard>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Runs {
    /// How long a burst lasts.
    window: Window,
    state: Mutex<State>,
    changed: Notify,
    busy: Arc<Busy>,
}

/// A batch to be listed.
#[derive(Debug)]
pub(crate) struct Listing {
    id: u64,
    pub(crate) tag: Tag,
    pub(crate) place: Place,
    pub(crate) want: u64,
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.underway.is_empty() && self.over.is_empty()
    }

    /// Whether the runs have as many URLs as they may.
    fn has_listed_most(&self) -> bool {
        let underway = self.underway.values().chain(&self.over).map(|underway| &underway.run);
        let listed = self.waiting.iter().chain(underway).map(|run| run.listed.bytes());
        listed.sum::<usize>() >= MOST_LISTED
    }

    fn keep_busy(&mut self, busy: &Arc<Busy>) {
        if self.workers == 0 || self.is_empty() {
            self.busy = None;
        } else if self.busy.is_none() {
            self.busy = Some(busy.begin());
        }
    }

    /// The run of the highest priority that `wants` something; of several the next one after `last`, so that a
    /// small one does not wait for the end of a large one.
    fn next(&self, last: u64, wants: impl Fn(&Underway) -> bool) -> Option<u64> {
        let in_turn = self.at_work.range(last + 1..).chain(self.at_work.range(..=last));
        let wanting = in_turn.filter_map(|id| self.underway.get_key_value(id));
        let wanting = wanting.filter(|(_, underway)| wants(underway));
        // Of equals this gives the last, hence the first in turn.
        wanting.rev().max_by_key(|(_, underway)| underway.run.priority).map(|(&id, _)| id)
    }

    /// Whether there is room for another run.
    fn has_room(&self) -> bool {
        self.at_work.len() < MOST_AT_WORK && self.underway.len() < MOST_UNDERWAY
    }

    /// A run has changed: it may only wait from now on, or be over.
    fn settle(&mut self, id: u64) {
        let Some(underway) = self.underway.get_mut(&id) else { return };
        if underway.is_at_work() {
            self.at_work.insert(id);
        } else {
            underway.given_up = BTreeSet::new();
            self.at_work.remove(&id);
        }
        if underway.is_over()
            && let Some(over) = self.underway.remove(&id)
        {
            self.at_work.remove(&id);
            self.over.push(over);
        }
    }
}

impl Runs {
    pub(crate) fn new(window: Window, busy: Arc<Busy>) -> Self {
        Self { window, state: Mutex::default(), changed: Notify::new(), busy }
    }

    /// Resolves when there may be more to do; register it before you look.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    /// Hands a run to the workers and says where its receipt has to look; `None` when nobody works.
    pub(crate) fn push(&self, run: Run) -> Option<Arc<Watched>> {
        let mut state = lock(&self.state);
        if state.workers == 0 || state.is_closed {
            return None;
        }
        let watched = state.waiting.push(run);
        state.keep_busy(&self.busy);
        drop(state);
        self.changed.notify_waiters();
        watched
    }

    /// Whether there is anything that a worker should look after.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).is_empty()
    }

    /// Whether a run waits whose burst is over, and there is room for it.
    pub(crate) fn can_take(&self, now: Moment) -> bool {
        let mut state = lock(&self.state);
        state.has_room() && state.waiting.has_due(self.window, now)
    }

    /// The next batch to be listed; takes up a run that waits, if `may_take`.
    pub(crate) fn next_listing(&self, may_take: bool, now: Moment) -> Option<Listing> {
        let mut state = lock(&self.state);
        if may_take
            && state.has_room()
            && let Some(run) = state.waiting.take_due(self.window, now)
        {
            state.last_id += 1;
            let id = state.last_id;
            state.underway.insert(id, Underway::new(run, now));
            state.settle(id);
        }
        let is_full = state.backlog >= MOST_BACKLOG;
        let has_room = |run: &Underway| run.elsewhere.is_empty() && (!is_full || run.backlog.is_empty());
        let id = state.next(state.listed, |run| run.place().is_some() && has_room(run))?;
        state.listed = id;
        let underway = state.underway.get(&id)?;
        let (tag, place) = underway.place()?;
        Some(Listing { id, tag: tag.clone(), place, want: underway.run.seq })
    }

    /// Takes in what was listed.
    pub(crate) fn list(&self, of: &Listing, members: &Members, found: Found, told: bool, has_second: bool) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let is_full = told && state.has_listed_most();
        let Some(underway) = state.underway.get_mut(&of.id) else { return };
        if told && !of.place.is_second {
            if is_full {
                underway.run.listed.forget(&of.tag);
            } else {
                underway.run.listed.add(&of.tag, members);
            }
            underway.urls += members.keys.len();
        }
        state.backlog += underway.add(members, found, has_second);
        state.settle(of.id);
    }

    /// A run whose pages are all done, and what keeps `idle` waiting until the caches in front are told of it.
    pub(crate) fn take_over(&self) -> Option<(Underway, Guard)> {
        let mut state = lock(&self.state);
        let over = state.over.pop()?;
        // Within the lock: another worker may find nothing left at once.
        Some((over, self.busy.begin()))
    }

    /// Lets `idle` go if nothing is left. Call it when what was taken is in other hands.
    pub(crate) fn rest(&self) {
        lock(&self.state).keep_busy(&self.busy);
    }
}
