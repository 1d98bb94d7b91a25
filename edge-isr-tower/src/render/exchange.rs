//! Asking for an answer: once on a policy route; on a gateway route as the visitor asked, with the conditions of
//! a page that may have stayed as it was.

use std::sync::Arc;

use bytes::Bytes;
use edge_isr_core::isr::exchange::Exchange;
use edge_isr_core::model::origin::{Asked, validation};
use edge_isr_core::model::page::Page;
use edge_isr_core::{BoxError, Isr};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use tower::ServiceExt;

use super::collect::{Begun, Rendered, begin};
use super::order::Order;
use crate::context::IsrContext;
use crate::inner::{Inner, PageBody, RequestBody};

/// Asks the inner service and collects what it answers; `None` when the key holds something no request can carry.
pub(super) async fn ask<S, ReqBody, ResBody>(
    isr: &Isr,
    inner: S,
    order: &Order,
    context: &IsrContext,
) -> Option<Result<Begun<ResBody>, S::Error>>
where
    S: Inner<ReqBody, ResBody>,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let request = order.request::<ReqBody>(context.clone())?;
    if order.handed_on.is_none() {
        return Some(take(isr, inner.oneshot(request).await, order, None).await);
    }
    // The snapshot is taken: what is invalidated from now on makes the new page stale.
    let prior =
        order.prior().filter(|page| isr.may_ask_about(page)).map(|page| (page, page.stored_headers()));
    let Some((page, stored)) = prior.filter(|(_, stored)| validation::is_possible(stored)) else {
        return Some(send(isr, inner, order, request).await);
    };
    let mut asking = order.request::<ReqBody>(context.clone())?;
    validation::conditions(&stored, asking.headers_mut());
    let exchange = Pending::of(isr, asking.headers(), order);
    match inner.clone().oneshot(asking).await {
        Ok(answer) if answer.status() == StatusCode::NOT_MODIFIED => {
            if validation::is_about(&stored, answer.headers()) && isr.may_ask_about(page) {
                let rendered = unchanged(page, stored, &answer, exchange.answered(isr), order);
                return Some(Ok(Begun::Rendered(Box::new(rendered))));
            }
            // It speaks of something else (RFC 9111 §4.3.4): once more, for all of it.
            Some(send(isr, inner, order, request).await)
        }
        answer => Some(take(isr, answer, order, Some(exchange)).await),
    }
}

async fn send<S, ReqBody, ResBody>(
    isr: &Isr,
    inner: S,
    order: &Order,
    request: Request<ReqBody>,
) -> Result<Begun<ResBody>, S::Error>
where
    S: Inner<ReqBody, ResBody>,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let exchange = Pending::of(isr, request.headers(), order);
    let answer = inner.oneshot(request).await;
    take(isr, answer, order, Some(exchange)).await
}

async fn take<B, E>(
    isr: &Isr,
    answer: Result<Response<B>, E>,
    order: &Order,
    exchange: Option<Pending>,
) -> Result<Begun<B>, E>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let exchange = exchange.map(|pending| pending.answered(isr));
    Ok(begin(answer?, exchange, &order.route, isr.limits().body_bytes).await)
}

/// The stored page with what a 304 says of it (RFC 9111 §4.3.4).
fn unchanged<A, B>(
    page: &Arc<Page>,
    stored: HeaderMap,
    answer: &Response<A>,
    exchange: Exchange,
    order: &Order,
) -> Rendered<B> {
    let mut parts = Response::new(()).into_parts().0;
    parts.status = page.status();
    let confirmed = Some(Arc::clone(page));
    parts.headers = validation::merged(stored, answer.headers());
    let exchange = Some(Exchange { confirmed, ..exchange });
    Rendered::Complete {
        parts,
        body: page.content().into_pieces(),
        route: Arc::clone(&order.route),
        exchange,
    }
}

/// A request on its way.
struct Pending {
    headers: HeaderMap,
    has_authorization: bool,
    has_cookie: bool,
    is_narrowed: bool,
    sent: std::time::SystemTime,
}

impl Pending {
    fn of(isr: &Isr, headers: &HeaderMap, order: &Order) -> Self {
        let asked = order.handed_on.as_ref();
        Self {
            headers: headers.clone(),
            has_authorization: asked.is_some_and(|own| own.has_authorization),
            has_cookie: asked.is_some_and(|own| own.has_cookie),
            is_narrowed: asked.is_some_and(|own| own.is_narrowed),
            sent: isr.wall(),
        }
    }

    fn answered(self, isr: &Isr) -> Exchange {
        let Self { headers, has_authorization, has_cookie, is_narrowed, sent } = self;
        let asked = Asked { has_authorization, has_cookie, is_narrowed, sent, received: isr.wall() };
        Exchange { headers, asked, at: isr.now(), confirmed: None }
    }
}
