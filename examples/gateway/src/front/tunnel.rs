//! What follows an upgrade: bytes, both ways, that are nobody's business here.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::house::House;
use super::line::Line;

/// How long a tunnel may be silent once all are to end: what has been said arrives, and nobody waits for more.
const QUIET: Duration = Duration::from_secs(1);
/// How often in a row nothing must have moved.
const STILL: u8 = 2;

/// The two ends of a tunnel, once they speak something else than HTTP.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) client: OnUpgrade,
    pub(super) origin: OnUpgrade,
}

/// Joins the two ends until one of them leaves, nothing moves for `idle` (and up to half of it more), or all are to end.
pub(super) async fn hold(ends: Ends, house: &House, line: &Line, idle: Duration) {
    let moved = AtomicBool::new(false);
    let mut joined = pin!(join(ends, &moved));
    let mut silence = Silence::new(idle);
    let mut is_told = false;
    poll_fn(|cx| {
        // Before the look, and each time: a waker wakes once.
        line.register(cx.waker());
        if house.is_closing() && !std::mem::replace(&mut is_told, true) {
            moved.store(false, Ordering::Relaxed);
            silence.begin(QUIET);
        }
        if house.is_closed() || joined.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        silence.poll(cx, &moved)
    })
    .await;
}

async fn join(ends: Ends, moved: &AtomicBool) {
    let Ok((client, origin)) = futures_util::future::try_join(ends.client, ends.origin).await else { return };
    // Whatever moves passes this end.
    let mut client = Noted { io: TokioIo::new(client), moved };
    // Whoever leaves first ends it for both.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut TokioIo::new(origin)).await;
}

/// Looks now and then whether something moved.
struct Silence {
    timer: Pin<Box<Sleep>>,
    pace: Duration,
    still: u8,
}

impl Silence {
    fn new(bound: Duration) -> Self {
        let pace = bound / u32::from(STILL);
        Self { timer: Box::pin(tokio::time::sleep(pace)), pace, still: 0 }
    }

    fn begin(&mut self, bound: Duration) {
        self.pace = bound / u32::from(STILL);
        self.still = 0;
        self.timer.as_mut().reset(Instant::now() + self.pace);
    }

    /// Ready when nothing moved for too long.
    fn poll(&mut self, cx: &mut Context<'_>, moved: &AtomicBool) -> Poll<()> {
        while self.still < STILL {
            ready!(self.timer.as_mut().poll(cx));
            self.still = if moved.swap(false, Ordering::Relaxed) { 0 } else { self.still + 1 };
            self.timer.as_mut().reset(Instant::now() + self.pace);
        }
        Poll::Ready(())
    }
}

/// An end that leaves a note when bytes pass.
struct Noted<'a, T> {
    io: T,
    moved: &'a AtomicBool,
}

impl<T> Noted<'_, T> {
    fn note(&self, bytes: usize) {
        if bytes > 0 {
            self.moved.store(true, Ordering::Relaxed);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.note(buf.filled().len() - before);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.note(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_and_what_moves_does_not() {
        let (begin, moved) = (Instant::now(), AtomicBool::new(true));
        let mut silence = Silence::new(HOUR);
        for _ in 0..10 {
            let waited = tokio::time::timeout(HOUR / 2, poll_fn(|cx| silence.poll(cx, &moved))).await;
            assert!(waited.is_err(), "something moved");
            moved.store(true, Ordering::Relaxed);
        }
        poll_fn(|cx| silence.poll(cx, &moved)).await;
        let still = begin.elapsed() - HOUR * 5;
        assert!(HOUR <= still && still <= HOUR * 3 / 2, "{still:?}");
    }
}
