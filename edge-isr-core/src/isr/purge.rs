//! Telling the caches in front to forget: within their limits, never less than was invalidated.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Isr;
use super::invalidate::absolute;
use super::receipt::{PurgeState, Purges};
use crate::connector::{Connector, Purge};
use crate::error::{Error, Result};
use crate::model::reason::Reason;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

/// The most URLs that one purge lists; what has more is purged as a whole.
const MOST_URLS: usize = 10_000;

impl Isr {
    /// Tells every connector, within its limits and a bounded wait.
    pub(crate) async fn purge(&self, tags: &[Tag], mode: Mode, purges: &Purges) {
        for connector in &self.0.connectors {
            let said =
                tokio::time::timeout(self.0.limits.purge_wait, self.purge_one(connector, tags, mode)).await;
            let state = match said {
                Ok(Ok(())) => PurgeState::Confirmed,
                Ok(Err(error)) => PurgeState::Failed(chain(&error)),
                Err(_) => PurgeState::Failed("no answer in time".to_owned()),
            };
            if state != PurgeState::Confirmed {
                self.note(
                    Reason::PurgeFailed,
                    connector.name(),
                    "the cache in front may serve old pages until they age out",
                );
            }
            purges.set(connector.name(), state);
        }
    }

    async fn purge_one(&self, connector: &Arc<dyn Connector>, tags: &[Tag], mode: Mode) -> Result<()> {
        let limits = connector.limits();
        let (own, explicit): (Vec<_>, Vec<_>) =
            tags.iter().cloned().partition(|tag| tag.as_str().starts_with('~'));
        let by_tag = if limits.tags > 0 { explicit.clone() } else { Vec::new() };
        let by_url = if limits.tags > 0 { own } else { tags.to_vec() };
        // What can't be listed in full is purged as a whole: never less than was invalidated.
        let urls = if limits.urls > 0 || by_url.is_empty() { self.complete_urls(&by_url) } else { None };
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

    /// Every URL that carries one of the tags; `None` when the index does not know all, or there are too many.
    fn complete_urls(&self, tags: &[Tag]) -> Option<Vec<String>> {
        let mut urls = BTreeSet::new();
        for tag in tags {
            if tag.as_str() == "~all" {
                return None;
            }
            let mut after = None;
            loop {
                let members = self.members(tag, after, 256);
                urls.extend(members.keys.iter().map(absolute));
                if !members.is_complete || urls.len() > MOST_URLS {
                    return None;
                }
                after = members.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Some(urls.into_iter().collect())
    }
}

/// An error and its causes on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
