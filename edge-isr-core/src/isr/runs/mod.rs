//! What is still to be done about invalidations: their pages rendered anew, the caches in front told.
//!
//! All of it is here and none of it in a worker, so that a worker that is killed takes nothing with it: the next one
//! goes on where it stopped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::busy::{Busy, Guard};
use super::progress::Watched;
use crate::clock::Moment;
use crate::graph::Members;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;
use crate::queue::{Job, Rank};
use crate::sync::{Mutex, lock};

mod underway;
mod waiting;

pub(crate) use underway::{Found, Place, Underway};
pub(crate) use waiting::Run;

/// The most runs that are under way at once.
const MOST_UNDERWAY: usize = 256;
/// The most pages that the queue has of ours. More would only wait there, and in no better order.
const MOST_FED: usize = 256;
/// From how many pages in all backlogs on only runs without a backlog list further.
const MOST_BACKLOG: usize = 1 << 20;

/// A page that the queue has.
#[derive(Debug)]
struct Fed {
    /// The runs that wait for it.
    owners: Vec<u64>,
    since: Moment,
}

#[derive(Debug, Default)]
struct State {
    waiting: waiting::Waiting,
    underway: BTreeMap<u64, Underway>,
    fed: HashMap<CacheKey, Fed>,
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
    hash: u64,
    pub(crate) job: Job,
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
    pub(crate) fn new(busy: Arc<Busy>) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), busy }
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

    /// Whether a run waits that there is room for.
    pub(crate) fn can_take(&self) -> bool {
        let state = lock(&self.state);
        !state.waiting.is_empty() && state.underway.len() < MOST_UNDERWAY
    }

    /// The next batch to be listed; takes up a run that waits, if `may_take`.
    pub(crate) fn next_listing(&self, may_take: bool) -> Option<Listing> {
        let mut state = lock(&self.state);
        if may_take
            && state.underway.len() < MOST_UNDERWAY
            && let Some(run) = state.waiting.take()
        {
            state.last_id += 1;
            let id = state.last_id;
            state.underway.insert(id, Underway::new(run));
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
            underway.listed.add(&of.tag, members);
        }
        state.backlog += underway.add(members, found, has_second);
        state.end(of.id);
    }

    /// The next page for the queue. `key_of` finds the key of a page in memory.
    pub(crate) fn next_page(&self, now: Moment, key_of: impl Fn(u64) -> Option<CacheKey>) -> Option<Feed> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        loop {
            if state.fed.len() >= MOST_FED {
                return None;
            }
            let has_page = |run: &Underway| !run.backlog.is_empty() || !run.elsewhere.is_empty();
            let id = state.next(state.served, has_page)?;
            state.served = id;
            let underway = state.underway.get_mut(&id)?;
            let (key, hash, visits) = match underway.backlog.pop_first() {
                Some((Reverse(visits), hash)) => {
                    state.backlog -= 1;
                    (key_of(hash), hash, visits)
                }
                None => (underway.elsewhere.pop(), 0, 0),
            };
            // Evicted since it was listed: it is left to its next visitor.
            let Some(key) = key else {
                underway.done(false);
                state.end(id);
                continue;
            };
            let rank = Rank { priority: underway.run.priority, visits };
            let job = Job { key: key.clone(), want: underway.run.seq, rank };
            let fed = state.fed.entry(key).or_insert_with(|| Fed { owners: Vec::new(), since: now });
            if fed.owners.contains(&id) {
                // It carries several tags of the run.
                underway.done(true);
                state.end(id);
                continue;
            }
            fed.owners.push(id);
            return Some(Feed { id, hash, job });
        }
    }

    /// Takes back a page that the queue had no room for.
    pub(crate) fn take_back(&self, feed: Feed) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if let Some(fed) = state.fed.get_mut(&feed.job.key) {
            fed.owners.retain(|owner| *owner != feed.id);
            if fed.owners.is_empty() {
                state.fed.remove(&feed.job.key);
            }
        }
        let Some(underway) = state.underway.get_mut(&feed.id) else { return };
        if feed.hash == 0 {
            underway.elsewhere.push(feed.job.key);
        } else if underway.backlog.insert((Reverse(feed.job.rank.visits), feed.hash)) {
            state.backlog += 1;
        }
    }

    /// The pages that the queue has since before `until`, with what is wanted of them: a queue that is shared or
    /// lossy may be done with them without a word.
    pub(crate) fn fed_before(&self, until: Moment) -> Vec<Job> {
        let state = lock(&self.state);
        let job = |(key, fed): (&CacheKey, &Fed)| {
            let runs =
                fed.owners.iter().filter_map(|id| state.underway.get(id)).map(|underway| &underway.run);
            let (want, priority) = runs.map(|run| (run.seq, run.priority)).max()?;
            Some(Job { key: key.clone(), want, rank: Rank { priority, visits: 0 } })
        };
        state.fed.iter().filter(|(_, fed)| fed.since <= until).filter_map(job).collect()
    }

    /// Whether the queue has pages of ours.
    pub(crate) fn has_fed(&self) -> bool {
        !lock(&self.state).fed.is_empty()
    }

    /// A job has ended. Runs that want more than it was for go on waiting.
    pub(crate) fn done(&self, key: &CacheKey, ending: Ending) {
        let (seq, is_rendered) = match ending {
            Ending::Reached(seq) => (seq, true),
            Ending::GivenUp(seq) => (seq, false),
        };
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(fed) = state.fed.get_mut(key) else { return };
        let mut over = Vec::new();
        fed.owners.retain(|id| {
            let Some(underway) = state.underway.get_mut(id) else { return false };
            if underway.run.seq > seq {
                return true;
            }
            underway.done(is_rendered);
            over.push(*id);
            false
        });
        if fed.owners.is_empty() {
            state.fed.remove(key);
        }
        over.into_iter().for_each(|id| state.end(id));
    }

    /// A run whose pages are all done: have the caches in front told, then take the next.
    pub(crate) fn take_over(&self) -> Option<Underway> {
        lock(&self.state).over.pop()
    }

    /// Lets `idle` go if nothing is left. Call it when what was taken is in other hands.
    pub(crate) fn rest(&self) {
        lock(&self.state).keep_busy(&self.busy);
    }

    pub(crate) fn attach(&self) {
        let mut state = lock(&self.state);
        state.workers += 1;
        state.keep_busy(&self.busy);
    }

    /// The place of the one worker that lists and feeds, if it is free.
    pub(crate) fn become_foreman(&self) -> bool {
        let mut state = lock(&self.state);
        !std::mem::replace(&mut state.has_foreman, true)
    }

    /// A worker leaves; whether it was the last.
    pub(crate) fn detach(&self, was_foreman: bool) -> bool {
        let mut state = lock(&self.state);
        state.workers -= 1;
        if was_foreman {
            state.has_foreman = false;
        }
        let is_last = state.workers == 0;
        // When it is closed, what is left is told before `idle` is let go.
        if !(is_last && state.is_closed) {
            state.keep_busy(&self.busy);
        }
        drop(state);
        // Another one may take the foreman's place.
        self.changed.notify_waiters();
        is_last
    }

    pub(crate) fn has_workers(&self) -> bool {
        lock(&self.state).workers > 0
    }

    /// Takes up no more. What is left is for whoever leaves last, or for the caller when nobody works.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_waiters();
    }

    /// All that is left, begun or not.
    pub(crate) fn take_all(&self) -> Vec<Underway> {
        let mut state = lock(&self.state);
        let mut all: Vec<Underway> = std::mem::take(&mut state.over);
        all.extend(std::mem::take(&mut state.underway).into_values());
        while let Some(run) = state.waiting.take() {
            all.push(Underway::new(run));
        }
        state.fed.clear();
        state.backlog = 0;
        all
    }

    /// What is left, to be told while nobody works, without giving it up.
    pub(crate) fn untold(&self) -> Vec<Run> {
        let state = lock(&self.state);
        let underway = state.over.iter().chain(state.underway.values()).map(|underway| &underway.run);
        state.waiting.iter().chain(underway).cloned().collect()
    }
}
