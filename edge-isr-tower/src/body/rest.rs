//! What follows the part of a body that was collected.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use edge_isr_core::BoxError;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

/// What follows the frames that were collected.
pub(crate) enum Rest<B> {
    Body(Pin<Box<B>>),
    /// Comes if the body turns out to be too large to be collected.
    Later(oneshot::Receiver<Pin<Box<B>>>),
    Error(BoxError),
    Nothing,
}

impl<B> Rest<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Self::Later(body) = self {
            *self = ready!(Pin::new(body).poll(cx)).map_or(Self::Nothing, Self::Body);
        }
        if let Self::Body(body) = self {
            return body.as_mut().poll_frame(cx).map_err(Into::into);
        }
        match std::mem::replace(self, Self::Nothing) {
            Self::Error(error) => Poll::Ready(Some(Err(error))),
            Self::Body(_) | Self::Later(_) | Self::Nothing => Poll::Ready(None),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Body(body) => body.is_end_stream(),
            Self::Later(_) | Self::Error(_) => false,
            Self::Nothing => true,
        }
    }

    /// How much it is, after so many bytes that were collected.
    pub(super) fn size_hint_after(&self, collected: u64) -> SizeHint {
        let rest = match self {
            Self::Body(body) => body.size_hint(),
            // The length that was promised is not known here, and will not be kept.
            Self::Later(_) | Self::Error(_) => SizeHint::default(),
            Self::Nothing => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(collected.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(collected.saturating_add(upper));
        }
        hint
    }
}
