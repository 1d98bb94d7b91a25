//! Telling the caches in front to forget: within their limits, never less than was invalidated.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Isr;
use super::invalidate::absolute;
use super::ports::ask;
use super::progress::{PurgeState, Round, Watched};
use crate::connector::{Connector, Purge};
use crate::error::Result;
use crate::graph::Members;
use crate::model::reason::Reason;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

/// The most URLs that one purge lists; what has more is purged as a whole.
const MOST_URLS: usize = 10_000;
/// What nobody lists: it is purged as a whole.
const ALL: &str = "~all";

/// The URLs that carried a tag before its pages were rendered anew. Whoever lost the tag in that render is in
/// no list any more, but still in the caches in front.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// `None` for a tag that has too many, or whose carriers are not all known.
    urls: HashMap<Tag, Option<BTreeSet<String>>>,
    count: usize,
}

impl Listed {
    pub(crate) fn add(&mut self, tag: &Tag, members: &Members) {
        let known = self.urls.entry(tag.clone()).or_insert_with(|| Some(BTreeSet::new()));
        let Some(urls) = known else { return };
        let before = urls.len();
        urls.extend(members.keys.iter().map(absolute));
        self.count += urls.len() - before;
        if !members.is_complete || self.count > MOST_URLS {
            self.count -= urls.len();
            *known = None;
        }
    }
}

/// What the caches in front are to be told.
#[derive(Debug)]
pub(crate) struct Telling<'a> {
    pub(crate) tags: &'a [Tag],
    pub(crate) mode: Mode,
    pub(crate) listed: &'a Listed,
    /// Where it is written down what they said.
    pub(crate) purges: &'a [Arc<Watched>],
    /// Whether another purge of the same follows, whose answer counts more.
    pub(crate) is_first: bool,
}

impl Isr {
    /// Whether a cache in front has to be told this tag's URLs.
    pub(crate) fn is_told_in_urls(&self, tag: &Tag) -> bool {
        if tag.as_str() == ALL {
            return false;
        }
        self.0.connectors.iter().any(|connector| {
            let limits = connector.limits();
            limits.urls > 0 && (limits.tags == 0 || tag.as_str().starts_with('~'))
        })
    }

    /// Tells every connector, within its limits and a bounded wait.
    pub(crate) async fn purge(&self, telling: &Telling<'_>) {
        for connector in &self.0.connectors {
            let said = ask(self.0.limits.purge_wait, self.purge_one(connector, telling)).await;
            let state = match said {
                Ok(()) => PurgeState::Confirmed,
                Err(failure) => PurgeState::Failed(failure.why()),
            };
            if state != PurgeState::Confirmed {
                self.note(
                    Reason::PurgeFailed,
                    connector.name(),
                    "the cache in front may serve old pages until they age out",
                );
            }
            for purges in telling.purges {
                let round = if telling.is_first { Round::First } else { Round::Last };
                purges.purged(connector.name(), round, state.clone());
            }
        }
    }

    async fn purge_one(&self, connector: &Arc<dyn Connector>, telling: &Telling<'_>) -> Result<()> {
        let &Telling { tags, mode, listed, .. } = telling;
        let limits = connector.limits();
        let (own, explicit): (Vec<_>, Vec<_>) =
            tags.iter().cloned().partition(|tag| tag.as_str().starts_with('~'));
        let by_tag = if limits.tags > 0 { explicit.clone() } else { Vec::new() };
        let by_url = if limits.tags > 0 { own } else { tags.to_vec() };
        // What can't be listed in full is purged as a whole: never less than was invalidated.
        let urls = if limits.urls > 0 || by_url.is_empty() {
            self.complete_urls(&by_url, listed).await
        } else {
            None
        };
        let Some(urls) = urls else {
            return connector.purge(&Purge { mode, everything: true, ..Purge::default() }).await;
        };
        for chunk in by_tag.chunks(limits.tags.max(1)) {
            connector.purge(&Purge { mode, tags: chunk.to_vec(), ..Purge::default() }).await?;
        }
        for chunk in urls.chunks(limits.urls.max(1)) {
            connector.purge(&Purge { mode, urls: chunk.to_vec(), ..Purge::default() }).await?;
        }
        Ok(())
    }

    /// Every URL that carries one of the tags, or did when it was listed; `None` when the index does not know
    /// all, or there are too many.
    async fn complete_urls(&self, tags: &[Tag], listed: &Listed) -> Option<Vec<String>> {
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
                let members = self.members(tag, after, 256);
                urls.extend(members.keys.iter().map(absolute));
                if !members.is_complete || urls.len() > MOST_URLS {
                    return None;
                }
                after = members.next;
                // A long walk must not keep others from the thread, nor the time-out from ending it.
                tokio::task::yield_now().await;
                if after.is_none() {
                    break;
                }
            }
        }
        Some(urls.into_iter().collect())
    }
}
