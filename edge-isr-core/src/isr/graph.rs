//! The application's handle on tags: the verbs, and the lists.

use std::future::Future;

use super::Isr;
use super::invalidate::absolute;
use super::plan::Plan;
use super::receipt::Receipt;
use super::selector::Selector;
use crate::error::{Error, Result};
use crate::graph::{Cursor, Members};
use crate::model::authority::{Scheme, normalize};
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::{Tag, TagSet};
use crate::queue::Priority;

/// The most pages of one URL that `tags_for` looks at.
const MOST_PAGES: usize = 1_000;

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
    priority: Priority,
}

impl Graph {
    pub(crate) const fn new(isr: Isr) -> Self {
        Self { isr, priority: Priority::Normal }
    }

    /// A handle whose invalidations are rendered before or after those of others, or among them.
    ///
    /// ```
    /// use edge_isr_core::{Isr, Priority, tag};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let isr = Isr::builder().build()?;
    /// // Everyone looks at the front page; the archive can wait.
    /// isr.graph().at(Priority::High).revalidate_by_tags([tag("page", "front")]).await?;
    /// isr.graph().at(Priority::Low).revalidate_by_tags([tag("list", "archive")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn at(&self, priority: Priority) -> Self {
        Self { isr: self.isr.clone(), priority }
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
        self.apply(self.isr.url_tags(url), mode)
    }

    /// Invalidates the pages below a path, on every host or on the URL's. Ends at a segment: `/blog` covers
    /// `/blog/1`, not `/blogs`.
    ///
    /// # Errors
    ///
    /// When it is neither an absolute `http` or `https` URL nor a path, or the mark could not be applied.
    pub fn by_prefix(
        &self,
        prefix: &str,
        mode: Mode,
    ) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(Selector::prefix(prefix).and_then(|prefix| self.isr.selector_tags([prefix])), mode)
    }

    /// Invalidates all that is selected, in one step of the sequence: one receipt, and all of it or nothing.
    ///
    /// ```
    /// use edge_isr_core::{Isr, Mode, Selector, tag};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let isr = Isr::builder().build()?;
    /// let what = [Selector::tag(tag("post", 42)), Selector::prefix("/archive")?];
    /// let receipt = isr.graph().by_selectors(what, Mode::Soft).await?;
    /// assert_eq!((receipt.seq(), receipt.tags().len()), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the mark could not be applied.
    pub fn by_selectors<S>(
        &self,
        what: S,
        mode: Mode,
    ) -> impl Future<Output = Result<Receipt>> + Send + use<S>
    where
        S: IntoIterator<Item = Selector>,
    {
        self.apply(self.isr.selector_tags(what), mode)
    }

    /// Invalidates the pages of a host.
    ///
    /// # Errors
    ///
    /// When it is no host, or the mark could not be applied.
    pub fn by_host(&self, host: &str, mode: Mode) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        let tags = normalize(host, Scheme::Http).map(|host| vec![implicit::host(&host)]);
        self.apply(tags.ok_or_else(|| Error::rejected(format!("`{}` is no host", host.escape_debug()))), mode)
    }

    /// Invalidates the pages of a route, by its pattern: `/posts/{id}`.
    ///
    /// # Errors
    ///
    /// When the mark could not be applied.
    pub fn by_route(
        &self,
        pattern: &str,
        mode: Mode,
    ) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        self.apply(Ok(vec![implicit::route(pattern)]), mode)
    }

    /// Invalidates the pages of a build, by the id that [`Builder::build_id`](super::Builder::build_id) named. Pages in
    /// memory without a name for their build are gone with the process, and are not covered.
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

    /// The receipts of the latest invalidations, at most `limit`, the last one first. They are kept for ten minutes,
    /// and at most [`Limits::receipts`](crate::Limits::receipts) of them.
    #[must_use]
    pub fn receipts(&self, limit: usize) -> Vec<Receipt> {
        self.isr.0.receipts.latest(limit, self.isr.now())
    }

    /// The receipt of the invalidation with this sequence, while it is kept.
    #[must_use]
    pub fn receipt(&self, seq: u64) -> Option<Receipt> {
        self.isr.0.receipts.find(seq, self.isr.now())
    }

    /// What an invalidation of these tags would reach, without doing it: for a dry run, or to ask before a large one.
    ///
    /// ```
    /// use edge_isr_core::testing::RecordingConnector;
    /// use edge_isr_core::{Isr, Mode, tag};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let isr = Isr::builder().connector(RecordingConnector::default()).build()?;
    /// let plan = isr.graph().plan([tag("post", 42)], Mode::Soft).await?;
    /// assert_eq!((plan.pages, plan.is_complete), (0, true));
    /// assert_eq!((plan.calls[0].connector, plan.calls[0].calls), ("recording", 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the index can't be read.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing; neither does awaiting it.
    pub fn plan<T>(&self, tags: T, mode: Mode) -> impl Future<Output = Result<Plan>> + Send + use<T>
    where
        T: IntoIterator<Item = Tag>,
    {
        let (isr, tags): (_, Vec<Tag>) = (self.isr.clone(), tags.into_iter().collect());
        async move { Ok(isr.plan(&tags, mode).await) }
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
        let tags = self.isr.url_tags(url)?;
        let keys = tags.iter().flat_map(|tag| self.isr.members(tag, None, MOST_PAGES).keys);
        let graph = &self.isr.0.graph;
        let sets = keys.filter_map(|key| graph.with_index(|index| index.tags_of(&key)));
        Ok(sets.flat_map(|set| set.iter().cloned().collect::<Vec<_>>()).collect())
    }

    fn apply(
        &self,
        tags: Result<Vec<Tag>>,
        mode: Mode,
    ) -> impl Future<Output = Result<Receipt>> + Send + use<> {
        let (isr, priority) = (self.isr.clone(), self.priority);
        async move { Ok(isr.invalidate(tags?, mode, priority).await) }
    }
}

/// Comes out of the state of an application that holds it: `async fn edit(graph: Graph)`.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Graph
where
    Self: axum_core::extract::FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        _: &mut http::request::Parts,
        state: &S,
    ) -> std::result::Result<Self, Self::Rejection> {
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
