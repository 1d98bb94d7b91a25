//! The doorman: outermost, it keeps our control headers for us, applies invalidation by response, and takes
//! back what something outside the page's layer made private.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use edge_isr_core::isr::RECEIPT_COOKIE;
use edge_isr_core::model::cache_control;
use edge_isr_core::model::cache_status::is_ours;
use edge_isr_core::model::page::keep_private;
use edge_isr_core::model::storable::is_targeted;
use edge_isr_core::{Isr, Mode};
use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, FORWARDED, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE,
};
use http::{Request, Response, Uri};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::origin::Ticket;
use crate::reading::{host_of, pairs};

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
        let isr = self.edge.isr.clone();
        let target = Target::of(&isr, &parts.uri, &parts.headers);
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
    if is_private_page(headers) {
        return;
    }
    if is_ours(headers, name) {
        keep_private(headers);
    }
}

/// A page whose own layer keeps it from shared caches, as it is for computed dimensions: browsers may hold on
/// to it and ask.
fn is_private_page(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CACHE_CONTROL).iter();
    let ours = lines.next().is_some_and(|line| line.as_bytes().starts_with(b"private, max-age="));
    ours && lines.next().is_none() && !headers.contains_key(SET_COOKIE) && !headers.keys().any(is_targeted)
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
    /// `uri` is the whole one, whatever a nested router has cut off.
    pub(crate) fn of(isr: &Isr, uri: &Uri, headers: &HeaderMap) -> Self {
        let host = host_of(isr, uri, headers).map(std::borrow::Cow::into_owned);
        let url = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { host, url }
    }
}

/// RFC 9111 §4.4: an unsafe method that succeeded invalidates its URL, and where `Location` and
/// `Content-Location` point on the same host. The visitor gets one receipt, the latest.
pub(crate) async fn after_unsafe<B>(isr: &Isr, target: Target, response: &mut Response<B>) {
    let status = response.status();
    let headers = response.headers_mut();
    let mut latest = None;
    if let Some(host) = target.host.filter(|_| status.is_success() || status.is_redirection()) {
        let mut urls = vec![target.url.clone()];
        for name in [LOCATION, CONTENT_LOCATION] {
            let reference = headers.get(name).and_then(|value| value.to_str().ok());
            urls.extend(reference.map(|reference| resolve(&target.url, reference)));
        }
        let targets: Vec<&str> = urls.iter().map(String::as_str).collect();
        let receipt = isr.invalidate_urls(&host, &targets, Mode::Soft).await.ok().flatten();
        latest = receipt.map(|receipt| receipt.cookie().clone());
    }
    keep_latest(isr, headers, latest);
}

/// Of several receipts a browser keeps the last one set; it gets the one of the highest sequence only.
fn keep_latest(isr: &Isr, headers: &mut HeaderMap, latest: Option<HeaderValue>) {
    let all: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    let (receipts, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| receipt_of(line).is_some());
    if latest.is_none() && receipts.len() < 2 {
        return;
    }
    headers.remove(SET_COOKIE);
    let latest = latest.or_else(|| receipts.into_iter().max_by_key(|line| isr.owed(receipt_of(line))));
    for line in others.into_iter().chain(latest) {
        headers.append(SET_COOKIE, line);
    }
}

/// The receipt that a `Set-Cookie` line sets, if it does.
fn receipt_of(line: &HeaderValue) -> Option<&[u8]> {
    let (name, value) = pairs(line.as_bytes()).next()?;
    (name == RECEIPT_COOKIE.as_bytes()).then_some(value)
}

/// Resolves a reference against the path and query of the request (RFC 3986 §5.2).
fn resolve(base: &str, reference: &str) -> String {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if reference.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return reference.to_owned();
    }
    if reference.starts_with("//") {
        return format!("http:{reference}");
    }
    let path = base.split('?').next().unwrap_or(base);
    if reference.is_empty() || reference.starts_with(['?', '#']) {
        return format!("{path}{reference}");
    }
    let (reference, rest) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let mut segments: Vec<&str> = match reference.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => path.split('/').skip(1).collect(),
    };
    segments.pop();
    let mut named = reference.strip_prefix('/').unwrap_or(reference).split('/').peekable();
    while let Some(segment) = named.next() {
        let is_last = named.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}{rest}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_rfc_3986_does() {
        for (reference, expected) in [
            ("http://h/x", "http://h/x"),
            ("//h/x", "http://h/x"),
            ("/x?y#z", "/x?y#z"),
            ("/x/../y/.", "/y/"),
            ("c", "/a/c"),
            ("./c?d", "/a/c?d"),
            ("../c", "/c"),
            ("../../c", "/c"),
            ("..", "/"),
            ("?z=http://h", "/a/b?z=http://h"),
            ("", "/a/b"),
            ("c/", "/a/c/"),
        ] {
            assert_eq!(resolve("/a/b?q", reference), expected, "{reference}");
        }
    }
}
