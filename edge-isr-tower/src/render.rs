//! One render: a sanitised request, in a task of its own, with a time-out, a panic guard and a cap on the body.
//!
//! Clients only wait for it. A client that leaves takes nothing down.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use edge_isr_core::isr::admit::{Admitted, Sealed};
use edge_isr_core::isr::flight::{Outcome, Permit};
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::model::storable;
use edge_isr_core::{BoxError, Isr, Reason, TagSet, WhenFull};
use futures_util::FutureExt;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{Extensions, Request, Response, Uri, request};
use http_body::Body;
use tokio::sync::oneshot;
use tower::ServiceExt;
use tower_service::Service;

use crate::body::{IsrBody, Rest};
use crate::context::IsrContext;
use crate::facts::RouteFacts;
use crate::routes::Route;
use crate::service::Shared;

/// What the leader gets.
pub(crate) enum Led<B, E> {
    /// An answer for everyone; stored unless a reason says why not.
    Page(Arc<Page>, Option<Reason>),
    /// An answer for the leader alone.
    Own(Response<IsrBody<B>>, Reason),
    /// The inner service's error.
    Failed(E),
    /// The handler's panic.
    Panicked(Box<dyn Any + Send>),
    TimedOut,
    /// As many renders run as may, and the operator refuses more.
    Refused,
    /// Shut down.
    Abandoned,
}

/// What to render.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) key: CacheKey,
    pub(crate) route: Arc<Route>,
    /// The path as the inner service knows it; a nested router has cut off a part.
    pub(crate) path: Box<str>,
    /// The route's facts, and those of the visitor's extensions that the layer lets through.
    pub(crate) extensions: Extensions,
    /// The tags of the layer's templates.
    pub(crate) tags: TagSet,
    /// A parameter that a template names and the route lacks.
    pub(crate) missing: Option<String>,
    /// Whether something between the router and the layer changed the URI.
    is_rewritten: bool,
}

impl Order {
    pub(crate) fn new<F: RouteFacts, S>(
        shared: &Shared<S, F>,
        key: CacheKey,
        route: &Arc<Route>,
        parts: &request::Parts,
    ) -> Self {
        // As the key has it: the visitor's own URI may hold parameters that are not declared.
        let uri = key.path_and_query().parse().unwrap_or_default();
        let (mut extensions, params) = shared.facts_of(parts, &uri);
        let (tags, missing) = route.tags.fill(&params);
        F::take_over(&parts.extensions, &mut extensions);
        extensions.extend(shared.let_through(&parts.extensions));
        let path: Box<str> = parts.uri.path().into();
        // A nested router cuts off the front, and leaves `/` of the whole; whoever changed more did it by
        // something that is not in the key.
        let is_rewritten = !key.path().ends_with(&*path) && &*path != "/";
        let route = Arc::clone(route);
        Self { key, route, path, extensions, tags, missing, is_rewritten }
    }

    /// Why the page must not be stored, whatever the handler says.
    fn veto(&self, isr: &Isr) -> Option<Reason> {
        if self.is_rewritten {
            return Some(Reason::Rewritten);
        }
        self.missing.as_ref()?;
        let advice = "the tag template names a parameter that this route lacks; its pages are not stored";
        isr.note(Reason::TagParamMissing, &self.key.scope().route, advice);
        Some(Reason::TagParamMissing)
    }

    /// The request the handler sees: what is in the key, and nothing else (P23).
    fn request<B: Default>(&self, context: IsrContext) -> Option<Request<B>> {
        let mut request = self.key.request()?.map(|()| B::default());
        let target = match self.key.query() {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        };
        // Origin form for all, so that HTTP/1 and HTTP/2 visitors can't make a difference.
        *request.uri_mut() = Uri::from(PathAndQuery::try_from(target).ok()?);
        let extensions = request.extensions_mut();
        extensions.extend(self.extensions.clone());
        extensions.insert(context);
        Some(request)
    }
}

/// Renders in a task of its own. What comes of it is shared through the permit, and told to the leader if
/// there still is one.
pub(crate) fn spawn<S, F, ReqBody, ResBody>(
    shared: Arc<Shared<S, F>>,
    permit: Permit,
    order: Order,
    for_visitor: bool,
) -> oneshot::Receiver<Led<ResBody, S::Error>>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    F: RouteFacts,
    ReqBody: Default + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let (tell, told) = oneshot::channel();
    let veto = order.veto(&shared.isr);
    let said = Sealed { tags: order.tags.clone(), veto, ..Sealed::default() };
    let variants = Arc::clone(&order.route.variants);
    let context = IsrContext::begin(shared.isr.clone(), order.key.clone(), variants, said);
    tokio::spawn(async move {
        let isr = shared.isr.clone();
        let led = tokio::select! {
            led = run(&shared, permit, order, context, for_visitor) => led,
            // Dropping the render drops its permit, which releases those who wait.
            () = isr.aborted() => Led::Abandoned,
        };
        // A leader that has left needs no answer.
        let _ = tell.send(led);
    });
    told
}

async fn run<S, F, ReqBody, ResBody>(
    shared: &Shared<S, F>,
    permit: Permit,
    order: Order,
    context: IsrContext,
    for_visitor: bool,
) -> Led<ResBody, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    F: RouteFacts,
    ReqBody: Default + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let isr = &shared.isr;
    let limits = isr.limits();
    let _slot = match tokio::time::timeout(limits.collapse_wait, isr.render_slot()).await {
        Ok(Some(slot)) => Some(slot),
        Ok(None) => return Led::Abandoned,
        Err(_) if !for_visitor => match isr.render_slot().await {
            Some(slot) => Some(slot),
            None => return Led::Abandoned,
        },
        Err(_) if limits.when_full == WhenFull::Refuse => {
            isr.count(Reason::Busy);
            return Led::Refused;
        }
        // Waited long enough: a visitor is served, whatever the load.
        Err(_) => None,
    };
    isr.count_render();
    let Some(request) = order.request::<ReqBody>(context.clone()) else { return Led::Abandoned };
    let inner = shared.inner();
    let rendering = context
        .clone()
        .scope(async move { collect(inner.oneshot(request).await, &order.route, limits.body_bytes).await });
    let rendered =
        match tokio::time::timeout(limits.render_timeout, AssertUnwindSafe(rendering).catch_unwind()).await {
            Err(_) => {
                isr.fail(permit, Outcome::TimedOut);
                return Led::TimedOut;
            }
            Ok(Err(panic)) => {
                isr.fail(permit, Outcome::Panicked);
                return Led::Panicked(panic);
            }
            Ok(Ok(Err(error))) => {
                isr.fail(permit, Outcome::Failed);
                return Led::Failed(error);
            }
            Ok(Ok(Ok(rendered))) => rendered,
        };
    land(shared, permit, rendered, &context).await
}

/// An answer, as far as it was collected.
enum Rendered<B> {
    Complete { parts: http::response::Parts, body: Vec<Bytes>, route: Arc<Route> },
    Vetoed { response: Response<IsrBody<B>>, reason: Reason },
}

async fn collect<B, E>(
    answer: Result<Response<B>, E>,
    route: &Arc<Route>,
    cap: usize,
) -> Result<Rendered<B>, E>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = answer?.into_parts();
    match storable::head(&parts, &route.rules) {
        Err(Reason::Status) if parts.status.is_server_error() => {}
        // Nobody waits for a body that only one visitor gets.
        Err(reason) => {
            let response = Response::from_parts(parts, IsrBody::origin(body));
            return Ok(Rendered::Vetoed { response, reason });
        }
        Ok(()) => {}
    }
    let cap = route.rules.max_body_bytes.unwrap_or(cap);
    let mut body = Box::pin(body);
    let mut frames = Vec::new();
    let mut len = 0_usize;
    let too_large = |len: usize, hint: u64| (len as u64).saturating_add(hint) > cap as u64;
    while !too_large(len, body.size_hint().lower()) {
        // hyper and others may not poll a body of known length to its end.
        if body.is_end_stream() {
            return Ok(Rendered::Complete { parts, body: frames, route: Arc::clone(route) });
        }
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => return Ok(Rendered::Complete { parts, body: frames, route: Arc::clone(route) }),
            Some(Ok(frame)) => {
                // Trailers belong to the connection's answer, not to the page (RFC 9110 §6.5.1).
                if let Ok(data) = frame.into_data() {
                    len = len.saturating_add(data.len());
                    frames.push(data);
                }
            }
            Some(Err(error)) => {
                let body = IsrBody::overflow(frames, Rest::Error(error.into()));
                return Ok(Rendered::Vetoed {
                    response: Response::from_parts(parts, body),
                    reason: Reason::Truncated,
                });
            }
        }
    }
    let body = IsrBody::overflow(frames, Rest::Body(body));
    Ok(Rendered::Vetoed { response: Response::from_parts(parts, body), reason: Reason::TooLarge })
}

/// Seals, judges, stores and tells those who wait.
async fn land<S, F, B, E>(
    shared: &Shared<S, F>,
    permit: Permit,
    rendered: Rendered<B>,
    context: &IsrContext,
) -> Led<B, E> {
    let isr = &shared.isr;
    let (parts, body, route) = match rendered {
        Rendered::Complete { parts, body, route } => (parts, body, route),
        Rendered::Vetoed { response, reason } => {
            context.seal();
            isr.refuse(&permit, response.status(), reason);
            let key = permit.key().clone();
            permit.finish(Outcome::Unshareable(reason));
            if !response.status().is_server_error() {
                isr.forget(&key).await;
            }
            return Led::Own(response, reason);
        }
    };
    let sealed = context.seal();
    match isr.admit(&permit, &route.rules, parts, body, &sealed, |page| context.sealed_as(page)) {
        Admitted::Page(page, kept) => {
            let key = permit.key().clone();
            permit.finish(Outcome::Page(Arc::clone(&page)));
            if kept.is_none() {
                isr.pass_on(&key, &page).await;
            }
            Led::Page(page, kept)
        }
        Admitted::Vetoed(reason, parts, body) => {
            let key = permit.key().clone();
            permit.finish(Outcome::Unshareable(reason));
            if !parts.status.is_server_error() {
                isr.forget(&key).await;
            }
            let body = IsrBody::overflow(body, Rest::Nothing);
            Led::Own(Response::from_parts(*parts, body), reason)
        }
    }
}

/// Headers that only matter to the connection are gone by now; this is what the visitor's own answer keeps.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    if !headers.contains_key(http::header::CACHE_CONTROL) {
        headers.insert(http::header::CACHE_CONTROL, edge_isr_core::model::cache_control::PRIVATE);
    }
}
