//! The middleware: reads the head, looks up, and acts in one `match`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge_isr_core::isr::look_up::{Hit, LookUp};
use edge_isr_core::model::cache_status::{CACHE_STATUS, CacheStatus, Forward};
use edge_isr_core::model::coding::Accepts;
use edge_isr_core::model::conditional::Selection;
use edge_isr_core::{BoxError, Isr, Mode, Reason};
use http::header::{HeaderMap, HeaderValue};
use http::{Extensions, Method, Request, Response, StatusCode, Uri, request};
use http_body::Body;
use tower::ServiceExt;
use tower_service::Service;

use crate::body::IsrBody;
use crate::context::IsrContext;
use crate::edge;
use crate::facts::RouteFacts;
use crate::future::ResponseFuture;
use crate::gateway::{self, Next};
use crate::inner::{Inner, PageBody, RequestBody};
use crate::layer::{LetThrough, Plan};
use crate::miss::{self, Asked};
use crate::origin::Ticket;
use crate::reading::{self, Conditions, Reading};
use crate::render::Order;
use crate::routes::Route;

/// What all clones of a service share. axum clones a service for each request: this makes it one increment.
pub(crate) struct Shared<S, F> {
    pub(crate) isr: Isr,
    pub(crate) plan: Arc<Plan>,
    pub(crate) let_through: Arc<[LetThrough]>,
    /// Locked on a miss only, to clone it; it also makes the service `Sync` without asking that of `S`.
    inner: Mutex<S>,
    facts: std::marker::PhantomData<fn() -> F>,
}

impl<S, F> Shared<S, F> {
    /// A copy of the inner service, to be made ready and called.
    pub(crate) fn inner(&self) -> S
    where
        S: Clone,
    {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The doorman's first duty, where this layer is the doorman: around a router.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if let Plan::Around(table) = &*self.plan {
            edge::strip(headers, table.keeps_forwarded());
        }
    }

    /// Whether what stands inside is an origin, whose answers come from elsewhere and can break off.
    pub(crate) fn is_before_origin(&self) -> bool {
        match &*self.plan {
            Plan::Inside(route) => route.rules.origin.is_some(),
            Plan::Around(table) => table.is_before_origin(),
        }
    }

    /// The visitor's extensions that the layer lets through to the handler.
    pub(crate) fn let_through(&self, from: &Extensions, is_gateway: bool) -> Extensions {
        let mut to = Extensions::new();
        self.let_through.iter().for_each(|let_through| let_through.copy(from, &mut to, is_gateway));
        to
    }

    /// The route's facts, anew. Around a router they are put there by the router itself.
    pub(crate) fn facts_of(&self, parts: &request::Parts, uri: &Uri) -> (Extensions, Vec<(String, String)>)
    where
        F: RouteFacts,
    {
        let recreate = || F::pattern(parts).map(|pattern| F::recreate(pattern, uri)).unwrap_or_default();
        match &*self.plan {
            Plan::Inside(_) => recreate(),
            Plan::Around(_) if F::is_routed(parts) => {
                let advice = "put the layer around the finished router with `wrap`; with `Router::layer` it runs after routing";
                self.isr.note(Reason::AroundInside, F::pattern(parts).unwrap_or_default(), advice);
                recreate()
            }
            Plan::Around(table) => (Extensions::new(), table.params(uri.path())),
        }
    }

    /// How what a request changed is invalidated: a gateway route's page is not used again without validation
    /// (RFC 9111 §4.4).
    pub(crate) fn mode_of(&self, path: &str) -> Mode {
        let route = match &*self.plan {
            Plan::Inside(route) => Some(route),
            Plan::Around(table) => table.find(path).map(|(_, route)| route),
        };
        let is_gateway = route.is_some_and(|route| route.rules.origin.is_some());
        if is_gateway { Mode::Hard } else { Mode::Soft }
    }

    /// The pattern and the settings of a request, if it is for a page of ours.
    #[inline]
    pub(crate) fn route<'a>(&'a self, parts: &'a request::Parts) -> Result<(&'a str, &'a Arc<Route>), Reason>
    where
        F: RouteFacts,
    {
        self.route_at(parts, F::uri(parts))
    }

    /// The same, with the URI that the facts give.
    #[inline]
    pub(crate) fn route_at<'a>(
        &'a self,
        parts: &'a request::Parts,
        uri: &'a Uri,
    ) -> Result<(&'a str, &'a Arc<Route>), Reason>
    where
        F: RouteFacts,
    {
        match &*self.plan {
            Plan::Inside(route) => F::pattern(parts).map(|pattern| (pattern, route)).ok_or(Reason::NoRoute),
            Plan::Around(table) => table.find(uri.path()).ok_or(Reason::NoRoute),
        }
    }
}

/// The middleware of [`IsrLayer`](crate::IsrLayer).
pub struct IsrService<S, F> {
    pub(crate) shared: Arc<Shared<S, F>>,
}

impl<S, F> IsrService<S, F> {
    pub(crate) fn new(isr: Isr, plan: Arc<Plan>, let_through: Arc<[LetThrough]>, inner: S) -> Self {
        let shared =
            Shared { isr, plan, let_through, inner: Mutex::new(inner), facts: std::marker::PhantomData };
        Self { shared: Arc::new(shared) }
    }
}

impl<S, F> Clone for IsrService<S, F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, F> fmt::Debug for IsrService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsrService")
            .field("isr", &self.shared.isr)
            .field("plan", &self.shared.plan)
            .finish_non_exhaustive()
    }
}

impl<S, F, ReqBody, ResBody> Service<Request<ReqBody>> for IsrService<S, F>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    F: RouteFacts,
    ReqBody: Default + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<IsrBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    /// Always ready: a hit never touches the inner service, and a miss makes its own copy of it ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.call_telling(request, |_| {})
    }
}

#[cold]
fn told(mut parts: request::Parts, tell: impl FnOnce(&mut Extensions)) -> request::Parts {
    tell(&mut parts.extensions);
    parts
}

/// Chooses the form of a page that its request takes, and what of it is to be sent.
#[inline(always)]
pub(crate) fn select(
    isr: &Isr,
    hit: &mut Hit,
    reading: &Reading<'_>,
    headers: &HeaderMap,
    is_head: bool,
) -> Selection {
    isr.choose_form(hit, || reading.accepts(headers));
    match reading.conditions() {
        Conditions::None => Selection::unconditional(is_head),
        // The one that the client was given last, as nearly all say.
        Conditions::Known(tag) if hit.shown().is_known_as(tag.as_bytes()) => Selection::NotModified,
        Conditions::Known(_) | Conditions::Other => hit.select(headers, is_head),
    }
}

/// Whether a request on a gateway route wants more looked at than whether there is a fresh page.
#[inline(always)]
pub(crate) fn asks_more(route: &Route, reading: &Reading<'_>, headers: &HeaderMap) -> bool {
    let asks = |obeys| reading.is_own() || gateway::has_wishes(obeys, headers);
    route.rules.origin.as_ref().is_some_and(asks)
}

/// Whether a request is a worker's or part of a render of ours.
fn is_special(extensions: &Extensions) -> bool {
    extensions.get::<Ticket>().is_some() || extensions.get::<IsrContext>().is_some_and(IsrContext::is_active)
}

impl<S, F> IsrService<S, F> {
    /// Answers as [`call`](Service::call) does. A request that no stored page answers at once is told something first, by
    /// its extensions: they cost allocations that a hit need not pay for. A page of a policy route does not see them.
    pub fn call_telling<ReqBody, ResBody>(
        &self,
        mut request: Request<ReqBody>,
        tell: impl FnOnce(&mut Extensions),
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        F: RouteFacts,
        ReqBody: Default + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Into<BoxError>,
    {
        let shared = &self.shared;
        if shared.isr.is_disabled() {
            tell(request.extensions_mut());
            return ResponseFuture::pass(shared.inner().oneshot(request), None);
        }
        let (mut parts, body) = request.into_parts();
        // The doorman's work where there is no other: functions of a policy must not believe clients.
        if matches!(&*shared.plan, Plan::Around(table) if table.reads_heads()) {
            shared.strip(&mut parts.headers);
        }
        let is_head = parts.method == Method::HEAD;
        if !(is_head || parts.method == Method::GET) {
            return self.not_a_read(told(parts, tell), body);
        }
        // Extensions are few or none; a render of ours or a worker's request always has some.
        if !parts.extensions.is_empty() && is_special(&parts.extensions) {
            return self.special(parts, body);
        }
        let uri = F::uri(&parts);
        let (pattern, route) = match shared.route_at(&parts, uri) {
            Ok(found) => found,
            Err(reason) => return self.unrouted(told(parts, tell), body, reason),
        };
        let reading = match Reading::of(&shared.isr, &route.rules, pattern, uri, &parts) {
            Ok(reading) => reading,
            Err(reason) => return self.bypass(told(parts, tell), body, Forward::Bypass, reason),
        };
        let key = reading.key();
        let found = shared.isr.look_up(&key, || shared.isr.owed(reading::receipt(&parts.headers)));
        if let Some(obeys) = &route.rules.origin
            && (!matches!(found, LookUp::Fresh(_)) || asks_more(route, &reading, &parts.headers))
        {
            let route = Arc::clone(route);
            let next = gateway::next(&shared.isr, &route, obeys, &key, found, &parts);
            return self.at_the_gateway(told(parts, tell), body, &route, next);
        }
        match found {
            LookUp::Fresh(mut hit) => {
                let selection = select(&shared.isr, &mut hit, &reading, &parts.headers, is_head);
                let answer = shared.isr.answer(&hit, &selection);
                self.after_hit(&hit, &reading, route, &parts);
                ResponseFuture::ready(answer)
            }
            LookUp::Stale(mut hit) => {
                let selection = select(&shared.isr, &mut hit, &reading, &parts.headers, is_head);
                let answer = shared.isr.answer(&hit, &selection);
                miss::refresh(shared, &shared.isr.own_key(&key), route, &parts, None);
                ResponseFuture::ready(answer)
            }
            LookUp::Miss(missed) => {
                let (key, route) = (shared.isr.own_key(&key), Arc::clone(route));
                // Whoever is told hears that it takes longer; the page's render does not.
                tell(&mut Extensions::new());
                if shared.isr.is_closing() {
                    return self.bypass(parts, body, Forward::Bypass, Reason::ShuttingDown);
                }
                shared.isr.count(missed.reason);
                let asked = Asked { key, route, missed, parts, alone: None };
                ResponseFuture::boxed(miss::answer(Arc::clone(shared), asked))
            }
        }
    }

    /// Renders a page ahead of its end, if this hit was drawn for that.
    #[inline(always)]
    pub(crate) fn after_hit<ReqBody, ResBody>(
        &self,
        hit: &Hit,
        reading: &Reading<'_>,
        route: &Arc<Route>,
        parts: &request::Parts,
    ) where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        if self.shared.isr.is_due_ahead(hit) {
            miss::refresh_ahead(&self.shared, &reading.key(), route, parts, hit.page());
        }
    }

    #[cold]
    pub(crate) fn bypass<ReqBody, ResBody>(
        &self,
        mut parts: request::Parts,
        body: ReqBody,
        forward: Forward,
        reason: Reason,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        F: RouteFacts,
    {
        let shared = &self.shared;
        shared.isr.count(reason);
        shared.strip(&mut parts.headers);
        let route = shared.route(&parts).ok().map(|(_, route)| Arc::clone(route));
        let call = shared.inner().oneshot(Request::from_parts(parts, body));
        ResponseFuture::pass(call, Some(self.status(forward, reason))).obeyed(route)
    }

    /// What a gateway route does with a request that is no plain hit.
    #[cold]
    fn at_the_gateway<ReqBody, ResBody>(
        &self,
        mut parts: request::Parts,
        body: ReqBody,
        route: &Arc<Route>,
        next: Next,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        let shared = &self.shared;
        match next {
            Next::Answer(mut hit, is_stale) => {
                shared.isr.choose_form(&mut hit, || Accepts::of_request(&parts.headers));
                let selection = hit.select(&parts.headers, parts.method == Method::HEAD);
                let answer = shared.isr.answer(&hit, &selection);
                let is_ahead = !is_stale && shared.isr.is_due_ahead(&hit);
                if (is_stale || is_ahead)
                    && let Some(key) = hit.page().key()
                {
                    let prior = if is_ahead { Some(Arc::clone(hit.page())) } else { hit.prior() };
                    if miss::refresh(shared, &key, route, &parts, prior) && is_ahead {
                        shared.isr.count(Reason::Ahead);
                    }
                }
                ResponseFuture::ready(answer)
            }
            Next::HandOn(forward, reason) => {
                gateway::keep_untold(route, &mut parts.headers);
                self.bypass(parts, body, forward, reason)
            }
            Next::OnlyIfCached => {
                let mut answer = crate::visitor::made(StatusCode::GATEWAY_TIMEOUT);
                answer.headers_mut().insert(CACHE_STATUS, gateway::only_if_cached(&shared.isr));
                ResponseFuture::boxed(std::future::ready(Ok(answer)))
            }
            Next::Render(..) if shared.isr.is_closing() => {
                gateway::keep_untold(route, &mut parts.headers);
                self.bypass(parts, body, Forward::Bypass, Reason::ShuttingDown)
            }
            Next::Render(key, missed, alone) => {
                shared.strip(&mut parts.headers);
                shared.isr.count(missed.reason);
                let asked = Asked { key, route: Arc::clone(route), missed, parts, alone };
                ResponseFuture::boxed(miss::answer(Arc::clone(shared), asked))
            }
        }
    }

    pub(crate) fn status(&self, forward: Forward, reason: Reason) -> HeaderValue {
        let status = CacheStatus { forward: Some(forward), detail: Some(reason), ..CacheStatus::default() };
        status.to_value(self.shared.isr.name())
    }

    /// A path that is no page of ours.
    fn unrouted<ReqBody, ResBody>(
        &self,
        mut parts: request::Parts,
        body: ReqBody,
        reason: Reason,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        F: RouteFacts,
    {
        if matches!(*self.shared.plan, Plan::Inside(_)) {
            return self.bypass(parts, body, Forward::Bypass, reason);
        }
        self.shared.strip(&mut parts.headers);
        ResponseFuture::pass(self.shared.inner().oneshot(Request::from_parts(parts, body)), None)
    }

    /// A worker's request for a page, or one that is part of a render of ours.
    #[cold]
    fn special<ReqBody, ResBody>(
        &self,
        mut parts: request::Parts,
        body: ReqBody,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Inner<ReqBody, ResBody>,
        F: RouteFacts,
        ReqBody: RequestBody,
        ResBody: PageBody,
    {
        let shared = &self.shared;
        let found = shared.route(&parts).map(|(pattern, route)| (pattern.to_owned(), Arc::clone(route)));
        let Ok((pattern, route)) = found else {
            return ResponseFuture::pass(shared.inner().oneshot(Request::from_parts(parts, body)), None);
        };
        if let Some(context) =
            parts.extensions.get::<IsrContext>().filter(|context| context.is_active()).cloned()
        {
            // Inert within a render of ours; what this layer would have said goes to the page in progress.
            let (_, params) = shared.facts_of(&parts, F::uri(&parts));
            let (tags, missing) = route.tags.fill(&params);
            context.add_tags(tags.iter().cloned());
            context.at_most(route.rules.lifetime.fresh);
            if missing.is_some() {
                context.veto(Reason::TagParamMissing);
            }
            return ResponseFuture::pass(shared.inner().oneshot(Request::from_parts(parts, body)), None);
        }
        let ours =
            parts.extensions.get::<Ticket>().is_some_and(|ticket| *ticket.key().scope().route == *pattern);
        match parts.extensions.remove::<Ticket>() {
            Some(ticket) if ours => {
                let order = Order::new(shared, ticket.key().clone(), &route, &parts);
                ResponseFuture::boxed(miss::refill(Arc::clone(shared), order, ticket))
            }
            ticket => {
                if let Some(ticket) = ticket {
                    parts.extensions.insert(ticket);
                }
                ResponseFuture::pass(shared.inner().oneshot(Request::from_parts(parts, body)), None)
            }
        }
    }
}
