//! What a cache is told of an invalidation that no one asked for but a request that succeeded.
//!
//! Whoever may send such a request must not be able to empty a whole cache with it. So it is said as narrowly as the
//! cache understands; a cache that the request came through saw it, too. Only what thousands of such requests leave
//! waiting at once becomes one of everything, as at every bound.

use std::collections::BTreeSet;

use super::calls::{self, Item};
use super::listing::{Asked, BATCH, Listed, MOST_URLS};
use super::outbox::Outbox;
use crate::connector::PurgeLimits;
use crate::graph::Index;
use crate::isr::Isr;
use crate::isr::invalidate::absolute;
use crate::model::key::CacheKey;
use crate::model::tag::Tag;

/// Why such a purge failed, where a page was found that the cache could not be told of.
pub(super) const UNSAID: &str = "the cache understands neither its URLs nor a tag of its page";

impl Isr {
    /// What is said of these URLs, and whether that is all of it.
    pub(super) async fn narrow_items(
        &self,
        limits: &PurgeLimits,
        tags: &[Tag],
        listed: &Listed,
    ) -> (BTreeSet<Item>, bool) {
        let (mut items, mut is_whole, mut is_known) = (BTreeSet::new(), true, true);
        for tag in tags {
            let mut after = None;
            loop {
                let members = self.members(tag, after, BATCH);
                for key in &members.keys {
                    let item = self.0.graph.with_index(|index| narrowest(limits, index, key));
                    is_whole &= item.is_some();
                    items.extend(item);
                }
                is_known &= members.is_complete;
                is_whole &= items.len() <= MOST_URLS;
                after = members.next;
                // A long walk must not keep others from the thread, nor a shutdown from ending it.
                tokio::task::yield_now().await;
                if after.is_none() || items.len() > MOST_URLS {
                    break;
                }
            }
        }
        let Asked { urls: asked, named } = listed.asked.clone().unwrap_or_default();
        let named: BTreeSet<Item> = named.into_iter().filter(|item| calls::fits(limits, item)).collect();
        let is_said = |url: &Item| calls::fits(limits, url);
        let (known, lost): (Vec<Item>, Vec<Item>) =
            listed.known(tags).cloned().map(Item::Url).partition(is_said);
        // A page that is listed no more was named when it was.
        is_whole &= lost.is_empty() || !named.is_empty();
        // Where not every page is known, one that nobody could name may be of any URL that was asked for.
        let asked = asked.into_iter().map(Item::Url).filter(|_| !is_known);
        let (asked, unsaid): (Vec<Item>, Vec<Item>) = asked.partition(is_said);
        is_whole &= unsaid.is_empty();
        items.extend(known.into_iter().chain(asked).chain(named));
        (items, is_whole)
    }

    /// What pages of these URLs are called by now, for caches that understand no URLs.
    pub(crate) fn names_of(&self, tags: &[Tag]) -> BTreeSet<Item> {
        let blind: Vec<&PurgeLimits> =
            self.0.outboxes.iter().map(Outbox::limits).filter(|limits| limits.urls == 0).collect();
        if blind.is_empty() {
            return BTreeSet::new();
        }
        let keys = tags.iter().flat_map(|tag| self.members(tag, None, BATCH).keys);
        let names = |key: CacheKey| {
            let name = |limits| self.0.graph.with_index(|index| narrowest(limits, index, &key));
            blind.iter().copied().filter_map(name).collect::<Vec<_>>()
        };
        keys.flat_map(names).collect()
    }
}

/// What says no more than this page: its URL, or else the tag that the fewest pages share with it.
fn narrowest(limits: &PurgeLimits, index: &Index, key: &CacheKey) -> Option<Item> {
    let carriers = |tag: &Item| match tag {
        Item::Tag(tag) => index.count(tag).unwrap_or(usize::MAX),
        Item::Url(_) | Item::Everything => 0,
    };
    let url = Some(Item::Url(absolute(key))).filter(|url| calls::fits(limits, url));
    url.or_else(|| {
        let tags = index.tags_of(key)?;
        let tags = tags.iter().cloned().map(Item::Tag).filter(|tag| calls::fits(limits, tag));
        tags.min_by_key(carriers)
    })
}
