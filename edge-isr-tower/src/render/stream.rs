//! An answer of a gateway route that is sent while it is collected.
//!
//! If its head says how long it is, whoever waits or comes reads along. If not, the leader reads alone, and whoever
//! waits goes alone a moment later: by then most answers have ended. Either way the body becomes a page at its end.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::isr::admit::Sealed;
use edge_isr_core::isr::born::Born;
use edge_isr_core::isr::etag::Hash;
use edge_isr_core::isr::flight::{AtHead, Outcome, Permit, Streaming};
use edge_isr_core::isr::stream::{Broken, CHUNK_BYTES, Growing, Writer};
use edge_isr_core::{BoxError, Isr, Reason};
use futures_util::FutureExt;
use http::Response;
use http::header::ETAG;
use tokio::sync::oneshot;

use super::collect::Arriving;
use super::{Led, keep, land, veto};
use crate::body::{IsrBody, Rest};
use crate::context::IsrContext;
use crate::inner::PageBody;

/// How long those who wait wait on for the end of a body whose length is not known.
const A_WHILE: Duration = Duration::from_millis(250);

/// What the leader reads along.
pub(crate) struct Along<B> {
    pub(crate) streaming: Arc<Streaming>,
    pub(crate) rest: Rest<B>,
}

/// How a body ended.
enum Poured {
    Whole,
    /// It is longer than it may be.
    Beyond,
    Failed(BoxError),
    /// Nothing came for as long as a render may take.
    Stalled,
}

/// Sends an answer to the leader and those who may share it while it collects it, then stores it.
pub(super) async fn flow<B: PageBody, E>(
    isr: &Isr,
    permit: Permit,
    arriving: Arriving<B>,
    context: &IsrContext,
    passes: bool,
    leader: Option<oneshot::Sender<Along<B>>>,
) -> Led<B, E> {
    let promised = arriving.promised;
    let said = if promised.is_some() { context.seal() } else { context.so_far() };
    let exchange = arriving.exchange.clone().map(Box::new);
    let sealed = Sealed { exchange: exchange.clone(), ..said };
    let route = Arc::clone(&arriving.route);
    let page = match isr.open(&permit, &route.rules, arriving.parts.clone(), promised, &sealed) {
        Ok(page) => page,
        Err(reason) => return land(isr, permit, arriving.vetoed(reason, Rest::Body), context).await,
    };
    let Arriving { parts, frames, mut body, cap, .. } = arriving;
    let (writer, growing) = Growing::new(promised);
    let hash = (!parts.headers.contains_key(ETAG)).then(Hash::default);
    let mut basin = Basin { writer, hash };
    frames.into_vec().iter().for_each(|frame| basin.take(frame));
    basin.writer.show();
    let streaming = Arc::new(Streaming::new(page, growing));
    let status = parts.status;
    if passes && promised.is_none() {
        // Somebody else collects it.
        let along = Along { streaming, rest: Rest::Body(body) };
        drop(basin.writer.finish());
        permit.finish(Outcome::Unshareable(Reason::Pass));
        context.seal();
        leader.map(|leader| leader.send(along));
        return Led::Own(empty(status), Reason::Pass);
    }
    let (hand_over, later) = oneshot::channel();
    if let Some(leader) = leader {
        let rest = promised.map_or(Rest::Later(later), |_| Rest::Nothing);
        // One who has left needs no answer.
        drop(leader.send(Along { streaming: Arc::clone(&streaming), rest }));
    }
    if promised.is_some() {
        context.sealed_as(Born::of(streaming.page()));
        permit.announce(AtHead::Shared(Arc::clone(&streaming)));
    }
    drop(streaming);
    let pouring = pour(&mut body, &mut basin, promised.unwrap_or(cap), isr.limits().render_timeout);
    let pouring = context.clone().scope(AssertUnwindSafe(pouring).catch_unwind());
    let reason = match until_the_end(pouring, &permit, promised.is_some()).await {
        Ok(Poured::Whole) => match basin.writer.finish() {
            Ok(chunks) => {
                let said = if promised.is_some() { sealed } else { context.seal() };
                let sealed = Sealed { exchange, hash: basin.hash, ..said };
                return keep(isr, permit, &route, (parts, chunks), &sealed, context).await;
            }
            Err(_) => Reason::Truncated,
        },
        Ok(Poured::Beyond) if promised.is_none() => {
            // Before the end is told, so that the leader finds it there.
            drop(hand_over.send(body));
            drop(basin.writer.finish());
            Reason::TooLarge
        }
        Ok(Poured::Beyond) => Reason::Truncated,
        Ok(Poured::Failed(error)) => {
            basin.writer.break_off(Broken::by(error));
            Reason::Truncated
        }
        Ok(Poured::Stalled) => {
            isr.fail(permit, Outcome::TimedOut);
            return Led::TimedOut;
        }
        Err(panic) => {
            isr.fail(permit, Outcome::Panicked);
            return Led::Panicked(panic);
        }
    };
    context.seal();
    veto(isr, permit, empty(status), reason).await
}

/// Those who wait for an answer of unknown length are released if it takes longer than a while.
async fn until_the_end<T>(pouring: impl Future<Output = T>, permit: &Permit, is_shared: bool) -> T {
    let mut pouring = std::pin::pin!(pouring);
    if !is_shared {
        if let Ok(poured) = tokio::time::timeout(A_WHILE, &mut pouring).await {
            return poured;
        }
        permit.announce(AtHead::Undecided);
    }
    pouring.await
}

/// What a body is poured into.
struct Basin {
    writer: Writer,
    /// Made while it comes: that of a long body would hold up a thread at its end.
    hash: Option<Hash>,
}

impl Basin {
    fn take(&mut self, bytes: &[u8]) {
        self.writer.write(bytes);
        self.hash.iter_mut().for_each(|hash| hash.add(bytes));
    }
}

/// Takes a body as it comes, whoever reads how fast.
async fn pour<B: PageBody>(body: &mut Pin<Box<B>>, basin: &mut Basin, most: u64, idle: Duration) -> Poured {
    let mut breath = basin.writer.len();
    while basin.writer.len().saturating_add(body.size_hint().lower()) <= most {
        // hyper and others may not poll a body of known length to its end.
        if body.is_end_stream() {
            return Poured::Whole;
        }
        let frame = std::future::poll_fn(|cx| {
            let frame = body.as_mut().poll_frame(cx);
            if frame.is_pending() {
                basin.writer.show();
            }
            frame
        });
        match tokio::time::timeout(idle, frame).await {
            Err(_) => return Poured::Stalled,
            Ok(None) => return Poured::Whole,
            Ok(Some(Err(error))) => return Poured::Failed(error.into()),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    basin.take(&data);
                }
            }
        }
        if basin.writer.len() - breath >= CHUNK_BYTES as u64 {
            // A body that is always ready would let nobody read.
            breath = basin.writer.len();
            tokio::task::yield_now().await;
        }
    }
    Poured::Beyond
}

/// For those who only ask how it ended.
fn empty<B>(status: http::StatusCode) -> Response<IsrBody<B>> {
    let mut response = Response::new(IsrBody::empty());
    *response.status_mut() = status;
    response
}
