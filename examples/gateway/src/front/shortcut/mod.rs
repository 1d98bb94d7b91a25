//! The short way: what a look into the cache answers is answered here, below hyper, which costs more than the look.
//!
//! Everything that is not plain goes on to hyper byte for byte, and so does everything while hyper has something to do:
//! nothing is decided twice. What the client said has passed the [`Wire`] before, with its time-outs and refusals.

mod plain;
mod sending;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite};

use self::plain::Plain;
use self::sending::Sending;
use super::site::Site;
use super::wire::Wire;

/// The most bytes of a read: hyper has always room for as many, and heads are rarely longer.
const LOOK_BYTES: usize = 4 << 10;

/// A client's connection as hyper sees it, but for what is answered without hyper.
#[derive(Debug)]
pub(crate) struct Shortcut<T, A> {
    wire: Wire<T>,
    app: A,
    plain: Plain,
    sending: Sending,
    /// What has been read and waits until the client has taken an answer of ours. It begins with a request.
    kept: Bytes,
    /// Whether hyper was given bytes and has not flushed since, as it does when it has nothing left to write.
    is_hyper_at_work: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin, A: Site> Shortcut<T, A> {
    pub(crate) fn new(wire: Wire<T>, app: A) -> Self {
        Self {
            wire,
            app,
            plain: Plain::default(),
            sending: Sending::default(),
            kept: Bytes::new(),
            is_hyper_at_work: false,
        }
    }

    /// Whether a request that comes now may be answered here.
    #[inline]
    fn is_free(&self) -> bool {
        !self.is_hyper_at_work && self.wire.is_between()
    }

    /// Writes what is left of an answer of ours.
    #[inline]
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sending.is_over() { Poll::Ready(Ok(())) } else { self.sending.poll(&mut self.wire, cx) }
    }

    /// Answers the plain requests that bytes begin with. How many bytes they took.
    fn answer(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut at = 0;
        while at < bytes.len() {
            let Some((asked, taken)) = self.plain.read(&bytes[at..]) else { break };
            let begun = self.app.answer_at_once(asked, |answer| self.sending.begin(answer));
            self.plain.clear();
            if begun.is_none() {
                break;
            }
            at += taken;
            if let Poll::Ready(sent) = self.poll_sent(cx) {
                sent?;
            } else {
                self.kept = Bytes::copy_from_slice(&bytes[at..]);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(at))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, A: Site> Read for Shortcut<T, A> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        loop {
            let mut space = [MaybeUninit::<u8>::uninit(); LOOK_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            let mut kept = std::mem::take(&mut this.kept);
            if kept.is_empty() {
                if !this.is_free() {
                    this.is_hyper_at_work = true;
                    return Pin::new(&mut this.wire).poll_read(cx, buf);
                }
                ready!(Pin::new(&mut this.wire).poll_read(cx, read.unfilled()))?;
                if read.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            let bytes = if kept.is_empty() { read.filled() } else { &kept };
            let taken = ready!(this.answer(cx, bytes))?;
            if taken < bytes.len() {
                buf.put_slice(&bytes[taken..]);
                this.is_hyper_at_work = true;
                return Poll::Ready(Ok(()));
            }
            kept.clear();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, A: Site> Write for Shortcut<T, A> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.wire).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        this.is_hyper_at_work = false;
        Pin::new(&mut this.wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // An error ends it as well.
        let _ = ready!(this.poll_sent(cx));
        Pin::new(&mut this.wire).poll_shutdown(cx)
    }
}
