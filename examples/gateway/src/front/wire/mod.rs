//! The bytes of one connection on their way to and from hyper: time-outs, interim answers, and what
//! [`Framing`] refuses.
//!
//! A whole head that comes in one read costs one look at each of its lines and no look at a clock.

mod end;
mod protocol;
mod reading;
mod watch;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::Write;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::protocol::{PREFACE, Protocol};
pub(crate) use self::watch::Patience;
use self::watch::{Waiting, Watch};
use super::frames::Frames;
use super::framing::Framing;
use super::line::Line;

/// The most bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// What the client has said, as far as it is known.
#[derive(Debug)]
enum Speech {
    /// Nothing that shows whether it is HTTP/1 or HTTP/2.
    Unknown,
    Http1(Framing),
    Http2(Frames),
    /// Nothing more is heard, and the body in progress is cut off.
    Broken,
    /// Nothing more is heard.
    Refused,
}

/// A client's socket, as hyper sees it.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    io: T,
    line: Arc<Line>,
    speech: Speech,
    /// What the client is told, over HTTP/2.
    told: Frames,
    /// What was read to know the protocol.
    early: Bytes,
    watch: Watch,
    /// Whether bytes wait that the client does not take.
    is_stuck: bool,
    /// Whether what has been given to write was written.
    is_flushed: bool,
    interim: Bytes,
    /// Whether hyper waits for more bytes.
    is_awaited: bool,
    /// Whether the client says nothing more.
    has_left: bool,
    /// Whether hyper hears of that next, unless something is written before.
    is_leaving: bool,
    /// Nothing more is written.
    is_mute: bool,
    /// What may still be read, unlooked at, of a client that was refused.
    linger_bytes: usize,
    is_lingering: bool,
    /// Whether there was a request that asked for another protocol.
    was_held: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(crate) fn new(io: T, line: Arc<Line>, patience: Patience) -> Self {
        Self {
            io,
            line,
            speech: Speech::Unknown,
            told: Frames::of_server(),
            early: Bytes::new(),
            watch: Watch::new(patience),
            is_stuck: false,
            is_flushed: true,
            interim: Bytes::new(),
            is_awaited: false,
            has_left: false,
            is_leaving: false,
            is_mute: false,
            linger_bytes: 0,
            is_lingering: false,
            was_held: false,
        }
    }

    fn refuse(&mut self) {
        self.speech = Speech::Refused;
        self.watch.note_head();
        self.linger_bytes = end::LINGER_BYTES;
    }

    /// Nothing came. Has it taken too long?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_tunnel() {
            return Poll::Pending;
        }
        let for_head = match &self.speech {
            // While a head is in progress nothing else can be, but that nothing is read while writing is stuck.
            Speech::Http2(frames) => frames.is_in_head() && !self.is_stuck,
            // Who has said nothing has as long as who has begun.
            _ => self.is_free() && !self.is_in_body() && (self.has_begun() || self.watch.is_first()),
        };
        let for_client = self.is_stuck || self.is_in_body() && self.is_awaited || !self.line.is_in_service();
        let waiting = Waiting { for_head, for_client };
        ready!(self.watch.poll(cx, waiting));
        let is_idle = matches!(self.speech, Speech::Http2(_)) && self.is_free() && !for_head;
        if is_idle && self.line.call_over() {
            // hyper tells the client, which may just be asking something. It has as long again to leave.
            self.watch.begin_again();
            ready!(self.watch.poll(cx, waiting));
        }
        Poll::Ready(self.give_up(cx))
    }

    const fn is_unknown(&self) -> bool {
        matches!(self.speech, Speech::Unknown)
    }

    const fn is_broken(&self) -> bool {
        matches!(self.speech, Speech::Broken)
    }

    /// How many heads of HTTP/1 have been passed on, in full, unless what comes next is something else. From a request to
    /// upgrade on nobody knows: hyper remembers it, granted or not, and ends otherwise then.
    #[inline]
    pub(crate) fn heads(&self) -> Option<u64> {
        match &self.speech {
            Speech::Http1(framing) if !(framing.is_in_body() || self.was_held) => Some(framing.heads()),
            _ => None,
        }
    }

    /// Whether what comes next begins a request of HTTP/1.
    #[inline]
    pub(crate) fn is_between(&self) -> bool {
        matches!(&self.speech, Speech::Http1(framing) if framing.is_between())
    }

    /// Whether all that was asked has been answered.
    fn is_free(&self) -> bool {
        self.is_flushed && !self.line.is_in_service()
    }

    fn has_begun(&self) -> bool {
        matches!(&self.speech, Speech::Http1(framing) if framing.is_in_head()) && !self.line.is_tunnel()
    }

    fn is_in_body(&self) -> bool {
        matches!(&self.speech, Speech::Http1(framing) if framing.is_in_body()) && !self.line.is_tunnel()
    }

    /// Writes interim answers, where one may stand: between whole answers.
    fn write_interim(&mut self, cx: &mut Context<'_>, is_first: bool) -> Poll<io::Result<()>> {
        if self.line.has_interim() {
            let mut all = self.interim.to_vec();
            all.extend(self.line.take_interim(is_first));
            self.interim = all.into();
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written);
            self.watch.note_move();
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn before_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_mute {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !self.interim.is_empty() || self.is_flushed && self.line.has_interim() {
            ready!(self.write_interim(cx, true))?;
        }
        self.is_flushed = false;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                self.is_stuck = true;
                ready!(self.wait(cx))?;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            written @ Poll::Ready(_) => {
                (self.is_stuck, self.is_leaving) = (false, false);
                written
            }
        }
    }

    /// Notes what was written, but over HTTP/2 not what says nothing but that the connection is there.
    #[inline]
    fn note_written(&mut self, parts: &[io::IoSlice<'_>], written: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(mut left)) = *written else { return };
        if matches!(self.speech, Speech::Http2(_)) {
            for part in parts {
                let here = left.min(part.len());
                self.told.follow(&part[..here]);
                left -= here;
            }
            if !self.told.take_moved() {
                return;
            }
        }
        self.watch.note_move();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Write for Wire<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.before_write(cx))?;
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.note_written(&[io::IoSlice::new(bytes)], &written);
        this.after_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.before_write(cx))?;
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.note_written(parts, &written);
        this.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let was_flushed = std::mem::replace(&mut this.is_flushed, true);
        if this.line.has_interim() || !this.interim.is_empty() {
            ready!(this.write_interim(cx, was_flushed))?;
        }
        if this.has_left && !was_flushed {
            // hyper does not ask again by itself.
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, poll_fn};
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use hyper::rt::{Read as _, ReadBuf};
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::*;

    /// Reads, as hyper does, until the wire says that the client left.
    async fn read_to_end(wire: &mut Wire<tokio::io::DuplexStream>) {
        loop {
            let mut space = [MaybeUninit::uninit(); 1000];
            let mut read = ReadBuf::uninit(&mut space);
            poll_fn(|cx| Pin::new(&mut *wire).poll_read(cx, read.unfilled())).await.unwrap();
            if read.filled().is_empty() {
                return;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_to_leave_has_as_long_again() {
        let patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
        let (mut client, io) = tokio::io::duplex(1000);
        let line = Arc::new(Line::new(([127, 0, 0, 1], 1).into()));
        let mut wire = Wire::new(io, Arc::clone(&line), patience);
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        client.write_all(&[PREFACE, &settings].concat()).await.unwrap();
        let protocol = poll_fn(|cx| wire.poll_protocol(cx, 1000)).await.unwrap();
        assert_eq!(protocol, Some(Protocol::Http2));
        let mut told = None;
        let begin = Instant::now();
        let reading = read_to_end(&mut wire);
        tokio::pin!(reading);
        poll_fn(|cx| {
            line.register(cx.waker());
            let ended = reading.as_mut().poll(cx);
            if line.is_over() {
                told.get_or_insert_with(Instant::now);
            }
            ended
        })
        .await;
        let told = told.unwrap();
        assert!(told - begin >= patience.idle, "{:?}", told - begin);
        assert!(told.elapsed() >= patience.idle, "{:?}", told.elapsed());
    }
}
