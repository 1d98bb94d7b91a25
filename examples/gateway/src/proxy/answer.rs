//! The body of an answer on its way from the origin.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::BoxError;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::pool::{Lease, Pool};

/// The body of an answer: the origin's, or the gateway's own where there is none.
pub struct Answer<B>(Kind<B>);

enum Kind<B> {
    Made(Bytes),
    Origin(Box<Coming<B>>),
}

/// A body that is coming in.
struct Coming<B> {
    body: Incoming,
    /// Given back at the body's end.
    lease: Option<(Arc<Pool<B>>, Lease<B>)>,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer counts from the last part.
    is_timed: bool,
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    pub(super) const fn made(text: Bytes) -> Self {
        Self(Kind::Made(text))
    }

    /// `timeout`: the longest wait for the next part.
    pub(super) fn coming(body: Incoming, pool: Arc<Pool<B>>, lease: Lease<B>, timeout: Duration) -> Self {
        let lease = Some((pool, lease));
        let mut coming = Coming { body, lease, timeout, timer: None, is_timed: false };
        coming.end_if_ended();
        Self(Kind::Origin(Box::new(coming)))
    }
}

impl<B> Coming<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    fn end_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((pool, lease)) = self.lease.take() {
            pool.give_back(lease);
        }
    }

    /// Whether the next part takes too long.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !std::mem::replace(&mut self.is_timed, true) {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let coming = match &mut self.0 {
            Kind::Made(text) if text.is_empty() => return Poll::Ready(None),
            Kind::Made(text) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Kind::Origin(coming) => coming,
        };
        match Pin::new(&mut coming.body).poll_frame(cx) {
            Poll::Pending if coming.poll_timeout(cx).is_ready() => {
                coming.lease = None;
                Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                coming.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                coming.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(Some(Ok(frame))) => {
                coming.is_timed = false;
                coming.end_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Made(text) => text.is_empty(),
            Kind::Origin(coming) => coming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Made(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Origin(coming) => coming.body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for Answer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Made(_) => "Answer::Made",
            Kind::Origin(_) => "Answer::Origin",
        })
    }
}
