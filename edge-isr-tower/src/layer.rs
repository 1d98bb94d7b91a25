//! The layer: inside a route, or around a router with a table.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use edge_isr_core::{ConfigError, Isr, Policy};
use http::Extensions;
use tower_layer::Layer;

use crate::facts::{NoFacts, RouteFacts};
use crate::path_tag::PathTags;
use crate::routes::{Route, Table};
use crate::service::IsrService;

/// Copies one type of extension.
type CopyOne = dyn Fn(&Extensions, &mut Extensions) + Send + Sync;

/// Lets one type of extension of the visitor's request through to the handler.
#[derive(Clone)]
pub(crate) struct LetThrough {
    copy: Arc<CopyOne>,
    /// Only on gateway routes, whose origin may be told who asked.
    only_origins: bool,
}

impl LetThrough {
    fn new<T: Clone + Send + Sync + 'static>(only_origins: bool) -> Self {
        let copy = |from: &Extensions, to: &mut Extensions| {
            if let Some(value) = from.get::<T>() {
                to.insert(value.clone());
            }
        };
        Self { copy: Arc::new(copy), only_origins }
    }

    pub(crate) fn copy(&self, from: &Extensions, to: &mut Extensions, is_gateway: bool) {
        if is_gateway || !self.only_origins {
            (self.copy)(from, to);
        }
    }
}

/// Where the layer stands.
pub(crate) enum Plan {
    Inside(Arc<Route>),
    Around(Table),
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside(route) => f.debug_tuple("Inside").field(&route.rules).finish(),
            Self::Around(_) => f.write_str("Around(..)"),
        }
    }
}

/// Caches the pages of a route.
///
/// Put it on a route; the pattern that matched, the path and what the [`Policy`] declares are the key. Several
/// routes and several layers share one [`Isr`].
///
/// ```
/// use edge_isr_core::{Isr, Policy, Tag};
/// use edge_isr_tower::IsrLayer;
/// use tower::ServiceBuilder;
///
/// let isr = Isr::builder().build()?;
/// let layer: IsrLayer = IsrLayer::new(&isr).policy(Policy::new()).tags(Tag::named("posts"));
/// assert!(layer.check().is_ok());
/// let builder = ServiceBuilder::new().layer(layer);
/// # let _ = builder;
/// # Ok::<(), edge_isr_core::ConfigError>(())
/// ```
#[must_use = "a layer does nothing until it is put on a service"]
pub struct IsrLayer<F = NoFacts> {
    isr: Isr,
    plan: Draft,
    let_through: Vec<LetThrough>,
    facts: PhantomData<fn() -> F>,
}

/// Settings that are checked when the layer is put on.
#[derive(Clone)]
enum Draft {
    Inside {
        policy: Box<Policy>,
        tags: PathTags,
        /// What came of the two, once; a router may put a layer on again and again.
        checked: Arc<OnceLock<Result<Arc<Plan>, ConfigError>>>,
    },
    Around(Arc<Plan>),
}

impl Draft {
    fn inside(policy: Box<Policy>, tags: PathTags) -> Self {
        Self::Inside { policy, tags, checked: Arc::default() }
    }
}

impl<F: RouteFacts> IsrLayer<F> {
    /// A layer with the default policy and no tags.
    pub fn new(isr: &Isr) -> Self {
        let plan = Draft::inside(Box::default(), PathTags::default());
        Self { isr: isr.clone(), plan, let_through: Vec::new(), facts: PhantomData }
    }

    /// A layer around a finished router, with a table of its pages. A hit skips the routing, and every method
    /// is seen: what succeeds with an unsafe one invalidates its URL.
    pub fn around(isr: &Isr) -> Around<F> {
        Around {
            isr: isr.clone(),
            table: Ok(Table::default()),
            rules: Vec::new(),
            let_through: Vec::new(),
            facts: PhantomData,
        }
    }

    /// The settings of the route. Without any effect on a layer around a router, whose routes have their own.
    pub fn policy(mut self, policy: Policy) -> Self {
        if let Draft::Inside { tags, .. } = self.plan {
            self.plan = Draft::inside(Box::new(policy), tags);
        }
        self
    }

    /// Adds tags to every page of the route: one [`path_tag`](crate::path_tag), one
    /// [`Tag`](edge_isr_core::Tag), or an array of either. Without any effect on a layer around a router.
    pub fn tags(mut self, more: impl Into<PathTags>) -> Self {
        if let Draft::Inside { policy, mut tags, .. } = self.plan {
            tags.extend(more.into());
            self.plan = Draft::inside(policy, tags);
        }
        self
    }

    /// Lets a type of the visitor's request extensions through to the handler. Nothing in it may differ
    /// between visitors.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.let_through.push(LetThrough::new::<T>(false));
        self
    }

    /// Says what is wrong with the settings; [`layer`](Layer::layer) panics with the same words.
    ///
    /// # Errors
    ///
    /// The first setting that can't be right, with its bound.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.plan().map(drop)
    }

    fn plan(&self) -> Result<Arc<Plan>, ConfigError> {
        match &self.plan {
            Draft::Around(plan) => Ok(Arc::clone(plan)),
            Draft::Inside { policy, tags, checked } => checked
                .get_or_init(|| {
                    let route = Route::new(policy, tags.clone())?;
                    self.isr.declare(&route.rules);
                    Ok(Arc::new(Plan::Inside(Arc::new(route))))
                })
                .clone(),
        }
    }
}

impl<F> Clone for IsrLayer<F> {
    fn clone(&self) -> Self {
        let (isr, plan) = (self.isr.clone(), self.plan.clone());
        Self { isr, plan, let_through: self.let_through.clone(), facts: PhantomData }
    }
}

impl<F> fmt::Debug for IsrLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsrLayer").field("isr", &self.isr).finish_non_exhaustive()
    }
}

impl<S, F: RouteFacts> Layer<S> for IsrLayer<F> {
    type Service = IsrService<S, F>;

    /// Puts the layer on a service.
    ///
    /// # Panics
    ///
    /// With the words of [`check`](IsrLayer::check), when a setting can't be right. It happens when the
    /// application is put together, never on a request.
    #[track_caller]
    fn layer(&self, inner: S) -> IsrService<S, F> {
        match self.plan() {
            Ok(plan) => IsrService::new(self.isr.clone(), plan, self.let_through.clone().into(), inner),
            Err(error) => panic!("this IsrLayer can't work: {error}"),
        }
    }
}

/// A layer around a router, while its table is being filled.
#[must_use = "a layer does nothing until it is built and put on a router"]
pub struct Around<F = NoFacts> {
    isr: Isr,
    /// The table, or the first thing that is wrong with it.
    table: Result<Table, ConfigError>,
    rules: Vec<Box<str>>,
    let_through: Vec<LetThrough>,
    facts: PhantomData<fn() -> F>,
}

impl<F: RouteFacts> Around<F> {
    /// Makes pages of a pattern, `/posts/{id}` or `/files/{*path}`. The most specific pattern wins; a pattern
    /// also matches what the router gives a more specific route, see [`pass`](Self::pass).
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a policy is written where it is used, as with `IsrLayer::policy`"
    )]
    pub fn route(self, pattern: &str, policy: Policy, tags: impl Into<PathTags>) -> Self {
        let route = Route::new(&policy, tags.into());
        self.insert(pattern, route.map(Some))
    }

    /// Makes pages of every path that no pattern matches, `/` included; without it they pass untouched. For a cache in
    /// front of a whole site, whose named routes a pattern such as `/{*rest}` would conflict with.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a policy is written where it is used, as with `IsrLayer::policy`"
    )]
    pub fn otherwise(mut self, policy: Policy, tags: impl Into<PathTags>) -> Self {
        let route = Route::new(&policy, tags.into());
        if let Ok(route) = &route {
            self.isr.declare(&route.rules);
        }
        self.table = self.table.and_then(|mut table| {
            table.insert_otherwise(route?)?;
            Ok(table)
        });
        self
    }

    /// Lets a pattern pass untouched: an exception from a wider one.
    pub fn pass(self, pattern: &str) -> Self {
        self.insert(pattern, Ok(None))
    }

    /// Lets a type of the visitor's request extensions through to the handler. Nothing in it may differ
    /// between visitors.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.let_through.push(LetThrough::new::<T>(false));
        self
    }

    /// Lets a type of the visitor's request extensions through on gateway routes alone: what their origin is told of who
    /// asked first, whose answer is everyone's if the origin says so. What is added to a request because of it must not
    /// select the answer: it is not in the key, whatever the origin's `Vary` names.
    pub fn origin_extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.let_through.push(LetThrough::new::<T>(true));
        self
    }

    /// Keeps `Forwarded` and `X-Forwarded-*`, for applications behind a proxy of their own that sets them. Pages
    /// never see them either way. See [`Edge::keep_forwarded`](crate::Edge::keep_forwarded).
    pub fn keep_forwarded(mut self) -> Self {
        if let Ok(table) = &mut self.table {
            table.keep_forwarded();
        }
        self
    }

    /// Checks the table.
    ///
    /// # Errors
    ///
    /// The first pattern, policy or template that can't be right.
    pub fn build(self) -> Result<IsrLayer<F>, ConfigError> {
        let plan = Draft::Around(Arc::new(Plan::Around(self.table?)));
        Ok(IsrLayer { isr: self.isr, plan, let_through: self.let_through, facts: PhantomData })
    }

    fn insert(mut self, pattern: &str, route: Result<Option<Route>, ConfigError>) -> Self {
        if let Ok(Some(route)) = &route {
            self.isr.declare(&route.rules);
        }
        self.rules.push(pattern.into());
        self.table = self.table.and_then(|mut table| {
            table.insert(pattern, route?)?;
            Ok(table)
        });
        self
    }
}

impl<F> fmt::Debug for Around<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("patterns", &self.rules).finish_non_exhaustive()
    }
}
