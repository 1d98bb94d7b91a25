//! The URLs of a tag, for caches that don't know it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::calls::{self, Item};
use super::ticket::Share;
use crate::clock::Moment;
use crate::connector::PurgeLimits;
use crate::graph::Members;
use crate::isr::Isr;
use crate::isr::invalidate::absolute;
use crate::isr::progress::Round;
use crate::model::key::CacheKey;
use crate::model::snapshot::Mode;
use crate::model::tag::{Tag, TagSet};

/// The most URLs that one telling lists; what has more is purged as a whole.
pub(super) const MOST_URLS: usize = 10_000;
/// What nobody lists: it is purged as a whole.
pub(super) const ALL: &str = "~all";
/// How many pages are listed under one lock.
pub(super) const BATCH: usize = 256;

/// The URLs that carried a tag before its pages were rendered anew. Whoever lost the tag in that render is in
/// no list any more, but still in the caches in front.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    /// `None` for a tag that has too many, or whose carriers are not all known.
    urls: HashMap<Tag, Option<BTreeSet<String>>>,
    count: usize,
    bytes: usize,
    /// What a request named, where nothing but requests asked for the invalidation.
    pub(super) asked: Option<Asked>,
}

/// What a request that succeeded invalidates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) urls: BTreeSet<String>,
    /// What their pages were called then, for caches that understand no URLs: by the time it is said they may have
    /// other tags.
    pub(crate) named: BTreeSet<Item>,
}

impl Listed {
    /// Of an invalidation that nothing asked for but a request.
    pub(crate) fn by_request(asked: Asked) -> Self {
        Self { asked: Some(asked), ..Self::default() }
    }

    pub(crate) fn is_by_request(&self) -> bool {
        self.asked.is_some()
    }

    /// Another invalidation of the same tags is merged with this one. Lists of URLs are not taken over: it has none
    /// yet.
    pub(crate) fn absorb(&mut self, other: Self) {
        let Some(more) = other.asked else {
            self.asked = None;
            return;
        };
        // Requests spell one URL in many ways; pages have few.
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.urls.len() + asked.named.len() < BATCH)
        {
            asked.urls.extend(more.urls);
            asked.named.extend(more.named);
        }
    }

    /// The URLs that are known to have carried one of these tags.
    pub(super) fn known<'a>(&'a self, tags: &'a [Tag]) -> impl Iterator<Item = &'a String> {
        tags.iter().filter_map(|tag| self.urls.get(tag)?.as_ref()).flatten()
    }

    pub(crate) fn add(&mut self, tag: &Tag, members: &Members) {
        let known = self.urls.entry(tag.clone()).or_insert_with(|| Some(BTreeSet::new()));
        let Some(urls) = known else { return };
        for url in members.keys.iter().map(absolute) {
            let bytes = url.len();
            if urls.insert(url) {
                self.count += 1;
                self.bytes += bytes;
            }
        }
        if !members.is_complete || self.count > MOST_URLS {
            self.forget(tag);
        }
    }

    fn put(&mut self, tag: &Tag, urls: Option<BTreeSet<String>>) {
        let count = urls.as_ref().map_or(0, BTreeSet::len);
        let urls = urls.filter(|_| self.count + count <= MOST_URLS);
        self.count += urls.as_ref().map_or(0, BTreeSet::len);
        self.bytes += urls.iter().flatten().map(String::len).sum::<usize>();
        self.urls.insert(tag.clone(), urls);
    }

    /// How many bytes its URLs have.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// There is no room for the URLs of this tag: it is purged as a whole.
    pub(crate) fn forget(&mut self, tag: &Tag) {
        let urls = self.urls.insert(tag.clone(), None).flatten().unwrap_or_default();
        self.count -= urls.len();
        self.bytes -= urls.iter().map(String::len).sum::<usize>();
    }

    /// A page of this URL has just lost the tag.
    pub(crate) fn add_lost(&mut self, tag: &Tag, url: &str) {
        let known = self.urls.entry(tag.clone()).or_insert_with(|| Some(BTreeSet::new()));
        let Some(urls) = known else { return };
        if urls.insert(url.to_owned()) {
            self.count += 1;
            self.bytes += url.len();
        }
        if self.count > MOST_URLS {
            self.forget(tag);
        }
    }
}

/// Whether a cache is told of the tags of pages in their URLs.
fn knows_urls_alone(limits: &PurgeLimits) -> bool {
    limits.urls > 0 && limits.tags == 0
}

impl Isr {
    /// Sets the tags of a page in the index, and tells the invalidations that are still to be told which of them it had
    /// and lost. `false` when another page was dropped for it.
    pub(crate) fn bind(&self, key: &CacheKey, tags: &TagSet, now: Moment, expires: Moment) -> bool {
        let inner = &self.0;
        let told = inner.outboxes.iter().any(|outbox| knows_urls_alone(outbox.limits()));
        let (had_room, before) = inner.graph.with_index(|index| {
            let before = if told { index.tags_of(key) } else { None };
            (index.bind(key, tags, now, expires), before)
        });
        if let Some(before) = before {
            self.note_lost(key, &before, tags);
        }
        had_room
    }

    /// Forgets a page that was evicted, in favour of another variant of its URL. Caches in front may still have it, so
    /// it counts as one that lost its tags.
    pub(crate) fn give_way(&self, gone: &CacheKey) {
        let inner = &self.0;
        let before = inner.graph.with_index(|index| {
            // Whoever stores it again binds it afterwards, under this lock.
            let is_back = inner.pages.peek(gone).is_some();
            let before = index.tags_of(gone).filter(|_| !is_back)?;
            index.unbind(gone);
            Some(before)
        });
        if let Some(before) = before {
            self.note_lost(gone, &before, &TagSet::default());
        }
    }

    fn note_lost(&self, key: &CacheKey, before: &TagSet, tags: &TagSet) {
        let kept: HashSet<&str> = tags.with_ancestors().into_iter().collect();
        let had = before.with_ancestors();
        let lost: HashSet<&str> = had.into_iter().filter(|tag| !kept.contains(tag)).collect();
        if lost.is_empty() {
            return;
        }
        let (runs, url) = (&self.0.runs, absolute(key));
        // A run waits for quiet before it lists, and any visitor may have the page rendered until then.
        let noted = runs.lost(|tag| lost.contains(tag.as_str()) && self.is_told_in_urls(tag), &url);
        // What a killed worker left may wait for the next one for long.
        if !noted || !runs.has_workers() {
            self.tell_lost(&url);
        }
    }

    /// Tells caches that know URLs alone of a page that lost a tag while nobody waited for its purge.
    ///
    /// The tag may be invalidated a moment later: an application commits first and says so then. No list will have
    /// this URL any more, so it is said now, when the new page stands there. One URL too many is safe, and what is
    /// said again and again waits once; remembering losses for invalidations to come would need a bound beyond which
    /// some are forgotten.
    fn tell_lost(&self, url: &str) {
        // Outside a runtime there is nobody to say it.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        for (nth, outbox) in self.0.outboxes.iter().enumerate() {
            if knows_urls_alone(outbox.limits()) {
                let item = Item::Url(url.to_owned());
                let item = if calls::fits(outbox.limits(), &item) { item } else { Item::Everything };
                let (share, _) = Share::begin(nth, Round::Last, [].into());
                // What is yet to come may be hard.
                if outbox.put([item].into(), Mode::Hard, share) {
                    self.begin_telling(nth);
                }
            }
        }
    }

    /// Notes which URLs carry the tags now, for a telling that is said later: until then some may lose them.
    pub(super) async fn list_first(&self, tags: &[Tag], listed: &mut Listed) {
        for tag in tags.iter().filter(|tag| self.is_told_in_urls(tag)) {
            if !listed.urls.contains_key(tag) {
                let urls = self.complete_urls(std::slice::from_ref(tag), &Listed::default()).await;
                listed.put(tag, urls);
            }
        }
    }

    /// Every URL that carries one of the tags, or did when it was listed; `None` when the index does not know
    /// all, or there are too many.
    pub(super) async fn complete_urls(&self, tags: &[Tag], listed: &Listed) -> Option<BTreeSet<String>> {
        let mut urls = BTreeSet::new();
        for tag in tags {
            if tag.as_str() == ALL {
                return None;
            }
            if let Some(listed) = listed.urls.get(tag) {
                urls.extend(listed.as_ref()?.iter().cloned());
            }
            let mut after = None;
            loop {
                let members = self.members(tag, after, BATCH);
                urls.extend(members.keys.iter().map(absolute));
                if !members.is_complete || urls.len() > MOST_URLS {
                    return None;
                }
                after = members.next;
                // A long walk must not keep others from the thread, nor a shutdown from ending it.
                tokio::task::yield_now().await;
                if after.is_none() {
                    break;
                }
            }
        }
        Some(urls)
    }
}
