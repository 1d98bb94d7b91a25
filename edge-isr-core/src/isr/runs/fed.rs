//! The pages that the queue has of ours.

use std::collections::{HashMap, VecDeque};

use super::{Run, Runs};
use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;
use crate::queue::{Job, Rank};
use crate::sync::lock;

/// The most pages that the queue has of ours at once. More would only wait there, and in no better order.
const MOST: usize = 256;
/// So many more may be there because they are tried again later: many that fail must not keep others out.
const MOST_PUT_OFF: usize = 16_384;

#[derive(Debug)]
struct Page {
    /// The runs that wait for it.
    owners: Vec<u64>,
    /// When something was heard of it last.
    heard: Moment,
    is_put_off: bool,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Fed {
    pages: HashMap<CacheKey, Page>,
    /// How many of them are tried again later.
    put_off: usize,
}

impl Fed {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pages.len() - self.put_off >= MOST
    }

    /// Adds a page for a run; whether that run did not wait for it before.
    pub(super) fn add(&mut self, key: &CacheKey, owner: u64, now: Moment) -> bool {
        let new = || Page { owners: Vec::new(), heard: now, is_put_off: false };
        let page = self.pages.entry(key.clone()).or_insert_with(new);
        let is_new = !page.owners.contains(&owner);
        if is_new {
            page.owners.push(owner);
        }
        is_new
    }

    pub(super) fn remove(&mut self, key: &CacheKey, owner: u64) {
        let Some(page) = self.pages.get_mut(key) else { return };
        page.owners.retain(|other| *other != owner);
        self.tidy(key);
    }

    pub(super) fn put_off(&mut self, key: &CacheKey) {
        if self.put_off < MOST_PUT_OFF
            && let Some(page) = self.pages.get_mut(key)
            && !page.is_put_off
        {
            page.is_put_off = true;
            self.put_off += 1;
        }
    }

    /// Something was heard of a page: keeps the runs that go on waiting for it.
    pub(super) fn retain(&mut self, key: &CacheKey, now: Moment, mut keep: impl FnMut(u64) -> bool) {
        let Some(page) = self.pages.get_mut(key) else { return };
        page.heard = now;
        page.owners.retain(|owner| keep(*owner));
        if std::mem::take(&mut page.is_put_off) {
            self.put_off -= 1;
        }
        self.tidy(key);
    }

    /// The runs that wait for each page.
    #[cfg(test)]
    pub(super) fn owners(&self) -> impl Iterator<Item = &[u64]> {
        self.pages.values().map(|page| &*page.owners)
    }

    fn tidy(&mut self, key: &CacheKey) {
        if self.pages.get(key).is_some_and(|page| page.owners.is_empty())
            && let Some(page) = self.pages.remove(key)
        {
            self.put_off -= usize::from(page.is_put_off);
        }
    }
}

impl Runs {
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
    /// all the same.
    pub(crate) fn lost(&self, is_lost: impl Fn(&Tag) -> bool, url: &str) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let underway = state.underway.values_mut().chain(&mut state.over).map(|underway| &mut underway.run);
        for run in state.waiting.iter_mut().chain(underway) {
            let Run { tags, listed, .. } = run;
            tags.iter().filter(|tag| is_lost(tag)).for_each(|tag| listed.add_lost(tag, url));
        }
    }

    /// A page is tried again later, and takes no other's place until then.
    pub(crate) fn puts_off(&self, key: &CacheKey) {
        lock(&self.state).fed.put_off(key);
    }
}
