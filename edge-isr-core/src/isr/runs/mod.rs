//! What is still to be done about invalidations: their pages rendered anew, the caches in front told.
//!
//! All of it is here and none of it in a worker, so that a worker that is killed takes nothing with it: the next one
//! goes on where it stopped.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::busy::{Busy, Guard};
use super::progress::Watched;
use crate::clock::Moment;
use crate::graph::Members;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;
use crate::queue::{Job, Rank, Window};
use crate::sync::{Mutex, lock};

mod crew;
mod fed;
#[cfg(test)]
mod tests;
mod underway;
mod waiting;

pub(crate) use underway::{Found, Place, Underway};
pub(crate) use waiting::Run;

/// The most runs that are under way at once.
const MOST_UNDERWAY: usize = 256;
/// From how many pages in all backlogs on only runs without a backlog list further.
const MOST_BACKLOG: usize = 1 << 20;

#[derive(Debug, Default)]
struct State {
    waiting: waiting::Waiting,
    underway: BTreeMap<u64, Underway>,
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

/// A page to be given to the queue.
#[derive(Debug)]
pub(crate) struct Feed {
    id: u64,
    /// `None` for a page that is not in memory.
    hash: Option<u64>,
    pub(crate) job: Job,
    /// Since when it is to be rendered.
    pub(crate) since: Moment,
}

/// What there is for the queue.
#[derive(Debug)]
pub(crate) enum Next {
    Page(Feed),
    /// A page that needs none, or is on its way: look again.
    Gone,
    Nothing,
}

/// How a job ended, and for which sequences.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// The page is at least as new as this.
    Reached(u64),
    /// The render that was to reach this was given up.
    GivenUp(u64),
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.underway.is_empty() && self.over.is_empty()
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
        let in_turn = self.underway.range(last + 1..).chain(self.underway.range(..=last));
        let wanting = in_turn.filter(|(_, underway)| wants(underway));
        // Of equals this gives the last, hence the first in turn.
        wanting.rev().max_by_key(|(_, underway)| underway.run.priority).map(|(&id, _)| id)
    }

    fn end(&mut self, id: u64) {
        if self.underway.get(&id).is_some_and(Underway::is_over)
            && let Some(over) = self.underway.remove(&id)
        {
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
        state.underway.len() < MOST_UNDERWAY && state.waiting.has_due(self.window, now)
    }

    /// The next batch to be listed; takes up a run that waits, if `may_take`.
    pub(crate) fn next_listing(&self, may_take: bool, now: Moment) -> Option<Listing> {
        let mut state = lock(&self.state);
        if may_take
            && state.underway.len() < MOST_UNDERWAY
            && let Some(run) = state.waiting.take_due(self.window, now)
        {
            state.last_id += 1;
            let id = state.last_id;
            state.underway.insert(id, Underway::new(run, now));
            state.end(id);
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
        let Some(underway) = state.underway.get_mut(&of.id) else { return };
        if told && !of.place.is_second {
            underway.run.listed.add(&of.tag, members);
        }
        state.backlog += underway.add(members, found, has_second);
        state.end(of.id);
    }

    /// The next page for the queue. `key_of` finds the key of a page in memory.
    pub(crate) fn next_page(&self, now: Moment, key_of: impl Fn(u64) -> Option<CacheKey>) -> Next {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if state.fed.is_full() {
            return Next::Nothing;
        }
        // With no room to list the rest, what is known goes first.
        let is_full = state.backlog >= MOST_BACKLOG;
        let has_page = |run: &Underway| run.has_page() && (is_full || run.is_in_order(now));
        let Some(id) = state.next(state.served, has_page) else { return Next::Nothing };
        state.served = id;
        let Some(underway) = state.underway.get_mut(&id) else { return Next::Nothing };
        let (key, hash, visits) = match underway.backlog.pop_first() {
            Some((Reverse(visits), hash)) => {
                state.backlog -= 1;
                (key_of(hash), Some(hash), visits)
            }
            None => (underway.elsewhere.pop(), None, 0),
        };
        let Some(key) = key else {
            // Evicted since it was listed: it is left to its next visitor.
            underway.done(false);
            state.end(id);
            return Next::Gone;
        };
        if !state.fed.add(&key, id, now) {
            underway.uncount();
            state.end(id);
            return Next::Gone;
        }
        let rank = Rank { priority: underway.run.priority, visits };
        let job = Job { key, want: underway.run.seq, rank };
        Next::Page(Feed { id, hash, job, since: underway.run.first })
    }

    /// Takes back a page that the queue had no room for.
    pub(crate) fn take_back(&self, feed: Feed) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        state.fed.remove(&feed.job.key, feed.id);
        let Some(underway) = state.underway.get_mut(&feed.id) else { return };
        let Some(hash) = feed.hash else { return underway.elsewhere.push(feed.job.key) };
        if underway.backlog.insert((Reverse(feed.job.rank.visits), hash)) {
            state.backlog += 1;
        } else {
            underway.uncount();
            state.end(feed.id);
        }
    }

    /// A job has ended. Runs that want more than it was for go on waiting.
    pub(crate) fn done(&self, key: &CacheKey, ending: Ending, now: Moment) {
        let (seq, is_rendered) = match ending {
            Ending::Reached(seq) => (seq, true),
            Ending::GivenUp(seq) => (seq, false),
        };
        let mut state = lock(&self.state);
        let state = &mut *state;
        let mut over = Vec::new();
        state.fed.retain(key, now, |id| {
            let Some(underway) = state.underway.get_mut(&id) else { return false };
            if underway.run.seq > seq {
                return true;
            }
            underway.done(is_rendered);
            over.push(id);
            false
        });
        over.into_iter().for_each(|id| state.end(id));
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
