//! What goes to the queue, and what comes of it.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::fed::{Page, Why};
use super::{MOST_BACKLOG, Run, Runs, Underway};
use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;
use crate::queue::{Job, Rank};
use crate::sync::lock;

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

impl Runs {
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
            match hash {
                Some(hash) if underway.has_given_up(hash) => underway.uncount(),
                Some(hash) => underway.give_up(hash),
                None => {}
            }
            state.settle(id);
            return Next::Gone;
        };
        // Listed twice, for two of its tags or in both passes.
        if underway.has_given_up(key.hash()) || !state.fed.add(&key, id, now) {
            underway.uncount();
            state.settle(id);
            return Next::Gone;
        }
        let rank = Rank { priority: underway.run.priority, visits };
        let job = Job { key, want: underway.run.seq, rank };
        let feed = Feed { id, hash, job, since: underway.run.first };
        state.settle(id);
        Next::Page(feed)
    }

    /// Takes a page off that is new enough: it was listed twice, and the other time has been its render already.
    pub(crate) fn take_off(&self, feed: &Feed) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        // Else its job has ended meanwhile, and was counted.
        if state.fed.remove(&feed.job.key, feed.id)
            && let Some(underway) = state.underway.get_mut(&feed.id)
        {
            underway.uncount();
        }
        state.settle(feed.id);
    }

    /// Takes back a page that the queue had no room for.
    pub(crate) fn take_back(&self, feed: Feed) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        // Else its job has ended meanwhile: another run had it in the queue.
        if !state.fed.remove(&feed.job.key, feed.id) {
            return;
        }
        let Some(underway) = state.underway.get_mut(&feed.id) else { return };
        match feed.hash {
            None => underway.elsewhere.push(feed.job.key),
            Some(hash) if underway.backlog.insert((Reverse(feed.job.rank.visits), hash)) => {
                state.backlog += 1
            }
            Some(_) => underway.uncount(),
        }
        state.settle(feed.id);
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
            if is_rendered {
                underway.done(true);
            } else {
                underway.give_up(key.hash());
            }
            over.push(id);
            false
        });
        over.into_iter().for_each(|id| state.settle(id));
    }

    /// The pages that the queue has, those first of which nothing was heard for the longest time.
    pub(crate) fn fed(&self) -> VecDeque<CacheKey> {
        let state = lock(&self.state);
        let mut pages: Vec<_> = state.fed.pages.iter().map(|(key, page)| (page.heard, key.clone())).collect();
        drop(state);
        pages.sort_by_key(|(heard, _)| *heard);
        pages.into_iter().map(|(_, key)| key).collect()
    }

    /// What is wanted of a page that the queue has, and since when nothing was heard of it.
    pub(crate) fn fed_job(&self, key: &CacheKey) -> Option<(Job, Moment)> {
        let state = lock(&self.state);
        let Page { owners, heard, .. } = state.fed.pages.get(key)?;
        let runs = || owners.iter().filter_map(|id| state.underway.get(id)).map(|underway| &underway.run);
        let want = runs().map(|run| run.seq).max()?;
        let rank = Rank { priority: runs().map(|run| run.priority).max()?, visits: 0 };
        Some((Job { key: key.clone(), want, rank }, *heard))
    }

    /// Since when a page that the queue has is to be rendered.
    pub(crate) fn wanted_since(&self, key: &CacheKey) -> Option<Moment> {
        let state = lock(&self.state);
        let owners = &state.fed.pages.get(key)?.owners;
        owners.iter().filter_map(|id| state.underway.get(id)).map(|underway| underway.run.first).min()
    }

    /// Whether the queue has pages of ours.
    pub(crate) fn has_fed(&self) -> bool {
        !lock(&self.state).fed.is_empty()
    }

    /// A page of this URL was rendered anew and lost those tags: caches in front of runs that name them are told of it
    /// all the same. Whether there is such a run.
    pub(crate) fn lost(&self, is_lost: impl Fn(&Tag) -> bool, url: &str) -> bool {
        let mut any = false;
        let mut state = lock(&self.state);
        let state = &mut *state;
        let is_full = state.has_listed_most();
        let underway = state.underway.values_mut().chain(&mut state.over).map(|underway| &mut underway.run);
        for run in state.waiting.iter_mut().chain(underway) {
            let Run { tags, listed, .. } = run;
            for tag in tags.iter().filter(|tag| is_lost(tag)) {
                if is_full {
                    listed.forget(tag);
                } else {
                    listed.add_lost(tag, url);
                }
                any = true;
            }
        }
        any
    }

    /// A worker begins to render a page.
    pub(crate) fn begins(&self, key: &CacheKey) {
        if let Some(page) = lock(&self.state).fed.pages.get_mut(key) {
            page.is_taken = true;
        }
    }

    /// A page is tried again later, and takes no other's place until then.
    pub(crate) fn puts_off(&self, key: &CacheKey) {
        lock(&self.state).fed.put_off(key, Why::ItsOwn);
    }

    /// As [`Runs::puts_off`], because the page's host has all the renders it may have; how many pages of that host wait
    /// for it.
    pub(crate) fn puts_off_for_its_host(&self, key: &CacheKey, now: Moment) -> usize {
        let mut state = lock(&self.state);
        state.fed.put_off(key, Why::Host);
        // Its turn may be long in coming.
        state.fed.hear(key, now);
        state.fed.waiting_for_host(key)
    }
}
