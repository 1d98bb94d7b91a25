//! What the client says, on its way to hyper.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{READ_BYTES, Speech, Wire};
use crate::front::framing::Fault;

/// What no head may contain, and what ends one: hyper answers 400 to it and closes.
const SPOILED: &[u8] = b"\0\r\n\r\n";

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// Passes bytes on to hyper, up to where a request begins that is refused, or something begins of which is not
    /// known yet whether it is a request. How many.
    fn pass(&mut self, bytes: &[u8], buf: &mut ReadBufCursor<'_>) -> io::Result<usize> {
        self.is_awaited = false;
        let mut end = bytes.len();
        match &mut self.speech {
            Speech::Http1(framing) if !self.line.is_tunnel() => {
                let (heads, was_in_body) = (framing.heads(), framing.is_in_body());
                match framing.follow(bytes) {
                    Ok(followed) => {
                        end = followed;
                        let has_ended = framing.heads() != heads;
                        if has_ended {
                            self.watch.note_head();
                            if framing.is_upgrade() {
                                self.was_held = true;
                                self.line.hold();
                            }
                        }
                        // Empty lines are nothing.
                        if has_ended || was_in_body || framing.is_in_head() {
                            self.watch.note_move();
                        }
                    }
                    Err(Fault::Body(at)) => {
                        self.speech = Speech::Broken;
                        buf.put_slice(&bytes[..at]);
                        // Nothing given is the end, to hyper.
                        return if at == 0 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(end) };
                    }
                    Err(Fault::Head(at)) => {
                        self.refuse();
                        buf.put_slice(&bytes[..at]);
                        buf.put_slice(SPOILED);
                        return Ok(end);
                    }
                }
            }
            Speech::Http2(frames) => {
                if frames.follow(bytes) {
                    self.watch.note_head();
                }
                // Who only says that the connection is there asks nothing and takes nothing.
                if frames.take_moved() {
                    self.watch.note_move();
                }
            }
            _ => self.watch.note_move(),
        }
        buf.put_slice(&bytes[..end]);
        Ok(end)
    }

    /// Whether what comes next may be a request or another protocol: whoever was asked has not said.
    fn is_held(&self) -> bool {
        self.line.is_held() && !self.is_in_body() && !self.line.is_tunnel()
    }

    /// The client says nothing more. hyper takes that for a client that left, and gives up at once what it asked last:
    /// so it hears of it a moment later, when what is stored has been answered and the client has taken it.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.has_left = true;
        if !self.is_flushed && !self.line.is_in_service() {
            // Room to write wakes the connection's task, and what was flushed then.
            return self.wait(cx);
        }
        if std::mem::replace(&mut self.is_leaving, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads no more than shows whether the client is still there.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            if let Poll::Ready(result) = Pin::new(&mut self.io).poll_read(cx, &mut read) {
                result?;
                if read.filled().is_empty() {
                    return self.poll_left(cx);
                }
                self.early = Bytes::copy_from_slice(read.filled());
            }
        }
        // The answer wakes the connection's task.
        self.wait(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Read for Wire<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.speech {
            Speech::Refused => return Poll::Ready(Ok(())),
            Speech::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Speech::Unknown | Speech::Http1(_) | Speech::Http2(_) => {}
        }
        if this.is_held() {
            return this.poll_held(cx);
        }
        let room = buf.remaining().saturating_sub(SPOILED.len()).clamp(1, READ_BYTES);
        if !this.early.is_empty() {
            let early = this.early.slice(..room.min(this.early.len()));
            let passed = this.pass(&early, &mut buf)?;
            this.early.advance(passed);
            return Poll::Ready(Ok(()));
        }
        let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space[..room]);
        match Pin::new(&mut this.io).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                let passed = this.pass(read.filled(), &mut buf)?;
                this.early = Bytes::copy_from_slice(&read.filled()[passed..]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => this.poll_left(cx),
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                this.is_awaited = true;
                this.wait(cx)
            }
        }
    }
}
