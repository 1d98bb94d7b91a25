//! One render: a sanitised request, in a task of its own, with a time-out, a panic guard and a cap on the body.
//!
//! Clients only wait for it. A client that leaves takes nothing down.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use edge_isr_core::isr::admit::{Admitted, Sealed};
use edge_isr_core::isr::flight::{Outcome, Permit};
use edge_isr_core::model::page::Page;
use edge_isr_core::{Reason, WhenFull};
use futures_util::FutureExt;
use http::Response;
use http::header::HeaderMap;
use tokio::sync::oneshot;

use crate::body::{IsrBody, Rest};
use crate::context::IsrContext;
use crate::facts::RouteFacts;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::service::Shared;

mod collect;
mod exchange;
mod order;

pub(crate) use collect::{Rendered, collect};
pub(crate) use order::Order;

/// What the leader gets.
pub(crate) enum Led<B, E> {
    /// An answer for everyone; stored unless a reason says why not.
    Page(Arc<Page>, Option<Reason>),
    /// An answer for the leader alone.
    Own(Response<IsrBody<B>>, Reason),
    /// The inner service's error.
    Failed(E),
    /// The handler's panic.
    Panicked(Box<dyn Any + Send>),
    TimedOut,
    /// As many renders run as may, and the operator refuses more.
    Refused,
    /// Shut down.
    Abandoned,
}

/// Renders in a task of its own. What comes of it is shared through the permit, and told to the leader if
/// there still is one.
pub(crate) fn spawn<S, F, ReqBody, ResBody>(
    shared: Arc<Shared<S, F>>,
    permit: Permit,
    order: Order,
    for_visitor: bool,
) -> oneshot::Receiver<Led<ResBody, S::Error>>
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let (tell, told) = oneshot::channel();
    let veto = order.veto(&shared.isr);
    let said = Sealed { tags: order.tags.clone(), veto, ..Sealed::default() };
    let variants = Arc::clone(&order.route.variants);
    let context = IsrContext::begin(shared.isr.clone(), order.key.clone(), variants, said);
    tokio::spawn(async move {
        let isr = shared.isr.clone();
        let led = tokio::select! {
            led = run(&shared, permit, order, context, for_visitor) => led,
            // Dropping the render drops its permit, which releases those who wait.
            () = isr.aborted() => Led::Abandoned,
        };
        // A leader that has left needs no answer.
        let _ = tell.send(led);
    });
    told
}

async fn run<S, F, ReqBody, ResBody>(
    shared: &Shared<S, F>,
    mut permit: Permit,
    order: Order,
    context: IsrContext,
    for_visitor: bool,
) -> Led<ResBody, S::Error>
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let isr = &shared.isr;
    let limits = isr.limits();
    let _slot = match tokio::time::timeout(limits.collapse_wait, isr.render_slot()).await {
        Ok(Some(slot)) => Some(slot),
        Ok(None) => return Led::Abandoned,
        Err(_) if !for_visitor => match isr.render_slot().await {
            Some(slot) => Some(slot),
            None => return Led::Abandoned,
        },
        Err(_) if limits.when_full == WhenFull::Refuse => {
            isr.count(Reason::Busy);
            return Led::Refused;
        }
        // Waited long enough: a visitor is served, whatever the load.
        Err(_) => None,
    };
    isr.count_render();
    let inner = shared.inner();
    permit.begin(isr.now());
    let rendering = context.clone().scope(exchange::ask(isr, inner, &order, &context));
    let rendered =
        match tokio::time::timeout(limits.render_timeout, AssertUnwindSafe(rendering).catch_unwind()).await {
            Err(_) => {
                isr.fail(permit, Outcome::TimedOut);
                return Led::TimedOut;
            }
            Ok(Err(panic)) => {
                isr.fail(permit, Outcome::Panicked);
                return Led::Panicked(panic);
            }
            Ok(Ok(None)) => return Led::Abandoned,
            Ok(Ok(Some(Err(error)))) => {
                isr.fail(permit, Outcome::Failed);
                return Led::Failed(error);
            }
            Ok(Ok(Some(Ok(rendered)))) => rendered,
        };
    land(shared, permit, rendered, &context).await
}

/// Seals, judges, stores and tells those who wait.
async fn land<S, F, B, E>(
    shared: &Shared<S, F>,
    permit: Permit,
    rendered: Rendered<B>,
    context: &IsrContext,
) -> Led<B, E> {
    let isr = &shared.isr;
    let (parts, body, route, exchange) = match rendered {
        Rendered::Complete { parts, body, route, exchange } => (parts, body, route, exchange),
        Rendered::Vetoed { response, reason } => {
            context.seal();
            isr.refuse(&permit, response.status(), reason);
            let key = permit.key().clone();
            permit.finish(Outcome::Unshareable(reason));
            if !response.status().is_server_error() {
                isr.forget(&key).await;
            }
            return Led::Own(response, reason);
        }
    };
    let sealed = Sealed { exchange: exchange.map(Box::new), ..context.seal() };
    match isr.admit(&permit, &route.rules, parts, body, &sealed, |page| context.sealed_as(page)) {
        Admitted::Page(page, kept) => {
            let key = permit.key().clone();
            permit.finish(Outcome::Page(Arc::clone(&page)));
            if kept.is_none() {
                isr.pass_on(&key, &page).await;
            }
            Led::Page(page, kept)
        }
        Admitted::Vetoed(reason, parts, body) => {
            let key = permit.key().clone();
            permit.finish(Outcome::Unshareable(reason));
            if !parts.status.is_server_error() {
                isr.forget(&key).await;
            }
            let body = IsrBody::overflow(body, Rest::Nothing);
            Led::Own(Response::from_parts(*parts, body), reason)
        }
    }
}

/// Headers that only matter to the connection are gone by now; this is what the visitor's own answer keeps.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    if !headers.contains_key(http::header::CACHE_CONTROL) {
        headers.insert(http::header::CACHE_CONTROL, edge_isr_core::model::cache_control::PRIVATE);
    }
}
