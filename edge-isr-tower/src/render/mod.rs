//! One render: a sanitised request, in a task of its own, with a time-out, a panic guard and a cap on the body.
//!
//! Clients only wait for it. A client that leaves takes nothing down.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use edge_isr_core::isr::admit::{self, Admitted, Sealed};
use edge_isr_core::isr::flight::{Outcome, Permit};
use edge_isr_core::model::page::Page;
use edge_isr_core::{Isr, Reason, WhenFull};
use futures_util::FutureExt;
use http::header::HeaderMap;
use http::{Response, response};
use tokio::sync::oneshot;

use crate::body::{IsrBody, Rest};
use crate::context::IsrContext;
use crate::facts::RouteFacts;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::routes::Route;
use crate::service::Shared;

mod collect;
mod exchange;
mod frames;
mod order;
mod stream;

use self::collect::Begun;
pub(crate) use collect::{Rendered, collect};
pub(crate) use order::Order;
pub(crate) use stream::Along;

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

/// Marks an answer of the leader's own that is the stored page, which the origin said is still right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed;

/// What the leader waits for.
pub(crate) struct Leading<B, E> {
    head: oneshot::Receiver<Along<B>>,
    end: oneshot::Receiver<Led<B, E>>,
    /// The end, if it was there before the head was taken.
    led: Option<Led<B, E>>,
}

impl<B, E> Leading<B, E> {
    /// The end, or the head of an answer that can be read along. Told to visitors only.
    pub(crate) async fn first(&mut self) -> Result<Led<B, E>, Along<B>> {
        let led = tokio::select! {
            biased;
            led = &mut self.end => led.unwrap_or(Led::Abandoned),
            Ok(along) = &mut self.head => return Err(along),
        };
        match self.head.try_recv() {
            // However it ended, what came of it is the answer.
            Ok(along) if !matches!(led, Led::Page(..)) => {
                self.led = Some(led);
                Err(along)
            }
            _ => Ok(led),
        }
    }

    /// The end.
    pub(crate) async fn end(self) -> Led<B, E> {
        match self.led {
            Some(led) => led,
            None => self.end.await.unwrap_or(Led::Abandoned),
        }
    }
}

/// Renders in a task of its own. What comes of it is shared through the permit, and told to the leader if
/// there still is one.
pub(crate) fn spawn<S, F, ReqBody, ResBody>(
    shared: Arc<Shared<S, F>>,
    permit: Permit,
    order: Order,
    for_visitor: bool,
) -> Leading<ResBody, S::Error>
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let (tell, end) = oneshot::channel();
    let (show, head) = oneshot::channel();
    let veto = order.veto(&shared.isr);
    let said = Sealed { tags: order.tags.clone(), veto, ..Sealed::default() };
    let variants = Arc::clone(&order.route.variants);
    let context = IsrContext::begin(shared.isr.clone(), order.key.clone(), variants, said);
    tokio::spawn(async move {
        let isr = shared.isr.clone();
        let led = tokio::select! {
            led = run(&shared, permit, order, context, for_visitor.then_some(show)) => led,
            // Dropping the render drops its permit, which releases those who wait.
            () = isr.aborted() => Led::Abandoned,
        };
        // A leader that has left needs no answer.
        let _ = tell.send(led);
    });
    Leading { head, end, led: None }
}

async fn run<S, F, ReqBody, ResBody>(
    shared: &Shared<S, F>,
    mut permit: Permit,
    order: Order,
    context: IsrContext,
    visitor: Option<oneshot::Sender<Along<ResBody>>>,
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
        Err(_) if visitor.is_none() => match isr.render_slot().await {
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
    if order.handed_on.is_some() {
        permit.ask_as_visitor();
    }
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
    match rendered {
        Begun::Arriving(arriving) => {
            stream::flow(isr, permit, *arriving, &context, order.is_passed, visitor).await
        }
        Begun::Rendered(rendered) => land(isr, permit, *rendered, &context).await,
    }
}

/// Seals, judges, stores and tells those who wait.
async fn land<B, E>(isr: &Isr, permit: Permit, rendered: Rendered<B>, context: &IsrContext) -> Led<B, E> {
    let said = context.seal();
    match rendered {
        Rendered::Complete { parts, body, route, exchange } => {
            let sealed = Sealed { exchange: exchange.map(Box::new), ..said };
            keep(isr, permit, &route, (parts, body), &sealed, context).await
        }
        Rendered::Vetoed { response, reason } => veto(isr, permit, response, reason).await,
    }
}

/// Judges a whole answer, stores it and tells those who wait.
async fn keep<B, E>(
    isr: &Isr,
    permit: Permit,
    route: &Route,
    (parts, body): (response::Parts, Vec<Bytes>),
    sealed: &Sealed,
    context: &IsrContext,
) -> Led<B, E> {
    match isr.admit(&permit, &route.rules, parts, body, sealed, |page| context.sealed_as(page)) {
        Admitted::Page(page, kept) => {
            permit.finish(Outcome::Page(Arc::clone(&page)));
            if kept.is_none()
                && let Some(key) = page.key()
            {
                isr.pass_on(&key, &page).await;
            }
            Led::Page(page, kept)
        }
        Admitted::Vetoed(reason, mut parts, body) => {
            if sealed.is_confirmed() {
                parts.extensions.insert(Confirmed);
            }
            let (key, displaces) = (permit.key().clone(), admit::displaces(&permit, parts.status, reason));
            permit.finish(Outcome::Unshareable(reason));
            if displaces {
                isr.forget(&key).await;
            }
            let body = IsrBody::overflow(body, Rest::Nothing);
            Led::Own(Response::from_parts(*parts, body), reason)
        }
    }
}

/// Keeps what is one visitor's own from everybody else.
async fn veto<B, E>(isr: &Isr, permit: Permit, response: Response<IsrBody<B>>, reason: Reason) -> Led<B, E> {
    isr.refuse(&permit, response.status(), reason);
    let (key, displaces) = (permit.key().clone(), admit::displaces(&permit, response.status(), reason));
    permit.finish(Outcome::Unshareable(reason));
    if displaces {
        isr.forget(&key).await;
    }
    Led::Own(response, reason)
}

/// Headers that only matter to the connection are gone by now; this is what the visitor's own answer keeps.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    if !headers.contains_key(http::header::CACHE_CONTROL) {
        headers.insert(http::header::CACHE_CONTROL, edge_isr_core::model::cache_control::PRIVATE);
    }
}
