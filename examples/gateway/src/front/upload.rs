//! What a client sends along with its request, up to a bound.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a client's request.
#[derive(Debug)]
pub struct Upload {
    body: Incoming,
    /// How many bytes may still come.
    left: u64,
}

/// Why the body of a request ended before its end.
#[derive(Debug)]
pub enum UploadError {
    /// More than the bound.
    TooLarge,
    /// The client left, was too slow, or broke off.
    Broken(hyper::Error),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the request's body is larger than `limits.request_body_bytes`"),
            Self::Broken(_) => f.write_str("the client's body broke off"),
        }
    }
}

impl std::error::Error for UploadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge => None,
            Self::Broken(error) => Some(error),
        }
    }
}

impl Upload {
    /// `bound`: zero for none. `None` when the body's stated length is above it.
    pub(super) fn new(body: Incoming, bound: u64) -> Option<Self> {
        let left = if bound == 0 { u64::MAX } else { bound };
        (body.size_hint().lower() <= left).then_some(Self { body, left })
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    /// Trailers are left out: nothing says what they may be.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let Ok(data) = frame.map_err(UploadError::Broken)?.into_data() else { continue };
            return Poll::Ready(Some(match self.left.checked_sub(data.len() as u64) {
                None => Err(UploadError::TooLarge),
                Some(left) => {
                    self.left = left;
                    Ok(Frame::data(data))
                }
            }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
