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
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite};

use self::plain::Plain;
use self::sending::Sending;
use super::house::House;
use super::line::Line;
use super::site::Site;
use super::wire::Wire;

/// The most bytes of a read: hyper has always room for as many, and heads are rarely longer.
const LOOK_BYTES: usize = 4 << 10;

/// A client's connection as hyper sees it, but for what is answered without hyper.
#[derive(Debug)]
pub(crate) struct Shortcut<T, A> {
    wire: Wire<T>,
    app: A,
    line: Arc<Line>,
    house: Arc<House>,
    plain: Plain,
    sending: Sending,
    /// What has been read and waits until the client has taken an answer of ours. It begins with a request.
    kept: Bytes,
    /// How many requests have been answered here.
    answered: u64,
    /// How many hyper has answered, to the last byte.
    flushed: u64,
}

impl<T: AsyncRead + AsyncWrite + Unpin, A: Site> Shortcut<T, A> {
    pub(crate) fn new(wire: Wire<T>, app: A, line: Arc<Line>, house: Arc<House>) -> Self {
        Self {
            wire,
            app,
            line,
            house,
            plain: Plain::default(),
            sending: Sending::default(),
            kept: Bytes::new(),
            answered: 0,
            flushed: 0,
        }
    }

    /// Whether all requests have been answered: nothing of one that came in full is in hyper's buffers.
    #[inline]
    fn is_free(&self) -> bool {
        self.wire.heads().is_some_and(|heads| heads == self.answered + self.flushed)
    }

    /// Writes what is left of an answer of ours.
    #[inline]
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sending.is_over() { Poll::Ready(Ok(())) } else { self.sending.poll(&mut self.wire, cx) }
    }

    /// Answers the plain requests that bytes begin with. How many bytes they took.
    fn answer(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut at = 0;
        loop {
            // hyper would keep empty lines until it hears of a request (RFC 9112 §2.2), which it may never do.
            at += plain::empty_lines(&bytes[at..]);
            if at == bytes.len() {
                break;
            }
            let begun = self.plain.read(&bytes[at..]).and_then(|(asked, taken)| {
                let begun = self.app.answer_at_once(asked, |answer| self.sending.begin(answer));
                begun.map(|()| taken)
            });
            self.plain.clear();
            let Some(taken) = begun else { break };
            at += taken;
            self.answered += 1;
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
                let is_free = this.is_free();
                if is_free && this.answered > 0 && this.house.is_closing() {
                    // hyper ends what it takes for idle; but it may not have heard of a request.
                    return Poll::Ready(Ok(()));
                }
                if !(is_free && this.wire.is_between()) {
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
                return Poll::Ready(Ok(()));
            }
            kept.clear();
        }
    }
}

/// hyper writes nothing while an answer of ours is being written: it was given nothing to answer meanwhile.
impl<T: AsyncRead + AsyncWrite + Unpin, A: Site> Write for Shortcut<T, A> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        debug_assert!(this.sending.is_over());
        Pin::new(&mut this.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        debug_assert!(this.sending.is_over());
        Pin::new(&mut this.wire).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write, and before it shuts down.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.sending.is_over() {
            ready!(this.poll_sent(cx))?;
            // Nothing was read meanwhile.
            cx.waker().wake_by_ref();
        }
        ready!(Pin::new(&mut this.wire).poll_flush(cx))?;
        this.flushed = this.line.done();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
