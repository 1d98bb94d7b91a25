//! Mark first, everything else follows.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::Isr;
use super::hosts::split_url;
use super::receipt::{PurgeState, Purges, Receipt};
use super::sweeps::Sweep;
use crate::error::{Error, Result};
use crate::graph::{Cursor, Members};
use crate::model::implicit::{self, At};
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::model::snapshot::{Mode, Snapshot};
use crate::model::tag::{Tag, TagId};

impl Isr {
    /// Marks, then hands the rest to whoever does it.
    pub(crate) async fn invalidate(&self, tags: Vec<Tag>, mode: Mode) -> Receipt {
        let inner = &self.0;
        let ids: Vec<TagId> = tags.iter().map(|tag| TagId::of(tag.as_str())).collect();
        let ledger = inner.graph.ledger();
        let seq = ledger.mark(&ids, mode, inner.clock.now());
        let snapshot = Snapshot { incarnation: ledger.incarnation(), seq };
        let urls = match &*tags {
            [tag] => inner.graph.with_index(|index| index.count(tag)),
            _ => None,
        };
        let purges = Purges::default();
        for connector in &inner.connectors {
            purges.set(connector.name(), PurgeState::Pending);
        }
        if mode == Mode::Hard && !inner.connectors.is_empty() {
            // At once, and again by the worker once the new pages are stored.
            self.purge(&tags, mode, &purges).await;
        }
        if inner.sweeps.has_worker() && !tags.is_empty() {
            inner.sweeps.push(Sweep { tags, seq, mode, purges: purges.clone(), _busy: inner.busy.begin() });
        } else if mode == Mode::Soft && !inner.connectors.is_empty() {
            self.note(
                Reason::PurgeFailed,
                "worker",
                "no worker runs, so purges are sent before pages are rendered: spawn `isr.worker(app)`",
            );
            self.purge(&tags, mode, &purges).await;
        }
        Receipt::new(snapshot, urls, purges, inner.signer.cookie(snapshot, inner.clock.wall()))
    }

    pub(crate) fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Members {
        self.0.graph.with_index(|index| index.members(tag, after, limit))
    }

    /// The tags of a URL: one for each way in which a policy reads its query.
    pub(crate) fn url_tags(&self, url: &str) -> Result<Vec<Tag>> {
        let (host, target) = split_url(url).ok_or_else(|| no_url(url))?;
        let at = host.as_deref().map_or(At::Anywhere, At::Host);
        let target = target.split('#').next().unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let read_by = |declared: &[String]| {
            let is_declared = |pair: &&str| declared.iter().any(|name| name == name_of(pair));
            let mut pairs: Vec<&str> = query.split('&').filter(is_declared).collect();
            pairs.sort_by_key(name_of);
            pairs.join("&")
        };
        let known = self.0.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let queries: BTreeSet<String> = known.iter().map(|declared| read_by(declared)).collect();
        if queries.iter().all(String::is_empty) {
            return Ok(vec![implicit::url(at, path, None)]);
        }
        Ok(queries.iter().map(|query| implicit::url(at, path, Some(query))).collect())
    }

    /// What an unsafe method that succeeded invalidates (RFC 9111 §4.4): its URL, and what `Location` and
    /// `Content-Location` point to on the same host. A receipt, if there were pages of these URLs.
    ///
    /// # Errors
    ///
    /// When it is not certain that the mark is applied.
    ///
    /// # Cancellation
    ///
    /// The mark may or may not be applied; repeating is safe.
    pub async fn invalidate_urls(&self, host: &str, targets: &[&str], mode: Mode) -> Result<Option<Receipt>> {
        let mut tags = Vec::new();
        for target in targets {
            let Some((own, path)) = split_url(target) else { continue };
            if own.is_some_and(|own| *own != *host) {
                continue;
            }
            tags.extend(self.url_tags(&format!("http://{host}{path}"))?);
        }
        // A page whose first render is in the air is in no list yet.
        let stored =
            self.0.busy.is_busy() || tags.iter().any(|tag| !self.members(tag, None, 1).keys.is_empty());
        let receipt = self.invalidate(tags, mode).await;
        // A visitor who changed nothing that is cached is owed nothing.
        Ok(stored.then_some(receipt))
    }
}

fn name_of<'a>(pair: &&'a str) -> &'a str {
    pair.split('=').next().unwrap_or(pair)
}

/// The URL of a page.
pub(crate) fn absolute(key: &CacheKey) -> String {
    format!("{}://{}{}", key.scope().scheme.as_str(), key.scope().authority, key.path_and_query())
}

pub(crate) fn no_url(url: &str) -> Error {
    Error::rejected(format!(
        "`{}` is neither an absolute http(s) URL nor a path",
        url.split('?').next().unwrap_or(url).escape_debug()
    ))
}
