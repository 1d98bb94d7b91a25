//! The body of a request on its way to the origin.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_tower::IsrRequestBody;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::failure::Failure;
use super::request::is_empty;
use crate::front::UploadError;

/// How long a client may keep a body waiting. The front gives up sooner, but of HTTP/2 it sees no single body.
const PATIENCE: Duration = Duration::from_secs(90);

/// What became of a body so far.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When some of it was sent last.
    moved: Instant,
    /// Whether the client has to say more before the origin can go on.
    waits: bool,
    is_whole: bool,
    failure: Option<Failure>,
}

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(State { moved: Instant::now(), waits: false, is_whole: false, failure: None }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the origin has had what it needs to go on. `None` while that is the client's to send.
    pub(super) fn is_origins_turn_since(&self) -> Option<Instant> {
        let state = self.lock();
        (!state.waits).then_some(state.moved)
    }

    /// Whether all of it was sent.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().is_whole
    }

    /// Why it ended before its end.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure
    }

    fn move_on(&self, is_whole: bool) {
        let mut state = self.lock();
        (state.moved, state.waits, state.is_whole) = (Instant::now(), false, is_whole);
    }

    fn fail(&self, error: &(dyn std::error::Error + 'static)) {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let failure = chain.fold(Failure::BodyBroken, |failure, error| {
            let is_large = matches!(error.downcast_ref(), Some(UploadError::TooLarge));
            let is_slow =
                error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut);
            if is_large {
                Failure::BodyTooLarge
            } else if is_slow {
                Failure::BodyTooSlow
            } else {
                failure
            }
        });
        self.lock().failure = Some(failure);
    }
}

/// The body of a request on its way to the origin.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: IsrRequestBody<B>,
    /// `None` where there is nothing to send.
    progress: Option<Arc<Progress>>,
    /// Runs while the client keeps it waiting.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    pub(super) fn new(body: IsrRequestBody<B>) -> Self {
        let progress = (!is_empty(&body)).then(|| Arc::new(Progress::new()));
        Self { body, progress, timer: None }
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }

    pub(super) fn empty() -> Self {
        Self { body: IsrRequestBody::default(), progress: None, timer: None }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(progress) = &this.progress else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            progress.lock().waits = true;
            let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
            ready!(timer.as_mut().poll(cx));
            let error = io::Error::from(io::ErrorKind::TimedOut);
            progress.fail(&error);
            return Poll::Ready(Some(Err(error.into())));
        };
        this.timer = None;
        let frame = frame.map(|frame| frame.map_err(Into::into));
        match &frame {
            Some(Err(error)) => progress.fail(&**error),
            // Nobody asks for more where the length is known.
            Some(Ok(_)) => {
                progress.move_on(this.body.is_end_stream() || this.body.size_hint().exact() == Some(0));
            }
            None => progress.move_on(true),
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A body that never comes.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let mut body = Outgoing::new(IsrRequestBody::from(Silent));
        let progress = body.progress().unwrap();
        assert!(progress.is_origins_turn_since().is_some());
        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        assert!(first.is_pending() && progress.is_origins_turn_since().is_none());
        let waiting = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let ended = tokio::time::timeout(PATIENCE * 2, waiting).await.unwrap();
        assert!(ended.unwrap().is_err());
        assert_eq!(progress.failure(), Some(Failure::BodyTooSlow));
    }
}
