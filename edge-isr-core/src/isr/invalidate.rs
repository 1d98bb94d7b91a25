//! Mark first, everything else follows.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::Isr;
use super::hosts::split_url;
use super::progress::Watched;
use super::receipt::{Done, Receipt};
use super::runs::Run;
use super::tell::{Asked, Listed, Telling};
use crate::error::{Error, Result};
use crate::graph::{Cursor, Members};
use crate::model::authority::{Scheme, without_default_port};
use crate::model::implicit::{self, At};
use crate::model::key::CacheKey;
use crate::model::policy::Query;
use crate::model::reason::Reason;
use crate::model::snapshot::{Mode, Snapshot};
use crate::model::tag::{Tag, TagId};
use crate::queue::Priority;

impl Isr {
    /// What the application asks for.
    pub(crate) async fn invalidate(&self, tags: Vec<Tag>, mode: Mode, priority: Priority) -> Receipt {
        self.mark(tags, mode, priority, Listed::default()).await
    }

    /// Marks, then hands the rest to whoever does it.
    async fn mark(&self, tags: Vec<Tag>, mode: Mode, priority: Priority, listed: Listed) -> Receipt {
        let inner = &self.0;
        let ids: Vec<TagId> = tags.iter().map(|tag| TagId::of(tag.as_str())).collect();
        #[cfg(feature = "twins")]
        let ids = self.delete_listed(&tags).unwrap_or(ids);
        let ledger = inner.graph.ledger();
        let now = inner.clock.now();
        let seq = ledger.mark(&ids, mode, now);
        let snapshot = Snapshot { incarnation: ledger.incarnation(), seq };
        let urls = match &*tags {
            [tag] => inner.graph.with_index(|index| index.count(tag)),
            _ => None,
        };
        let names = inner.outboxes.iter().map(|outbox| outbox.name());
        // Nobody carries no tag.
        let own = Arc::new(if tags.is_empty() { Watched::nothing(names) } else { Watched::new(names) });
        let (tags, watched) = (tags.into(), vec![own]);
        let run = Run { tags, seq, mode, priority, first: now, last: now, watched, listed };
        // Before anything is waited for: who asked may hang up, and the rest is done all the same.
        let shared = self.hand_over(run.clone());
        let is_worked = shared.is_some();
        let tags = Arc::clone(&run.tags);
        let watched = shared.or_else(|| run.watched.first().cloned()).unwrap_or_default();
        if !inner.outboxes.is_empty() && !tags.is_empty() {
            self.tell_now(Run { watched: vec![Arc::clone(&watched)], ..run }, is_worked).await;
        }
        let done = Done { snapshot, mode, tags, urls, watched };
        inner.receipts.write(done, inner.clock.now(), inner.clock.wall())
    }

    /// The naive way: deletes what is listed, and has nothing to mark.
    #[cfg(feature = "twins")]
    fn delete_listed(&self, tags: &[Tag]) -> Option<Vec<TagId>> {
        let is_naive = self.lacks(crate::testing::Twin::DeleteListed);
        let listed = || tags.iter().flat_map(|tag| self.members(tag, None, 10_000).keys);
        is_naive.then(|| listed().for_each(|key| self.0.pages.remove_up_to(&key, u64::MAX)))?;
        Some(Vec::new())
    }

    /// Hands the renders and the purges that follow them to the workers, and says where its receipt has to look;
    /// `None` when nobody does them.
    fn hand_over(&self, run: Run) -> Option<Arc<Watched>> {
        let is_known = |tag: &Tag| {
            let members = self.members(tag, None, 1);
            !members.keys.is_empty() || members.next.is_some()
        };
        let told = !self.0.outboxes.is_empty() && !run.listed.is_by_request();
        // Any stranger's POST invalidates its URL: where that is nobody's page, there is nothing to render.
        if !told && run.tags.iter().all(|tag| tag.as_str().starts_with("~url:") && !is_known(tag)) {
            if self.0.runs.has_workers() {
                // Whoever waits for the renders need not: there are none.
                run.watched.iter().for_each(|own| own.change(|progress| progress.pages = Some(0)));
            }
            return None;
        }
        if run.tags.is_empty() { None } else { self.0.runs.push(run) }
    }

    /// Has the caches in front told what can't wait for the new pages: a hard invalidation, and any where no worker
    /// renders. It goes on when who asked hangs up.
    async fn tell_now(&self, run: Run, is_worked: bool) {
        if !is_worked && !self.0.runs.has_workers() && !self.is_closing() {
            let advice = "no worker runs, so purges do not wait for the new pages: spawn `isr.worker(app)`";
            self.note(Reason::PurgeEarly, "worker", advice);
        }
        let limits = &self.0.limits;
        match run.mode {
            Mode::Soft if is_worked => {}
            // With a worker, of what no page of ours is: whose request it was need not wait for that.
            Mode::Soft if self.0.runs.has_workers() && run.listed.is_by_request() => {
                drop(self.tell(Telling::last(run)));
            }
            Mode::Soft => self.tell(Telling::last(run)).await,
            Mode::Hard => {
                // Again once the new pages are stored, for what was in flight; where nobody renders, after a while.
                if !is_worked {
                    self.tell_settled(Telling::last(run.clone()), limits.settle);
                }
                self.tell(Telling::first(run)).await;
            }
        }
    }

    pub(crate) fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Members {
        self.0.graph.with_index(|index| index.members(tag, after, limit))
    }

    /// The tags of a URL: one for each way in which a policy reads its query.
    pub(crate) fn url_tags(&self, url: &str) -> Result<Vec<Tag>> {
        Ok(self.read_url(url)?.into_iter().map(|(tag, _)| tag).collect())
    }

    /// Each way in which a policy reads a URL: its tag, and what is left of its target.
    fn read_url(&self, url: &str) -> Result<Vec<(Tag, String)>> {
        let (host, target) = split_url(url).ok_or_else(|| no_url(url))?;
        let at = host.as_deref().map_or(At::Anywhere, At::Host);
        let target = target.split('#').next().unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let known = self.0.queries.read().unwrap_or_else(PoisonError::into_inner);
        let queries: BTreeSet<String> = known.iter().map(|read| read_by(read, query)).collect();
        if queries.iter().all(String::is_empty) {
            return Ok(vec![(implicit::url(at, path, None), path.to_owned())]);
        }
        let target = |query: &String| match &**query {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        };
        Ok(queries.iter().map(|query| (implicit::url(at, path, Some(query)), target(query))).collect())
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
        // Where hosts are not listed, their pages may be of either scheme.
        let schemes = [Scheme::Https, Scheme::Http].map(|stated| self.scheme_of(host, Some(stated)));
        let (mut tags, mut asked) = (Vec::new(), BTreeSet::new());
        for target in targets {
            let Some((own, path)) = split_url(target) else { continue };
            if own.is_some_and(|own| without_default_port(&own) != without_default_port(host)) {
                continue;
            }
            for (tag, target) in self.read_url(&format!("http://{host}{path}"))? {
                let urls =
                    schemes.iter().flatten().map(|scheme| format!("{}://{host}{target}", scheme.as_str()));
                asked.extend(urls);
                tags.push(tag);
            }
        }
        // A page whose first render is in the air is in no list yet.
        let stored = self.is_busy_otherwise() || tags.iter().any(|tag| self.may_have(tag));
        let listed = Listed::by_request(Asked { urls: asked, named: self.names_of(&tags) });
        let receipt = self.mark(tags, mode, Priority::Normal, listed).await;
        // A visitor who changed nothing that is cached is owed nothing.
        Ok(stored.then_some(receipt))
    }

    /// What an answer to an unsafe method says of its host's groups (RFC 9875 §3): what belongs to one is not used again.
    ///
    /// # Cancellation
    ///
    /// The mark may or may not be applied; repeating is safe.
    pub async fn invalidate_groups(&self, host: &str, groups: &[String]) {
        let tags: Vec<Tag> = groups.iter().map(|group| implicit::group(host, group)).collect();
        if !tags.is_empty() {
            self.invalidate(tags, Mode::Hard, Priority::Normal).await;
        }
    }
}

/// A URL's query as a policy has it in its keys.
fn read_by(read: &Query, query: &str) -> String {
    let Query::Declared(declared) = read else { return query.to_owned() };
    let is_declared = |pair: &&str| declared.iter().any(|name| name == name_of(pair));
    let mut pairs: Vec<&str> = query.split('&').filter(is_declared).collect();
    pairs.sort_by_key(name_of);
    pairs.join("&")
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
