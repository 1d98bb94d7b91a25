//! Collects an answer, up to the cap.

use std::sync::Arc;

use bytes::Bytes;
use edge_isr_core::isr::exchange::Exchange;
use edge_isr_core::model::{origin, storable};
use edge_isr_core::{BoxError, Reason};
use http::Response;
use http_body::Body;

use crate::body::{IsrBody, Rest};
use crate::routes::Route;

/// An answer, as far as it was collected.
pub(crate) enum Rendered<B> {
    Complete { parts: http::response::Parts, body: Vec<Bytes>, route: Arc<Route>, exchange: Option<Exchange> },
    Vetoed { response: Response<IsrBody<B>>, reason: Reason },
}

pub(crate) async fn collect<B>(
    answer: Response<B>,
    exchange: Option<Exchange>,
    route: &Arc<Route>,
    cap: usize,
) -> Rendered<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = answer.into_parts();
    match judge(&parts, exchange.as_ref(), route) {
        Err(Reason::Status) if parts.status.is_server_error() => {}
        // Nobody waits for a body that only one visitor gets.
        Err(reason) => {
            let response = Response::from_parts(parts, IsrBody::origin(body));
            return Rendered::Vetoed { response, reason };
        }
        Ok(()) => {}
    }
    let cap = route.rules.max_body_bytes.unwrap_or(cap);
    let mut body = Box::pin(body);
    let mut frames = Vec::new();
    let mut len = 0_usize;
    let too_large = |len: usize, hint: u64| (len as u64).saturating_add(hint) > cap as u64;
    while !too_large(len, body.size_hint().lower()) {
        // hyper and others may not poll a body of known length to its end.
        if body.is_end_stream() {
            return Rendered::Complete { parts, body: frames, route: Arc::clone(route), exchange };
        }
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => {
                return Rendered::Complete { parts, body: frames, route: Arc::clone(route), exchange };
            }
            Some(Ok(frame)) => {
                // Trailers belong to the connection's answer, not to the page (RFC 9110 §6.5.1).
                if let Ok(data) = frame.into_data() {
                    len = len.saturating_add(data.len());
                    frames.push(data);
                }
            }
            Some(Err(error)) => {
                let body = IsrBody::overflow(frames, Rest::Error(error.into()));
                return Rendered::Vetoed {
                    response: Response::from_parts(parts, body),
                    reason: Reason::Truncated,
                };
            }
        }
    }
    let body = IsrBody::overflow(frames, Rest::Body(body));
    Rendered::Vetoed { response: Response::from_parts(parts, body), reason: Reason::TooLarge }
}

/// Whether the head alone says that the answer is one visitor's own.
fn judge(parts: &http::response::Parts, exchange: Option<&Exchange>, route: &Route) -> Result<(), Reason> {
    match (&route.rules.origin, exchange) {
        (Some(obeys), Some(exchange)) => origin::terms(parts, &exchange.asked, obeys).map(drop),
        _ => storable::head(parts, &route.rules),
    }
}
