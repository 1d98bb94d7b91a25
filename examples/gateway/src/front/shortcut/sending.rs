//! An answer on its way to the client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use edge_isr_core::isr::lines::Lines;
use edge_isr_core::model::page::Content;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use hyper::rt::Write;

/// The most room that a connection keeps for its next head.
const KEPT_BYTES: usize = 1 << 10;

/// An answer, as much of it as has not been written.
#[derive(Debug)]
pub(super) struct Sending {
    /// The head. Its room is used again.
    head: Vec<u8>,
    /// How much of it has been written.
    at: usize,
    piece: Bytes,
    content: Content,
}

impl Default for Sending {
    fn default() -> Self {
        Self { head: Vec::new(), at: 0, piece: Bytes::new(), content: Content::empty() }
    }
}

impl Sending {
    /// Begins with an answer to a `GET`. The last one has been written.
    pub(super) fn begin(&mut self, answer: &Lines<'_>) {
        debug_assert!(self.head.is_empty(), "one after the other");
        let (out, status, mut content) = (&mut self.head, answer.status(), answer.content());
        put_status(out, status);
        // A 304 may say the length that a 200 would have, and clients have waited for it (RFC 9110 §8.6).
        let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut says_length = !has_body;
        for (name, value) in answer.fields() {
            if name != CONTENT_LENGTH || !std::mem::replace(&mut says_length, true) {
                put_field(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        if !says_length {
            put_field(out, CONTENT_LENGTH.as_str().as_bytes(), content.len().to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.piece = content.take().unwrap_or_default();
        self.content = content;
    }

    /// Whether nothing is left of it.
    #[inline]
    pub(super) const fn is_over(&self) -> bool {
        self.head.is_empty()
    }

    /// Writes what is left of it. After an error that is nothing.
    pub(super) fn poll<W: Write + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let written = ready!(self.write(to, cx));
        (self.at, self.piece, self.content) = (0, Bytes::new(), Content::empty());
        self.head.clear();
        self.head.shrink_to(KEPT_BYTES);
        written?;
        Pin::new(to).poll_flush(cx)
    }

    fn write<W: Write + Unpin>(&mut self, to: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.at < self.head.len() || !self.piece.is_empty() {
            let parts = [IoSlice::new(&self.head[self.at..]), IoSlice::new(&self.piece)];
            let written = ready!(Pin::new(&mut *to).poll_write_vectored(cx, &parts))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(self.head.len() - self.at);
            self.at += of_head;
            self.piece.advance(written - of_head);
            if self.piece.is_empty() {
                self.piece = self.content.take().unwrap_or_default();
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn put_status(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
