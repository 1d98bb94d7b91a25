//! A socket on which what is refused below the service is told as the service tells it.
//!
//! hyper answers what is no HTTP by itself, and the wire what takes too long: with a head and nothing more. Nobody
//! can tell them how, so the bytes are looked at. Only a listener for a few asks for that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::refusal::Say;

/// How a refusal begins, how it says that it has no body, and how its head ends.
const BEGIN: &[u8] = b"HTTP/1.1 4";
const EMPTY: &[u8] = b"\r\ncontent-length: 0\r\n";
const END: &[u8] = b"\r\n\r\n";

/// The socket.
#[derive(Debug)]
pub(super) struct Reworded<T> {
    io: T,
    say: Say,
    /// What is written in the place of as many bytes as `instead_of`.
    words: Bytes,
    instead_of: usize,
    /// Whether the client asked for a head alone.
    is_head: bool,
}

impl<T: AsyncWrite + Unpin> Reworded<T> {
    pub(super) const fn new(io: T, say: Say) -> Self {
        Self { io, say, words: Bytes::new(), instead_of: 0, is_head: false }
    }

    fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.words.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.words))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.words.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// The whole of a refusal, with a body.
    fn reword(&self, refusal: &[u8]) -> Option<Bytes> {
        let status = StatusCode::from_bytes(refusal.get(9..12)?).ok()?;
        let at = memmem::find(refusal, EMPTY)?;
        let said = (self.say)(status);
        let mut words = refusal[..at].to_vec();
        for (name, value) in said.headers() {
            words.extend([b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()].concat());
        }
        let length = said.body().len();
        words.extend(format!("\r\ncontent-length: {length}\r\n").bytes());
        words.extend(&refusal[at + EMPTY.len()..]);
        words.extend(said.body().iter().filter(|_| !self.is_head));
        Some(words.into())
    }
}

/// Where a refusal without a body begins, at the end of what is to be written: then the connection ends.
fn refusal_in(bytes: &[u8]) -> Option<usize> {
    let at = memmem::rfind(bytes, BEGIN)?;
    let head = &bytes[at..];
    let is_one = memmem::find(head, END)? + END.len() == head.len();
    (is_one && memmem::find(head, EMPTY).is_some()).then_some(at)
}

impl<T: AsyncRead + Unpin> AsyncRead for Reworded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        // Those who send heads in pieces may see a body where none belongs, at the connection's end.
        self.is_head = buf.filled()[before..].starts_with(b"HEAD ");
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Reworded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.words.is_empty() {
            match refusal_in(bytes) {
                Some(0) => self.words = self.reword(bytes).unwrap_or_default(),
                Some(before) => return Pin::new(&mut self.io).poll_write(cx, &bytes[..before]),
                None => {}
            }
            if self.words.is_empty() {
                return Pin::new(&mut self.io).poll_write(cx, bytes);
            }
            self.instead_of = bytes.len();
        }
        ready!(self.poll_words(cx))?;
        Poll::Ready(Ok(self.instead_of))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_words(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_words(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
