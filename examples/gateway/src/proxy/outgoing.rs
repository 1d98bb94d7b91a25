//! The body of a request on its way to the origin.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_tower::IsrRequestBody;
use http_body::{Body, Frame, SizeHint};

use super::failure::Failure;
use crate::front::UploadError;

/// What became of a body so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    has_moved: AtomicBool,
    failure: AtomicU8,
}

impl Progress {
    /// Whether some of it was sent since this was last asked.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::Relaxed)
    }

    /// Why it ended before its end.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self.failure.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Failure::BodyTooLarge),
            2 => Some(Failure::BodyTooSlow),
            _ => Some(Failure::BodyBroken),
        }
    }

    fn fail(&self, error: &(dyn std::error::Error + 'static)) {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let code = chain.fold(3, |code, error| {
            let is_large = matches!(error.downcast_ref(), Some(UploadError::TooLarge));
            let is_slow =
                error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut);
            if is_large {
                1
            } else if is_slow {
                2
            } else {
                code
            }
        });
        self.failure.store(code, Ordering::Relaxed);
    }
}

/// The body of a request on its way to the origin.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: IsrRequestBody<B>,
    /// `None` where there is nothing to send.
    progress: Option<Arc<Progress>>,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    pub(super) fn new(body: IsrRequestBody<B>) -> Self {
        let progress = (!body.is_end_stream()).then(Arc::default);
        Self { body, progress }
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }

    pub(super) fn empty() -> Self {
        Self { body: IsrRequestBody::default(), progress: None }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map_err(Into::into));
        if let Some(progress) = &self.progress {
            match &frame {
                Some(Err(error)) => progress.fail(&**error),
                _ => progress.has_moved.store(true, Ordering::Relaxed),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.progress.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
