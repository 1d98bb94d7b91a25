//! The one form that requests have for everything behind the front, whatever form they came in.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use edge_isr_core::model::authority::{Scheme, normalize};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::refusal::Refusal;

/// The most fields of a head. Over HTTP/1 hyper counts them, with the same bound.
const MOST_FIELDS: usize = 100;

/// Whether the head leaves open if there is a body where none without a length may be, as with `Transfer-Encoding` over
/// HTTP/1: what a body of these is for nobody knows. Over HTTP/2 a request may end with a frame after its head.
#[inline]
pub(super) fn is_open(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_2
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.body().is_end_stream()
        && !request.headers().contains_key(CONTENT_LENGTH)
}

/// Whether there is a body, once that is known.
pub(super) fn poll_has_body(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<bool> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            // Trailers are left out.
            Some(Ok(frame)) if frame.data_ref().is_none_or(Bytes::is_empty) => {}
            frame => return Poll::Ready(frame.is_some()),
        }
    }
}

/// Checks a head, and gives it that form.
pub(super) fn settle(parts: &mut Parts) -> Result<(), Refusal> {
    if parts.version == Version::HTTP_2 {
        settle_http2(parts)?;
    }
    // What HTTP/2 always and a proxy's client may say: the host is named by the target (RFC 9112 §3.2.2).
    if parts.uri.authority().is_some() {
        into_origin_form(parts)?;
    }
    let is_target = parts.uri.path().starts_with('/') || parts.method == Method::OPTIONS;
    is_target.then_some(()).ok_or(Refusal::Target)
}

/// What hyper, or the follower of bytes, has seen to in requests of HTTP/1.
fn settle_http2(parts: &mut Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    if parts.uri.authority().is_none() && (hosts.next().is_none() || hosts.next().is_some()) {
        return Err(Refusal::Target);
    }
    join_cookies(&mut parts.headers);
    let is_told = parts.headers.contains_key(HOST);
    if parts.headers.len() + usize::from(!is_told) > MOST_FIELDS { Err(Refusal::Head) } else { Ok(()) }
}

/// Makes one line of the pieces that HTTP/2 may cut a cookie into (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Makes `Host` of a target's authority.
fn into_origin_form(parts: &mut Parts) -> Result<(), Refusal> {
    let scheme = parts.uri.scheme_str().and_then(Scheme::parse).ok_or(Refusal::Target)?;
    let authority = parts.uri.authority().ok_or(Refusal::Target)?;
    let named = normalize(authority.as_str(), scheme).ok_or(Refusal::Target)?;
    for told in parts.headers.get_all(HOST) {
        let told = spelled(told, scheme).ok_or(Refusal::Target)?;
        // The target beats it over HTTP/1 (RFC 9112 §3.2.2), and must say the same over HTTP/2 (RFC 9113 §8.3.1).
        if parts.version == Version::HTTP_2 && told != named {
            return Err(Refusal::Target);
        }
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::Target)?;
    parts.headers.insert(HOST, host);
    let target = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

/// A host in its one spelling.
fn spelled(host: &HeaderValue, scheme: Scheme) -> Option<Cow<'_, str>> {
    normalize(host.to_str().ok()?, scheme)
}
