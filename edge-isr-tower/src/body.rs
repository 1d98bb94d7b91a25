//! The body of an answer: a stored page's, the origin's own, one that is read while it is collected, or what was
//! collected before the cap and the rest.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use edge_isr_core::BoxError;
use edge_isr_core::isr::stream::Reader;
use edge_isr_core::model::page::Content;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

mod rest;

pub(crate) use rest::Rest;

pin_project! {
    /// The body of an answer.
    pub struct IsrBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Stored { content: Content },
        Origin { #[pin] body: B },
        Growing { reader: Option<Box<Reader>>, rest: Rest<B> },
        Overflow { collected: VecDeque<Bytes>, rest: Rest<B> },
    }
}

impl<B> IsrBody<B> {
    pub(crate) const fn stored(content: Content) -> Self {
        Self { kind: Kind::Stored { content } }
    }

    pub(crate) const fn empty() -> Self {
        Self::stored(Content::empty())
    }

    pub(crate) const fn origin(body: B) -> Self {
        Self { kind: Kind::Origin { body } }
    }

    /// A body that is still being collected, and what follows if it is too large for that.
    pub(crate) fn growing(reader: Reader, rest: Rest<B>) -> Self {
        Self { kind: Kind::Growing { reader: Some(Box::new(reader)), rest } }
    }

    pub(crate) fn overflow(collected: Vec<Bytes>, rest: Rest<B>) -> Self {
        Self { kind: Kind::Overflow { collected: collected.into(), rest } }
    }
}

impl<B> Body for IsrBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            // The first two are what hits are answered with: no call, and nothing to drop.
            KindProj::Stored { content: Content::One(bytes) } if bytes.is_empty() => Poll::Ready(None),
            KindProj::Stored { content: Content::One(bytes) } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            KindProj::Stored { content } => Poll::Ready(content.take().map(|bytes| Ok(Frame::data(bytes)))),
            KindProj::Origin { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Growing { reader, rest } => {
                if let Some(growing) = reader {
                    if let Some(chunk) = ready!(growing.poll_chunk(cx)) {
                        return Poll::Ready(Some(chunk.map(Frame::data).map_err(Into::into)));
                    }
                    // What was collected is kept no longer than it is needed.
                    *reader = None;
                }
                rest.poll_frame(cx)
            }
            KindProj::Overflow { collected, rest } => match collected.pop_front() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => rest.poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stored { content } => content.is_empty(),
            Kind::Origin { body } => body.is_end_stream(),
            Kind::Growing { reader, rest } => {
                reader.as_ref().is_none_or(|reader| reader.is_at_end()) && rest.is_over()
            }
            Kind::Overflow { collected, rest } => collected.is_empty() && rest.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stored { content } => SizeHint::with_exact(content.len() as u64),
            Kind::Origin { body } => body.size_hint(),
            Kind::Growing { reader, rest } => {
                match reader.as_ref().map_or(Some(0), |reader| reader.remaining()) {
                    Some(remaining) => rest.size_hint_after(remaining),
                    None => SizeHint::default(),
                }
            }
            Kind::Overflow { collected, rest } => {
                rest.size_hint_after(collected.iter().map(|bytes| bytes.len() as u64).sum())
            }
        }
    }
}

impl<B> fmt::Debug for IsrBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Stored { .. } => "IsrBody::Stored",
            Kind::Origin { .. } => "IsrBody::Origin",
            Kind::Growing { .. } => "IsrBody::Growing",
            Kind::Overflow { .. } => "IsrBody::Overflow",
        })
    }
}

/// A request body that may be empty: for servers whose own body has no default, such as hyper's `Incoming`.
///
/// The sanitised render needs an empty request body; map the server's body into this one below the layer.
///
/// ```
/// use edge_isr_tower::IsrRequestBody;
///
/// let request = http::Request::new("not Default in real life").map(IsrRequestBody::from);
/// # let _ = request;
/// ```
#[derive(Debug)]
pub struct IsrRequestBody<B>(Option<B>);

impl<B> Default for IsrRequestBody<B> {
    fn default() -> Self {
        Self(None)
    }
}

impl<B> From<B> for IsrRequestBody<B> {
    fn from(body: B) -> Self {
        Self(Some(body))
    }
}

impl<B: Body + Unpin> Body for IsrRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
