//! The doorman: outermost, it keeps our control headers for us, applies invalidation by response, and takes
//! back what something outside the page's layer made private.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use edge_isr_core::isr::RECEIPT_COOKIE;
use edge_isr_core::model::cache_control::{self, PRIVATE};
use edge_isr_core::model::cache_status::is_ours;
use edge_isr_core::{Isr, Mode};
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, FORWARDED, HeaderMap, HeaderName, LOCATION, SET_COOKIE};
use http::{Request, Response, request};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::origin::Ticket;
use crate::reading::host_of;

/// Whether a proxy in front sets the forwarding headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Forwarding {
    /// Nobody does: what comes in is the client's own word, and is removed.
    #[default]
    Removed,
    /// A proxy of the operator's does, and replaces what clients send.
    Kept,
}

/// The outermost layer. Made by [`IsrExt::edge`](crate::IsrExt::edge).
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put on a service"]
pub struct Edge {
    isr: Isr,
    forwarding: Forwarding,
}

impl Edge {
    pub(crate) fn new(isr: Isr) -> Self {
        Self { isr, forwarding: Forwarding::default() }
    }

    /// Keeps `Forwarded` and `X-Forwarded-*`, for applications behind a proxy of their own that sets them. Cached
    /// pages never see them either way.
    pub fn keep_forwarded(mut self) -> Self {
        self.forwarding = Forwarding::Kept;
        self
    }
}

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { edge: self.clone(), inner }
    }
}

/// The middleware of [`Edge`].
#[derive(Debug, Clone)]
pub struct EdgeService<S> {
    edge: Edge,
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EdgeService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future, ResBody, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let is_workers = request.extensions().get::<Ticket>().is_some();
        if is_workers || self.edge.isr.is_disabled() {
            return EdgeFuture { state: State::Pass { future: self.inner.call(request) } };
        }
        let (mut parts, body) = request.into_parts();
        strip(&mut parts.headers, self.edge.forwarding == Forwarding::Kept);
        if parts.method.is_safe() {
            let future = self.inner.call(Request::from_parts(parts, body));
            return EdgeFuture { state: State::Safe { future, isr: self.edge.isr.clone() } };
        }
        let target = Target::of(&parts);
        let isr = self.edge.isr.clone();
        let future = self.inner.call(Request::from_parts(parts, body));
        let future = async move {
            let mut response = future.await?;
            after_unsafe(&isr, target, &mut response).await;
            take_back(response.headers_mut(), isr.name());
            Ok(response)
        };
        EdgeFuture { state: State::Unsafe { future: Box::pin(future) } }
    }
}

pin_project! {
    /// The future of [`EdgeService`].
    pub struct EdgeFuture<F, B, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B, E> {
        Pass { #[pin] future: F },
        Safe { #[pin] future: F, isr: Isr },
        Unsafe { future: Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>> },
    }
}

impl<F, B, E> Future for EdgeFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Pass { future } => future.poll(cx),
            StateProj::Safe { future, isr } => future.poll(cx).map_ok(|mut response| {
                take_back(response.headers_mut(), isr.name());
                response
            }),
            StateProj::Unsafe { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, B, E> std::fmt::Debug for EdgeFuture<F, B, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeFuture").finish_non_exhaustive()
    }
}

/// Removes what only we may say, and what a client must not claim about itself: where it came from, which
/// URL or method it really means.
pub(crate) fn strip(headers: &mut HeaderMap, keep_forwarded: bool) {
    // One look at each name; nearly always there is nothing to remove.
    if !headers.keys().any(|name| is_forbidden(name, keep_forwarded)) {
        return;
    }
    let forbidden: Vec<HeaderName> =
        headers.keys().filter(|name| is_forbidden(name, keep_forwarded)).cloned().collect();
    for name in forbidden {
        headers.remove(name);
    }
}

#[inline]
fn is_forbidden(name: &HeaderName, keep_forwarded: bool) -> bool {
    if *name == FORWARDED {
        return !keep_forwarded;
    }
    // Header names are lower case.
    let Some(rest) = name.as_str().strip_prefix("x-") else { return false };
    match rest {
        "original-url"
        | "rewrite-url"
        | "http-method-override"
        | "http-method"
        | "method-override"
        | "original-host"
        | "host" => true,
        _ if rest.starts_with("edge-isr-") => true,
        _ => !keep_forwarded && rest.starts_with("forwarded"),
    }
}

/// Something outside the page's layer added a cookie or said `private`: then the answer is for one visitor,
/// whatever the page said before.
#[inline]
fn take_back(headers: &mut HeaderMap, name: &str) {
    if !headers.contains_key(SET_COOKIE) && !says_private(headers) {
        return;
    }
    if is_ours(headers, name) {
        headers.insert(CACHE_CONTROL, PRIVATE);
        for name in [
            edge_isr_core::model::storable::CDN_CACHE_CONTROL,
            edge_isr_core::model::storable::SURROGATE_CONTROL,
        ] {
            headers.remove(name);
        }
    }
}

#[inline]
fn says_private(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CACHE_CONTROL).iter();
    match (lines.next(), lines.next()) {
        (None, _) => false,
        // A page's own line, as it nearly always is.
        (Some(line), None) if line.as_bytes().starts_with(b"public, max-age=") => {
            line.as_bytes().windows(7).skip(16).any(|part| part.eq_ignore_ascii_case(b"private"))
                && cache_control::of(headers).private
        }
        _ => cache_control::of(headers).private,
    }
}

/// What an unsafe request is about.
#[derive(Debug)]
pub(crate) struct Target {
    host: Option<String>,
    url: String,
}

impl Target {
    pub(crate) fn of(parts: &request::Parts) -> Self {
        let host = host_of(&parts.uri, &parts.headers).map(std::borrow::Cow::into_owned);
        let url = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { host, url }
    }
}

/// RFC 9111 §4.4: an unsafe method that succeeded invalidates its URL, and where `Location` and
/// `Content-Location` point on the same host. The visitor gets one receipt, the latest.
pub(crate) async fn after_unsafe<B>(isr: &Isr, target: Target, response: &mut Response<B>) {
    let status = response.status();
    let Some(host) = target.host.filter(|_| status.is_success() || status.is_redirection()) else { return };
    let mut urls = vec![target.url.as_str()];
    for name in [LOCATION, CONTENT_LOCATION] {
        urls.extend(response.headers().get(name).and_then(|value| value.to_str().ok()));
    }
    let urls: Vec<String> = urls.into_iter().map(str::to_owned).collect();
    let targets: Vec<&str> = urls.iter().map(String::as_str).collect();
    let Ok(Some(receipt)) = isr.invalidate_urls(&host, &targets, Mode::Soft).await else { return };
    let headers = response.headers_mut();
    let is_receipt = |cookie: &[u8]| {
        cookie.starts_with(RECEIPT_COOKIE.as_bytes()) && cookie.get(RECEIPT_COOKIE.len()) == Some(&b'=')
    };
    let others: Vec<_> =
        headers.get_all(SET_COOKIE).iter().filter(|cookie| !is_receipt(cookie.as_bytes())).cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in others {
        headers.append(SET_COOKIE, cookie);
    }
    headers.append(SET_COOKIE, receipt.cookie().clone());
}
