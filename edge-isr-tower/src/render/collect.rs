//! Collects an answer, up to the cap; on a gateway route only what comes at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::isr::exchange::Exchange;
use edge_isr_core::isr::stream::CHUNK_BYTES;
use edge_isr_core::model::{origin, storable};
use edge_isr_core::{BoxError, Reason};
use http::{Response, response};
use http_body::Body;

use super::frames::Frames;
use crate::body::{IsrBody, Rest};
use crate::inner::PageBody;
use crate::routes::Route;

/// How long the head of an answer that may be short waits for the end of its body: what comes as one costs less and
/// leaves with more in its head.
const A_MOMENT: Duration = Duration::from_millis(10);

/// How many frames are taken without a pause.
const A_STRETCH: usize = 64;

/// An answer that was collected, or that nobody collects.
pub(crate) enum Rendered<B> {
    Complete { parts: response::Parts, body: Vec<Bytes>, route: Arc<Route>, exchange: Option<Exchange> },
    Vetoed { response: Response<IsrBody<B>>, reason: Reason },
}

/// An answer, as far as it came at once.
pub(super) enum Begun<B> {
    Rendered(Box<Rendered<B>>),
    Arriving(Box<Arriving<B>>),
}

/// An answer of a gateway route whose head may be shared, and what has come of its body.
pub(super) struct Arriving<B> {
    pub(super) parts: response::Parts,
    pub(super) frames: Frames,
    pub(super) body: Pin<Box<B>>,
    pub(super) route: Arc<Route>,
    pub(super) exchange: Option<Exchange>,
    /// The length that is known before the body has come.
    pub(super) promised: Option<u64>,
    /// The most bytes of a page.
    pub(super) cap: u64,
}

/// How far a body came.
enum Gathered {
    Whole,
    /// There is more than was asked for.
    More,
    Broken(BoxError),
}

/// Collects all of an answer. One that has not come after this time, if there is one, is the visitor's alone.
pub(crate) async fn collect<B: PageBody>(
    answer: Response<B>,
    exchange: Option<Exchange>,
    route: &Arc<Route>,
    cap: usize,
    time: Option<Duration>,
) -> Rendered<B> {
    match Arriving::of(answer, exchange, route, cap) {
        Ok(mut arriving) => {
            let gathering = arriving.gather(arriving.cap);
            let gathered = match time {
                Some(time) => tokio::time::timeout(time, gathering).await.unwrap_or(Gathered::More),
                None => gathering.await,
            };
            arriving.rendered(gathered)
        }
        Err(vetoed) => *vetoed,
    }
}

/// Collects an answer, on a gateway route only for a moment.
pub(super) async fn begin<B: PageBody>(
    answer: Response<B>,
    exchange: Option<Exchange>,
    route: &Arc<Route>,
    cap: usize,
) -> Begun<B> {
    // A failure is shared as it is in the end.
    if exchange.is_none() || answer.status().is_server_error() {
        return Begun::Rendered(Box::new(collect(answer, exchange, route, cap, None).await));
    }
    let mut arriving = match Arriving::of(answer, exchange, route, cap) {
        Ok(arriving) => arriving,
        Err(vetoed) => return Begun::Rendered(vetoed),
    };
    let most = arriving.cap.min(CHUNK_BYTES as u64);
    let gathered = tokio::time::timeout(A_MOMENT, arriving.gather(most)).await;
    match gathered.unwrap_or(Gathered::More) {
        Gathered::More if !arriving.is_beyond(arriving.cap) => Begun::Arriving(Box::new(arriving)),
        gathered => Begun::Rendered(Box::new(arriving.rendered(gathered))),
    }
}

impl<B: PageBody> Arriving<B> {
    /// An error is an answer that is the leader's alone: nobody waits for a body that only one visitor gets.
    fn of(
        answer: Response<B>,
        exchange: Option<Exchange>,
        route: &Arc<Route>,
        cap: usize,
    ) -> Result<Self, Box<Rendered<B>>> {
        let (parts, body) = answer.into_parts();
        match judge(&parts, exchange.as_ref(), route) {
            Err(Reason::Status) if parts.status.is_server_error() => {}
            Err(reason) => {
                let response = Response::from_parts(parts, IsrBody::origin(body));
                return Err(Box::new(Rendered::Vetoed { response, reason }));
            }
            Ok(()) => {}
        }
        let cap = route.rules.max_body_bytes.unwrap_or(cap) as u64;
        let promised = promised(&parts, &body);
        let (frames, body, route) = (Frames::default(), Box::pin(body), Arc::clone(route));
        Ok(Self { parts, frames, body, route, exchange, promised, cap })
    }

    /// Takes frames until the body ends, or is known to be longer than this.
    async fn gather(&mut self, most: u64) -> Gathered {
        let mut taken = 0_usize;
        while !self.is_beyond(most) {
            // hyper and others may not poll a body of known length to its end.
            if self.body.is_end_stream() {
                return Gathered::Whole;
            }
            match std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)).await {
                None => return Gathered::Whole,
                Some(Ok(frame)) => {
                    // Trailers belong to the connection's answer, not to the page (RFC 9110 §6.5.1).
                    if let Ok(data) = frame.into_data() {
                        self.frames.push(data);
                    }
                }
                Some(Err(error)) => return Gathered::Broken(error.into()),
            }
            taken += 1;
            if taken.is_multiple_of(A_STRETCH) {
                // A body that is always ready would let nothing else run, time-outs too.
                tokio::task::yield_now().await;
            }
        }
        Gathered::More
    }

    fn is_beyond(&self, most: u64) -> bool {
        self.promised.unwrap_or(0).max(self.frames.len().saturating_add(self.body.size_hint().lower())) > most
    }

    fn rendered(self, gathered: Gathered) -> Rendered<B> {
        match gathered {
            Gathered::Whole => {
                let Self { parts, frames, route, exchange, .. } = self;
                Rendered::Complete { parts, body: frames.into_vec(), route, exchange }
            }
            Gathered::More => self.vetoed(Reason::TooLarge, Rest::Body),
            Gathered::Broken(error) => self.vetoed(Reason::Truncated, |_| Rest::Error(error)),
        }
    }

    /// The leader's alone: what has come of it, and the rest.
    pub(super) fn vetoed(self, reason: Reason, rest: impl FnOnce(Pin<Box<B>>) -> Rest<B>) -> Rendered<B> {
        let body = IsrBody::overflow(self.frames.into_vec(), rest(self.body));
        Rendered::Vetoed { response: Response::from_parts(self.parts, body), reason }
    }
}

/// Whether the head alone says that the answer is one visitor's own.
fn judge(parts: &response::Parts, exchange: Option<&Exchange>, route: &Route) -> Result<(), Reason> {
    match (&route.rules.origin, exchange) {
        (Some(obeys), Some(exchange)) => origin::terms(parts, &exchange.asked, obeys).map(drop),
        _ => storable::head(parts, &route.rules),
    }
}

/// The length of a body that says it before it has come, if head and body don't contradict each other.
fn promised<B: Body>(parts: &response::Parts, body: &B) -> Option<u64> {
    let hint = body.size_hint().exact();
    match storable::content_length(&parts.headers) {
        None => hint,
        Some(said) => said.filter(|said| hint.is_none_or(|hint| hint == *said)),
    }
}
