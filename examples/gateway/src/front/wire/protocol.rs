//! Which protocol a client speaks, by its first bytes.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{READ_BYTES, Speech, Wire};
use crate::front::frames::Frames;
use crate::front::framing::Framing;

/// What a client of HTTP/2 says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// Reads as much as shows which protocol the client speaks; hyper gets to read it all the same. `None` when it
    /// left, or took too long to say.
    pub(crate) fn poll_protocol(
        &mut self,
        cx: &mut Context<'_>,
        head_bytes: usize,
    ) -> Poll<io::Result<Option<Protocol>>> {
        let mut early = BytesMut::from(&*std::mem::take(&mut self.early));
        let protocol = loop {
            if !PREFACE.starts_with(&early[..early.len().min(PREFACE.len())]) {
                self.speech = Speech::Http1(Framing::new(head_bytes));
                break Some(Protocol::Http1);
            }
            if early.len() >= PREFACE.len() {
                self.speech = Speech::Http2(Frames::new());
                break Some(Protocol::Http2);
            }
            let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.early = early.freeze();
                    return self.wait(cx).map_ok(|()| None);
                }
            }
            if read.filled().is_empty() {
                break None;
            }
            early.extend_from_slice(read.filled());
        };
        self.early = early.freeze();
        Poll::Ready(Ok(protocol))
    }
}
