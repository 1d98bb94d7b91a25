//! Mark first, everything else follows.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::Isr;
use super::hosts::split_url;
use super::progress::{PurgeState, Round, Watched};
use super::purge::{Listed, Telling};
use super::receipt::{Done, Receipt};
use super::sweeps::Sweep;
use crate::error::{Error, Result};
use crate::graph::{Cursor, Members};
use crate::model::authority::without_default_port;
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
        let purges = Arc::new(Watched::new(inner.connectors.iter().map(|connector| connector.name())));
        // Before anything is waited for: who asked may hang up, and the rest is done all the same.
        let is_swept = self.sweep(&tags, mode, seq, &purges);
        if !inner.connectors.is_empty() && (mode == Mode::Hard || !is_swept) {
            if !is_swept && !tags.is_empty() && !self.is_closing() {
                self.note(
                    Reason::PurgeFailed,
                    "worker",
                    "no worker runs, so purges do not wait for the new pages: spawn `isr.worker(app)`",
                );
            }
            // A hard one at once, and again: by the worker once the new pages are stored, or after a while.
            if mode == Mode::Hard && !is_swept && !tags.is_empty() {
                self.purge_again(tags.clone(), Arc::clone(&purges));
            }
            self.purge_now(tags.clone(), mode, &purges).await;
        }
        let done = Done { snapshot, mode, tags: tags.into(), urls, watched: purges };
        inner.receipts.write(done, inner.clock.now(), inner.clock.wall())
    }

    /// Hands the renders and the purges that follow them to a worker; `false` when none will do them.
    fn sweep(&self, tags: &[Tag], mode: Mode, seq: u64, purges: &Arc<Watched>) -> bool {
        let inner = &self.0;
        let is_known = |tag: &Tag| {
            let members = self.members(tag, None, 1);
            !members.keys.is_empty() || members.next.is_some()
        };
        let told = !inner.connectors.is_empty();
        // Any stranger's POST invalidates its URL: where that is nobody's page, there is nothing to do.
        if !told && tags.iter().all(|tag| tag.as_str().starts_with("~url:") && !is_known(tag)) {
            return false;
        }
        let purges = if told { vec![Arc::clone(purges)] } else { Vec::new() };
        !tags.is_empty() && inner.sweeps.push(Sweep::new(tags, mode, seq, purges, inner.busy.begin()))
    }

    /// Purges at once, in a task of its own: it goes on when who asked hangs up.
    ///
    /// # Cancellation
    ///
    /// The purge is sent all the same.
    async fn purge_now(&self, tags: Vec<Tag>, mode: Mode, purges: &Arc<Watched>) {
        let (isr, busy, told) = (self.clone(), self.0.busy.begin(), [Arc::clone(purges)]);
        let task = tokio::spawn(async move {
            let _busy = busy;
            let listed = Listed::default();
            let telling = Telling { tags: &tags, mode, listed: &listed, purges: &told, is_first: true };
            tokio::select! {
                () = isr.purge(&telling) => {}
                () = isr.aborted() => {}
            }
        });
        let _ = task.await;
        // A connector that panicked, or that a shutdown did not wait for, has confirmed nothing.
        for connector in &self.0.connectors {
            if purges.now().purges.contains(&(connector.name(), PurgeState::Pending)) {
                let failed = PurgeState::Failed("it was broken off".to_owned());
                purges.purged(connector.name(), Round::First, failed);
            }
        }
    }

    /// The second purge of a hard invalidation where no worker runs, for what was in flight at the first.
    fn purge_again(&self, tags: Vec<Tag>, purges: Arc<Watched>) {
        let (isr, busy) = (self.clone(), self.0.busy.begin());
        tokio::spawn(async move {
            let _busy = busy;
            let (listed, told) = (Listed::default(), [purges]);
            let telling =
                Telling { tags: &tags, mode: Mode::Hard, listed: &listed, purges: &told, is_first: false };
            let purge = async {
                tokio::time::sleep(isr.0.limits.settle).await;
                isr.purge(&telling).await;
            };
            tokio::select! {
                () = purge => {}
                () = isr.aborted() => {}
            }
        });
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

    /// Whether there may be a page of this tag. A listing that goes on, or is not whole, may still come to one.
    fn may_have(&self, tag: &Tag) -> bool {
        let members = self.members(tag, None, 1);
        !members.keys.is_empty() || members.next.is_some() || !members.is_complete
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
            if own.is_some_and(|own| without_default_port(&own) != without_default_port(host)) {
                continue;
            }
            tags.extend(self.url_tags(&format!("http://{host}{path}"))?);
        }
        // A page whose first render is in the air is in no list yet.
        let stored = self.0.busy.is_busy() || tags.iter().any(|tag| self.may_have(tag));
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
