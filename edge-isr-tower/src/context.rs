//! The render in progress: what the handler may say about its page.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edge_isr_core::isr::admit::Sealed;
use edge_isr_core::isr::born::Born;
use edge_isr_core::model::key::{Audience, CacheKey};
use edge_isr_core::{Isr, Reason, Tag};

tokio::task_local! {
    static CURRENT: IsrContext;
}

/// The render in progress, as an extractor and as a task-local. Where nothing is rendered for the cache it is
/// inert: every method works and does nothing.
///
/// Cheap to clone. A tag that is added after the body is complete comes too late: the page is dropped.
#[derive(Debug, Clone, Default)]
pub struct IsrContext(Option<Arc<Render>>);

#[derive(Debug)]
struct Render {
    isr: Isr,
    key: CacheKey,
    /// The names of the policy's variants, in the order of the key's last dimensions.
    variants: Arc<[String]>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open(Sealed),
    /// What was said counts no more; with the page that came of it, once there is one.
    Closed {
        page: Option<Born>,
        late: bool,
    },
}

impl IsrContext {
    pub(crate) fn begin(isr: Isr, key: CacheKey, variants: Arc<[String]>, said: Sealed) -> Self {
        Self(Some(Arc::new(Render { isr, key, variants, state: Mutex::new(State::Open(said)) })))
    }

    /// The render this task belongs to; inert where there is none.
    ///
    /// A spawned task is another task: hand it a clone and [`scope`](Self::scope).
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Whether a page is being rendered.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Runs a future as part of this render, so that [`current`](Self::current) finds it.
    ///
    /// # Cancellation
    ///
    /// As the future's own.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Adds tags that were found while rendering.
    pub fn add_tags(&self, tags: impl IntoIterator<Item = Tag>) {
        let mut tags = tags.into_iter().peekable();
        if tags.peek().is_some() {
            self.say(|said| said.tags.extend(tags));
        }
    }

    /// Sets how long this page is fresh, in place of the policy's `s_maxage`: at most 68 years. Of several the shortest counts.
    pub fn lifetime(&self, fresh: Duration) {
        self.say(|said| said.lifetime = Some(said.lifetime.map_or(fresh, |other| other.min(fresh))));
    }

    /// A layer within the render allows no longer than this.
    pub(crate) fn at_most(&self, fresh: Duration) {
        self.say(|said| said.at_most = Some(said.at_most.map_or(fresh, |other| other.min(fresh))));
    }

    /// Keeps this page out of the cache.
    pub fn no_store(&self) {
        self.veto(Reason::HandlerNoStore);
    }

    pub(crate) fn veto(&self, reason: Reason) {
        self.say(|said| said.veto = said.veto.or(Some(reason)));
    }

    /// Whether the page is rendered for previews. See `Policy::draft`.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.0.as_ref().is_some_and(|render| render.key.scope().audience == Audience::Draft)
    }

    /// Whose page is rendered. See `Policy::tenant`.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.0.as_ref()?.key.scope().tenant.as_deref()
    }

    /// The value of a computed dimension. See `Policy::variant`.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<String> {
        let render = self.0.as_ref()?;
        let nth = render.variants.iter().position(|known| known == name)?;
        let dimensions = render.key.dimensions();
        (*dimensions.get(render.key.scope().vary.len() + nth)?).map(str::to_owned)
    }

    fn say(&self, f: impl FnOnce(&mut Sealed)) {
        let Some(render) = &self.0 else { return };
        let mut state = render.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Open(said) => f(said),
            State::Closed { page, late } => {
                let was_late = std::mem::replace(late, true);
                // Once: by the next time a newer page may stand there.
                if let Some(page) = page.as_ref().filter(|_| !was_late) {
                    render.isr.kill(page);
                }
                render.isr.note(
                    Reason::LateTag,
                    &render.key.scope().route,
                    "add tags before the body is complete; this page was dropped",
                );
            }
        }
    }

    /// What was said up to now; more may be.
    pub(crate) fn so_far(&self) -> Sealed {
        let Some(render) = &self.0 else { return Sealed::default() };
        match &*render.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open(said) => said.clone(),
            State::Closed { .. } => Sealed::default(),
        }
    }

    /// Ends what may be said.
    pub(crate) fn seal(&self) -> Sealed {
        let Some(render) = &self.0 else { return Sealed::default() };
        let mut state = render.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Closed { page: None, late: false }) {
            State::Open(said) => said,
            State::Closed { .. } => Sealed::default(),
        }
    }

    /// Tells the context which page came of it, so that a late tag can kill it.
    pub(crate) fn sealed_as(&self, born: Born) {
        let Some(render) = &self.0 else { return };
        let mut state = render.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Closed { page, late } = &mut *state {
            if *late {
                render.isr.kill(&born);
            }
            *page = Some(born);
        }
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for IsrContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
