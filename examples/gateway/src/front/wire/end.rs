//! How a connection ends.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{READ_BYTES, Speech, Wire};

/// What is said to who takes too long with a head.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// The most that is read, unlooked at, from a client that has been refused, so that it reads why.
pub(super) const LINGER_BYTES: usize = 256 << 10;
/// For how long.
const LINGER: Duration = Duration::from_secs(1);

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// Ends the connection: with an answer where a head has begun, with an error where something is in progress.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let has_begun = self.has_begun() || self.is_unknown() && !self.early.is_empty();
        if has_begun && self.is_free() {
            // One try: the socket's buffer is empty, and who is this slow may miss it.
            let _ = Pin::new(&mut self.io).poll_write(cx, TOO_SLOW);
            self.line.call_too_slow();
            self.refuse();
            self.is_mute = true;
            return Ok(());
        }
        let is_idle = self.is_free() && !self.is_in_body();
        self.speech = Speech::Refused;
        if is_idle { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// Says that nothing more is written and, to a client that was refused, reads what it still sends: a socket
    /// that is closed with bytes unread takes back what was written last.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_in_body() || self.is_broken() {
            self.refuse();
        }
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        if self.linger_bytes > 0 && !std::mem::replace(&mut self.is_lingering, true) {
            self.watch.only(LINGER);
        }
        while self.linger_bytes > 0 {
            let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    self.linger_bytes = self.linger_bytes.saturating_sub(read.filled().len());
                }
                Poll::Pending if self.watch.poll_timer(cx).is_pending() => return Poll::Pending,
                _ => self.linger_bytes = 0,
            }
        }
        Poll::Ready(Ok(()))
    }
}
