//! The pages that the queue has of ours.

use std::collections::{BTreeSet, HashMap};

use crate::clock::Moment;
use crate::model::key::CacheKey;

/// The most pages that the queue has of ours at once. More would only wait there, and in no better order.
const MOST: usize = 256;
/// So many more may be there because they are tried again later: many that fail must not keep others out.
const MOST_PUT_OFF: usize = 16_384;

#[derive(Debug)]
pub(super) struct Page {
    /// The runs that wait for it.
    pub(super) owners: Vec<u64>,
    /// When something was heard of it last.
    pub(super) heard: Moment,
    put_off: Option<Why>,
    /// Whether a worker has it in the air.
    pub(super) is_taken: bool,
}

/// Why a page is tried again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It failed, or its burst is not over.
    ItsOwn,
    /// Its host has all the renders it may have.
    Host,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Fed {
    pub(super) pages: HashMap<CacheKey, Page>,
    /// How many of them are tried again later.
    put_off: usize,
    /// How many of those because of their host, for each.
    by_host: HashMap<Box<str>, usize>,
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
        let new = || Page { owners: Vec::new(), heard: now, put_off: None, is_taken: false };
        let page = self.pages.entry(key.clone()).or_insert_with(new);
        let is_new = !page.owners.contains(&owner);
        if is_new {
            page.owners.push(owner);
        }
        is_new
    }

    /// A run waits for a page no longer. Whether it did.
    pub(super) fn remove(&mut self, key: &CacheKey, owner: u64) -> bool {
        let Some(page) = self.pages.get_mut(key) else { return false };
        let before = page.owners.len();
        page.owners.retain(|other| *other != owner);
        let did = page.owners.len() < before;
        self.tidy(key);
        did
    }

    pub(super) fn put_off(&mut self, key: &CacheKey, why: Why) {
        let Some(page) = self.pages.get_mut(key) else { return };
        page.is_taken = false;
        let is_new = page.put_off.is_none();
        if is_new && self.put_off >= MOST_PUT_OFF {
            return;
        }
        self.take_up(key);
        self.put_off += 1;
        if why == Why::Host {
            *self.by_host.entry((*key.scope().authority).into()).or_default() += 1;
        }
        if let Some(page) = self.pages.get_mut(key) {
            page.put_off = Some(why);
        }
    }

    /// A worker had the page: its queue did not lose it.
    pub(super) fn hear(&mut self, key: &CacheKey, now: Moment) {
        if let Some(page) = self.pages.get_mut(key) {
            page.heard = now;
        }
    }

    /// How many pages of this one's host wait for it.
    pub(super) fn waiting_for_host(&self, key: &CacheKey) -> usize {
        self.by_host.get(&*key.scope().authority).copied().unwrap_or_default()
    }

    /// A page takes a place again.
    fn take_up(&mut self, key: &CacheKey) {
        let Some(why) = self.pages.get_mut(key).and_then(|page| page.put_off.take()) else { return };
        self.put_off -= 1;
        let host = &*key.scope().authority;
        if why == Why::Host
            && let Some(of_host) = self.by_host.get_mut(host)
        {
            *of_host -= 1;
            if *of_host == 0 {
                self.by_host.remove(host);
            }
        }
    }

    /// Something was heard of a page: keeps the runs that go on waiting for it.
    pub(super) fn retain(&mut self, key: &CacheKey, now: Moment, mut keep: impl FnMut(u64) -> bool) {
        let Some(page) = self.pages.get_mut(key) else { return };
        page.heard = now;
        page.is_taken = false;
        page.owners.retain(|owner| keep(*owner));
        self.take_up(key);
        self.tidy(key);
    }

    /// The runs that wait for each page.
    #[cfg(test)]
    pub(super) fn owners(&self) -> impl Iterator<Item = &[u64]> {
        self.pages.values().map(|page| &*page.owners)
    }

    /// The runs that wait for a page that a worker has in the air.
    pub(super) fn in_air(&self) -> BTreeSet<u64> {
        self.pages.values().filter(|page| page.is_taken).flat_map(|page| &page.owners).copied().collect()
    }

    fn tidy(&mut self, key: &CacheKey) {
        if self.pages.get(key).is_some_and(|page| page.owners.is_empty()) {
            self.take_up(key);
            self.pages.remove(key);
        }
    }
}
