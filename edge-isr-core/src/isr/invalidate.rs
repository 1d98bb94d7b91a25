//! The application's handle on tags: mark first, everything else follows.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use super::Isr;
use super::busy::Guard;
use super::hosts::split_url;
use super::receipt::{PurgeState, Purges, Receipt};
use crate::connector::{Connector, Purge};
use crate::error::{Error, Result};
use crate::graph::{Cursor, Members};
use crate::model::authority::{Scheme, normalize};
use crate::model::implicit::{self, At};
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::model::snapshot::{Mode, Snapshot};
use crate::model::tag::{Tag, TagId, TagSet};
use crate::sync::{Mutex, lock};

/// The most URLs that one purge lists; what has more is purged as a whole.
const MOST_URLS: usize = 10_000;
/// The most invalidations that wait for a worker; beyond it they collapse into one of everything.
const MOST_SWEEPS: usize = 4_096;

/// The application's handle on tags. Cheap to clone; comes from [`Isr::graph`].
///
/// Call it **after** the commit. Each verb returns once its mark is applied: from then on no page that was
/// begun before is served as fresh. Rendering anew and purging caches follow in the background.
///
/// `revalidate…` is soft: carriers are stale and may be served, within `stale_while_revalidate`, while one
/// render runs. `expire…` is hard: no byte of a carrier is served again.
///
/// # Cancellation
///
/// A verb whose future is dropped may or may not have applied its mark; repeating it is safe.
#[derive(Debug, Clone)]
pub struct Graph {
    isr: Isr,
}

impl Graph {
    pub(crate) const fn new(isr: Isr) -> Self {
        Self { isr }
    }

    /// Makes every page that carries one of these tags, or a tag below one, stale.
    ///
    /// # Errors
    ///
    /// When it is not certain that the mark is applied. Repeating is safe.
    pub fn revalidate_by_tags<T>(&self, tags: T) -> impl Future<Output = Result<Receipt>> + Send + use<T>
    where
        T: IntoIterator<Item = Tag>,
    {
        self.apply(Ok(tags.into_iter().collect()), Mode::Soft)
    }

    /// Makes every page that carries one of these tags, or a tag below one, dead.
    ///
    /// # Errors
    ///
    /// When it is not certain that the mark is applied. Repeating is safe.
    pub fn expire_by_tags<T>(&self, tags: T) -> impl Future<Output = Result<Receipt>> + Send + use<T>
    where
        T: IntoIterator<Item = Tag>,
    {
        self.apply(Ok(tags.into_iter().collect()), Mode::Hard)
    }

    /// Invalidates a URL: `/posts/1` on every host, or `https://www.example.com/posts/1`. Without a query it
    /// covers every query and variant; with one, parameters that no policy declares are left out, as they are
    /// from keys.
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path, or the mark could not be applied.
    pub fn by_url(&self, url: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(self.isr.url_tag(url).map(|tag| vec![tag]), mode)
    }

    /// Invalidates the pages below a path, on every host or on the URL's. Ends at a segment: `/blog` covers
    /// `/blog/1`, not `/blogs`.
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path, or the mark could not be applied.
    pub fn by_prefix(&self, prefix: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        let tags = split_url(prefix).map(|(host, path)| {
            let path = path.split(['?', '#']).next().unwrap_or("/");
            vec![implicit::prefix(host.as_deref().map_or(At::Anywhere, At::Host), path)]
        });
        self.apply(tags.ok_or_else(|| no_url(prefix)), mode)
    }

    /// Invalidates the pages of a host.
    ///
    /// # Errors
    ///
    /// When it is no host, or the mark could not be applied.
    pub fn by_host(&self, host: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        let tags = normalize(host, Scheme::Http).map(|host| vec![implicit::host(&host)]);
        self.apply(tags.ok_or_else(|| Error::rejected(format!("`{host}` is no host"))), mode)
    }

    /// Invalidates the pages of a route, by its pattern: `/posts/{id}`.
    ///
    /// # Errors
    ///
    /// When the mark could not be applied.
    pub fn by_route(&self, pattern: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(Ok(vec![implicit::route(pattern)]), mode)
    }

    /// Invalidates the pages of a build, by the id that [`Builder::build_id`](super::Builder::build_id) named.
    ///
    /// # Errors
    ///
    /// When the mark could not be applied.
    pub fn by_build(&self, id: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(Ok(vec![implicit::build(id)]), mode)
    }

    /// Invalidates everything.
    ///
    /// # Errors
    ///
    /// When the mark could not be applied.
    pub fn all(&self, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(Ok(vec![implicit::all()]), mode)
    }

    /// Lists the URLs that carry a tag or something below it, at most `limit` at a time.
    ///
    /// # Errors
    ///
    /// When the index can't be read.
    #[expect(clippy::unused_async, reason = "shared indexes are read over the network")]
    pub async fn urls_for(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Result<Urls> {
        let Members { keys, next, is_complete } = self.isr.members(tag, after, limit);
        Ok(Urls { urls: keys.iter().map(absolute).collect(), next, is_complete })
    }

    /// The explicit tags of the pages of a URL.
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path.
    #[expect(clippy::unused_async, reason = "shared indexes are read over the network")]
    pub async fn tags_for(&self, url: &str) -> Result<TagSet> {
        let keys = self.isr.members(&self.isr.url_tag(url)?, None, MOST_URLS).keys;
        let graph = &self.isr.0.graph;
        let sets = keys.iter().filter_map(|key| graph.with_index(|index| index.tags_of(key)));
        Ok(sets.flat_map(|set| set.iter().cloned().collect::<Vec<_>>()).collect())
    }

    fn apply(&self, tags: Result<Vec<Tag>>, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        let isr = self.isr.clone();
        async move { Ok(isr.invalidate(tags?, mode).await) }
    }
}

/// Comes out of the state of an application that holds it: `async fn edit(graph: Graph)`.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Graph
where
    Self: axum_core::extract::FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut http::request::Parts, state: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(axum_core::extract::FromRef::from_ref(state))
    }
}

/// One page of a list of URLs.
#[derive(Debug, Clone, Default)]
pub struct Urls {
    /// Absolute URLs.
    pub urls: Vec<String>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
    /// Whether the index knows every page.
    pub is_complete: bool,
}

/// An invalidation whose pages are still to be rendered anew and whose purges are still to be sent.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) tags: Vec<Tag>,
    pub(crate) seq: u64,
    pub(crate) mode: Mode,
    pub(crate) purges: Purges,
    /// Keeps `idle` waiting while a worker has it to do.
    pub(crate) _busy: Guard,
}

/// Invalidations that wait for a worker.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    waiting: Mutex<VecDeque<Sweep>>,
    workers: AtomicUsize,
    closed: AtomicBool,
    wake: Notify,
}

impl Sweeps {
    pub(crate) fn take(&self) -> Option<Sweep> {
        lock(&self.waiting).pop_front()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        lock(&self.waiting).clear();
        self.wake.notify_waiters();
    }

    pub(crate) fn attach(&self) {
        self.workers.fetch_add(1, SeqCst);
    }

    pub(crate) fn detach(&self) {
        if self.workers.fetch_sub(1, SeqCst) == 1 {
            lock(&self.waiting).clear();
        }
    }

    pub(crate) fn has_worker(&self) -> bool {
        self.workers.load(SeqCst) > 0
    }

    /// Resolves when there may be something to do.
    pub(crate) async fn woken(&self) {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if lock(&self.waiting).is_empty() && !self.is_closed() {
            woken.await;
        }
    }

    fn push(&self, sweep: Sweep) {
        let mut waiting = lock(&self.waiting);
        if self.is_closed() {
            return;
        }
        if waiting.len() >= MOST_SWEEPS {
            // At the bound the wider one takes all: rendering or purging too much is safe, too little is not.
            let hard = waiting.iter().any(|other| other.mode == Mode::Hard) || sweep.mode == Mode::Hard;
            waiting.clear();
            let mode = if hard { Mode::Hard } else { Mode::Soft };
            waiting.push_back(Sweep { tags: vec![implicit::all()], mode, ..sweep });
        } else {
            waiting.push_back(sweep);
        }
        drop(waiting);
        self.wake.notify_one();
    }
}

impl Isr {
    /// Marks, then hands the rest to whoever does it.
    async fn invalidate(&self, tags: Vec<Tag>, mode: Mode) -> Receipt {
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
            self.note(Reason::PurgeFailed, "worker", "no worker runs, so purges are sent before pages are rendered: spawn `isr.worker(app)`");
            self.purge(&tags, mode, &purges).await;
        }
        Receipt::new(snapshot, urls, purges, inner.signer.cookie(snapshot, inner.clock.wall()))
    }

    /// Tells every connector, within its limits and a bounded wait.
    pub(crate) async fn purge(&self, tags: &[Tag], mode: Mode, purges: &Purges) {
        for connector in &self.0.connectors {
            let said = tokio::time::timeout(self.0.limits.purge_wait, self.purge_one(connector, tags, mode)).await;
            let state = match said {
                Ok(Ok(())) => PurgeState::Confirmed,
                Ok(Err(error)) => PurgeState::Failed(chain(&error)),
                Err(_) => PurgeState::Failed("no answer in time".to_owned()),
            };
            if state != PurgeState::Confirmed {
                self.note(Reason::PurgeFailed, connector.name(), "the cache in front may serve old pages until they age out");
            }
            purges.set(connector.name(), state);
        }
    }

    async fn purge_one(&self, connector: &Arc<dyn Connector>, tags: &[Tag], mode: Mode) -> Result<()> {
        let limits = connector.limits();
        let (own, explicit): (Vec<_>, Vec<_>) = tags.iter().cloned().partition(|tag| tag.as_str().starts_with('~'));
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
        let mut urls = std::collections::BTreeSet::new();
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

    pub(crate) fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Members {
        self.0.graph.with_index(|index| index.members(tag, after, limit))
    }

    /// The tag of a URL, its query read as the pages' keys have it.
    fn url_tag(&self, url: &str) -> Result<Tag> {
        let (host, target) = split_url(url).ok_or_else(|| no_url(url))?;
        let at = host.as_deref().map_or(At::Anywhere, At::Host);
        let target = target.split('#').next().unwrap_or(target);
        let Some((path, query)) = target.split_once('?') else { return Ok(implicit::url(at, target, None)) };
        let known = self.0.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| known.contains(name_of(pair))).collect();
        pairs.sort_by_key(name_of);
        let query = pairs.join("&");
        Ok(implicit::url(at, path, (!query.is_empty()).then_some(&*query)))
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
            tags.push(self.url_tag(&format!("http://{host}{path}"))?);
        }
        let stored = tags.iter().any(|tag| !self.members(tag, None, 1).keys.is_empty());
        let receipt = self.invalidate(tags, mode).await;
        // A visitor who changed nothing that is cached is owed nothing.
        Ok(stored.then_some(receipt))
    }
}

fn name_of<'a>(pair: &&'a str) -> &'a str {
    pair.split('=').next().unwrap_or(pair)
}

pub(crate) fn absolute(key: &CacheKey) -> String {
    format!("{}://{}{}", key.scope().scheme.as_str(), key.scope().authority, key.path_and_query())
}

fn no_url(url: &str) -> Error {
    Error::rejected(format!("`{}` is neither an absolute http(s) URL nor a path", url.split('?').next().unwrap_or(url)))
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
