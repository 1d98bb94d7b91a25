//! Requests that need no more than an answer: nothing in them is about the connection.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Uri};

/// The most fields; a browser sends about fifteen.
const MOST_FIELDS: usize = 32;
/// What hyper, or the door, would have to act on.
const OF_THE_CONNECTION: [HeaderName; 4] = [CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE];

/// The plain request that bytes begin with, and how many bytes it takes; `None` for all that hyper had better see:
/// what is not whole, not of HTTP/1.1, not a `GET` for a path, or not well-formed.
pub(super) fn read(bytes: &[u8]) -> Option<(Parts, usize)> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; MOST_FIELDS];
    let mut asked = httparse::Request::new(&mut []);
    let parsed = asked.parse_with_uninit_headers(bytes, &mut fields).ok()?;
    let httparse::Status::Complete(taken) = parsed else { return None };
    let (Some("GET"), Some(target), Some(1)) = (asked.method, asked.path, asked.version) else { return None };
    if !target.starts_with('/') {
        return None;
    }
    // Fields share one copy, as hyper has them share its buffer.
    let head = Bytes::copy_from_slice(&bytes[..taken]);
    let shared = |part: &[u8]| {
        let at = part.as_ptr().addr() - bytes.as_ptr().addr();
        head.slice(at..at + part.len())
    };
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(shared(target.as_bytes())).ok()?;
    let headers = request.headers_mut();
    headers.reserve(asked.headers.len());
    for field in &*asked.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if OF_THE_CONNECTION.contains(&name) || name == CONNECTION && !is_usual(field.value) {
            return None;
        }
        headers.append(name, HeaderValue::from_maybe_shared(shared(field.value)).ok()?);
    }
    debug_assert_eq!(*request.method(), Method::GET);
    Some((request.into_parts().0, taken))
}

/// Whether a line of `Connection` says what is so anyway.
fn is_usual(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"keep-alive")
}
