//! The one answer to a `POST` that is a page: it says for how long it is fresh, and that it is what a `GET` of the
//! same URL would get (RFC 9110 §9.3.3).

use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::isr::admit::{Admitted, Sealed};
use edge_isr_core::isr::exchange::Exchange;
use edge_isr_core::model::cache_status::{CacheStatus, Forward};
use edge_isr_core::model::conditional::Selection;
use edge_isr_core::model::origin::{Asked, is_stored_for_get};
use edge_isr_core::{Isr, Reason};
use http::header::{CONTENT_ENCODING, COOKIE};
use http::{HeaderMap, Method, Response, Uri, request};

use super::HandedOn;
use crate::body::{IsrBody, Rest};
use crate::context::IsrContext;
use crate::facts::RouteFacts;
use crate::inner::PageBody;
use crate::reading::Reading;
use crate::render::{Order, Rendered, collect};
use crate::service::Shared;
use crate::visitor::is_unlisted;

/// How long the head of such an answer waits for its body: one that takes longer is handed on as it comes.
const AT_ONCE: Duration = Duration::from_millis(250);

/// A `POST` on its way, whose answer may become the page of its URL.
pub(crate) struct Posted {
    order: Order,
    context: IsrContext,
    headers: HeaderMap,
    target: Uri,
    sent: std::time::SystemTime,
    /// The number of the last invalidation when it was sent.
    before: u64,
}

impl Posted {
    /// `None` where no answer could become a page.
    pub(crate) fn of<S, F: RouteFacts>(shared: &Shared<S, F>, parts: &request::Parts) -> Option<Self> {
        let (pattern, route) = shared.route(parts).ok()?;
        if parts.method != Method::POST || route.rules.origin.is_none() {
            return None;
        }
        let isr = &shared.isr;
        let reading = Reading::of(isr, &route.rules, pattern, F::uri(parts), parts).ok()?;
        let key = isr.own_key(&reading.key());
        let target = key.request()?.uri().clone();
        let order = Order::new(shared, key, route, parts);
        let HandedOn { headers, .. } = order.handed_on.as_ref()?;
        if parts.headers.contains_key(COOKIE) && !headers.contains_key(COOKIE) {
            // A later GET does not show the origin what this request did.
            return None;
        }
        let said = Sealed { tags: order.tags.clone(), ..Sealed::default() };
        let context =
            IsrContext::begin(isr.clone(), order.key.clone(), Arc::clone(&order.route.variants), said);
        let headers = headers.clone();
        Some(Self { order, context, headers, target, sent: isr.wall(), before: isr.seq() })
    }

    /// What the handler may say about the page that its answer may become.
    pub(crate) fn context(&self) -> IsrContext {
        self.context.clone()
    }

    /// Stores the answer if it may be. `own` is how many invalidations it led to itself: where others were made
    /// meanwhile, it may be older than they are.
    pub(crate) async fn keep<B: PageBody>(
        self,
        isr: &Isr,
        answer: Response<B>,
        own: u64,
    ) -> Result<Response<IsrBody<B>>, Response<IsrBody<B>>> {
        let (parts, body) = answer.into_parts();
        let Self { order, context, headers, target, sent, before } = self;
        let Some(obeys) = &order.route.rules.origin else { return Err(as_it_is(parts, body)) };
        let (has_authorization, has_cookie) =
            order.handed_on.as_ref().map_or((true, true), |own| (own.has_authorization, own.has_cookie));
        let asked = Asked { has_authorization, has_cookie, is_narrowed: false, sent, received: isr.wall() };
        // A later GET does not say which codings it takes.
        let is_encoded = isr.compresses() && parts.headers.contains_key(CONTENT_ENCODING);
        if is_encoded || !is_stored_for_get(&Method::POST, &target, &parts, &asked, obeys) {
            return Err(as_it_is(parts, body));
        }
        let permit = isr.solo(order.key.clone());
        if permit.snapshot().seq != before.saturating_add(own) {
            return Err(as_it_is(parts, body));
        }
        let exchange = Exchange { headers, asked, at: isr.now(), confirmed: None };
        let answer = Response::from_parts(parts, body);
        let (parts, body, exchange) =
            match collect(answer, Some(exchange), &order.route, isr.limits().body_bytes, Some(AT_ONCE)).await
            {
                Rendered::Complete { parts, body, exchange, .. } => (parts, body, exchange),
                Rendered::Vetoed { response, .. } => return Err(response),
            };
        let exchange = exchange.map(Box::new);
        let sealed = Sealed { exchange, ..context.seal() };
        match isr.admit(&permit, &order.route.rules, parts, body, &sealed, |page| context.sealed_as(page)) {
            Admitted::Page(page, kept) => {
                let status = CacheStatus {
                    forward: Some(Forward::Method),
                    status: Some(page.status().as_u16()),
                    stored: kept.is_none(),
                    detail: Some(kept.unwrap_or(Reason::Method)),
                    ..CacheStatus::default()
                };
                if kept.is_none()
                    && let Some(key) = page.key()
                {
                    isr.pass_on(&key, &page).await;
                }
                // Judged as it leaves: it may have been overtaken by now.
                let is_given = isr.hand_out(&page, 0, u64::MAX).is_ok_and(|given| !given.overtaken);
                let zero = !is_given || kept.is_some_and(is_unlisted);
                Ok(isr
                    .answer_as(page.shown(None), &Selection::Whole, isr.now(), status, zero)
                    .map(IsrBody::stored))
            }
            Admitted::Vetoed(_, parts, body) => {
                Err(Response::from_parts(*parts, IsrBody::overflow(body, Rest::Nothing)))
            }
        }
    }
}

fn as_it_is<B>(parts: http::response::Parts, body: B) -> Response<IsrBody<B>> {
    Response::from_parts(parts, IsrBody::origin(body))
}
