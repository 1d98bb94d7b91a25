//! Requests that want nothing but an answer: nothing in them is about the connection.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Request, Uri};
use httparse::Status;

/// The most fields; a browser sends about fifteen.
const MOST_FIELDS: usize = 32;
/// What hyper or the door would have to act on.
const OF_THE_CONNECTION: [HeaderName; 4] = [CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE];

/// The head of a plain request: a `GET` of HTTP/1.1 for a path.
#[derive(Debug)]
pub(super) struct Plain {
    /// Its room is used again.
    parts: Parts,
}

impl Default for Plain {
    fn default() -> Self {
        Self { parts: Request::new(()).into_parts().0 }
    }
}

impl Plain {
    /// Reads the request that bytes begin with, and how many bytes it takes. `None` for all that hyper had better see:
    /// what is not plain, not well-formed, or not there in full.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(&Parts, usize)> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut asked = httparse::Request::new(&mut []);
        let parsed = asked.parse_with_uninit_headers(bytes, &mut fields).ok()?;
        let (Status::Complete(taken), Some("GET"), Some(1)) = (parsed, asked.method, asked.version) else {
            return None;
        };
        let target = asked.path.filter(|target| target.starts_with('/'))?;
        // One copy, of which all fields are parts.
        let head = Bytes::copy_from_slice(&bytes[..taken]);
        let part = |of: &[u8]| {
            let at = of.as_ptr().addr() - bytes.as_ptr().addr();
            head.slice(at..at + of.len())
        };
        self.parts.uri = Uri::from_maybe_shared(part(target.as_bytes())).ok()?;
        let headers = &mut self.parts.headers;
        headers.clear();
        for field in &*asked.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            if OF_THE_CONNECTION.contains(&name) || name == CONNECTION && !is_usual(field.value) {
                return None;
            }
            headers.append(name, HeaderValue::from_maybe_shared(part(field.value)).ok()?);
        }
        Some((&self.parts, taken))
    }

    /// Forgets the request, but not its room.
    pub(super) fn clear(&mut self) {
        self.parts.headers.clear();
        self.parts.uri = Uri::default();
    }
}

/// How many bytes of empty lines there are before anything else.
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(after) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Whether a line of `Connection` says what is so anyway.
fn is_usual(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"keep-alive")
}
