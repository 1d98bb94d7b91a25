//! Answers of the gateway's own, to requests that go no further.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// The methods that go on to the origin, of those that have a name; others do, too.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// How a site words what the front refuses.
pub type Say = fn(StatusCode) -> Response<Bytes>;

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `CONNECT` asks for a tunnel, `TRACE` for what proxies add: neither is a site's business.
    Method,
    /// The request's target, or its host, is none.
    Target,
    /// A body where none belongs, of a length that nobody knows.
    Body,
    /// More fields than a head may have.
    Head,
    /// The request expects what nobody here knows.
    Expectation,
    /// More body than `limits.request_body_bytes`.
    BodyTooLarge,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target | Self::Body => StatusCode::BAD_REQUEST,
            Self::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The answer, in the site's own words where it has some. `closes`: whether it says that the connection ends with it, which HTTP/2 has no word for.
    pub(crate) fn answer(self, say: Option<Say>, closes: bool) -> Response<Bytes> {
        let mut response = say.unwrap_or(made)(self.status());
        if self == Self::Method {
            response.headers_mut().entry(ALLOW).or_insert(HeaderValue::from_static(METHODS));
        }
        if closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An answer of the gateway's own: a line of text that nobody stores.
pub(crate) fn made(status: StatusCode) -> Response<Bytes> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut response = Response::new(Bytes::from(format!("{} {reason}\n", status.as_str())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
