//! The road of a request that found no page to answer from: lead a render, or follow one, or go alone.

use std::sync::Arc;

use edge_isr_core::Reason;
use edge_isr_core::isr::flight::{Boarding, News, Outcome};
use edge_isr_core::isr::look_up::Miss;
use edge_isr_core::model::key::{CacheKey, KeyRef};
use edge_isr_core::model::page::Page;
use edge_isr_core::origin::Refilled;
use http::{Response, StatusCode, request};
use tokio::time::Instant;

use crate::body::IsrBody;
use crate::facts::RouteFacts;
use crate::inner::{Inner, PageBody, RequestBody};
use crate::origin::Ticket;
use crate::reading;
use crate::render::{self, Led, Order};
use crate::routes::Route;
use crate::service::Shared;
use crate::visitor::{Landed, Visitor, made};

/// How often a request begins or joins another flight because one was overtaken, abandoned or panicked.
const TRIES: usize = 3;

/// Begins a render of a page that is still fresh, unless one is in the air.
#[cold]
pub(crate) fn refresh_ahead<S, F, ReqBody, ResBody>(
    shared: &Arc<Shared<S, F>>,
    key: &KeyRef<'_>,
    route: &Arc<Route>,
    parts: &request::Parts,
    page: &Arc<Page>,
) where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    if refresh(shared, &shared.isr.own_key(key), route, parts, Some(Arc::clone(page))) {
        shared.isr.count(Reason::Ahead);
    }
}

/// Sees to it that one render of a page runs; whether it had to begin it.
pub(crate) fn refresh<S, F, ReqBody, ResBody>(
    shared: &Arc<Shared<S, F>>,
    key: &CacheKey,
    route: &Arc<Route>,
    parts: &request::Parts,
    prior: Option<Arc<Page>>,
) -> bool
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    if shared.isr.is_being_renewed(key) {
        return false;
    }
    let mut order = None;
    let boarding = shared.isr.board(key, 0, || {
        order.insert(Order::new(shared, key.clone(), route, parts).about(prior)).tags.clone()
    });
    let (Boarding::Lead(mut permit), Some(order)) = (boarding, order) else { return false };
    if order.has_credentials() {
        permit.keep_to_one();
    }
    drop(render::spawn(Arc::clone(shared), permit, order, false));
    true
}

/// Renders a page for a worker, whoever else may be waiting for it.
pub(crate) async fn refill<S, F, ReqBody, ResBody>(
    shared: Arc<Shared<S, F>>,
    order: Order,
    ticket: Ticket,
) -> Result<Response<IsrBody<ResBody>>, S::Error>
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let refilled = match shared.isr.board(&order.key, ticket.want(), || order.tags.clone()) {
        Boarding::Full => Refilled::Failed(Reason::Busy),
        Boarding::Lead(permit) => {
            let snapshot = permit.snapshot();
            match render::spawn(Arc::clone(&shared), permit, order, false).end().await {
                Led::Page(page, _) if page.status().is_server_error() => Refilled::Failed(Reason::Status),
                Led::Own(response, reason) if response.status().is_server_error() => Refilled::Failed(reason),
                Led::Page(..) | Led::Own(..) => Refilled::Done(snapshot),
                Led::Failed(_) => Refilled::Failed(Reason::RenderFailed),
                Led::Panicked(_) => Refilled::Failed(Reason::RenderPanicked),
                Led::TimedOut => Refilled::Failed(Reason::RenderTimeout),
                Led::Refused => Refilled::Failed(Reason::Busy),
                Led::Abandoned => Refilled::Failed(Reason::ShuttingDown),
            }
        }
        Boarding::Follow(follower) => {
            let snapshot = follower.snapshot();
            match follower.outcome().await {
                Outcome::Page(page) if page.status().is_server_error() => Refilled::Failed(Reason::Status),
                Outcome::Page(_) | Outcome::Unshareable(_) => Refilled::Done(snapshot),
                Outcome::Failed => Refilled::Failed(Reason::RenderFailed),
                Outcome::Panicked => Refilled::Failed(Reason::RenderPanicked),
                Outcome::TimedOut => Refilled::Failed(Reason::RenderTimeout),
                Outcome::Abandoned => Refilled::Failed(Reason::ShuttingDown),
            }
        }
    };
    ticket.answer(refilled);
    Ok(made(StatusCode::NO_CONTENT))
}

/// A request that found no page to answer from.
pub(crate) struct Asked {
    pub(crate) key: CacheKey,
    pub(crate) route: Arc<Route>,
    pub(crate) missed: Miss,
    pub(crate) parts: request::Parts,
    /// Why nobody else may share what comes of it, on a gateway route.
    pub(crate) alone: Option<Reason>,
}

/// Answers a visitor who found no page.
pub(crate) async fn answer<S, F, ReqBody, ResBody>(
    shared: Arc<Shared<S, F>>,
    asked: Asked,
) -> Result<Response<IsrBody<ResBody>>, S::Error>
where
    S: Inner<ReqBody, ResBody>,
    F: RouteFacts,
    ReqBody: RequestBody,
    ResBody: PageBody,
{
    let owed = shared.isr.owed(reading::receipt(&asked.parts.headers));
    let arrived = shared.isr.seq();
    let mut visitor = Visitor { shared, asked, owed, arrived, has_followed: false };
    if let Some(reason) = visitor.asked.alone {
        return visitor.alone(reason).await;
    }
    if visitor.asked.route.rules.origin.is_some()
        && visitor.asked.missed.prior.as_ref().is_some_and(|page| page.lifetime().fresh.is_zero())
    {
        // Each use is validated: to wait for another's would only take longer.
        return visitor.alone(Reason::NoCache).await;
    }
    if visitor.shared.isr.is_passed(&visitor.asked.key) {
        return visitor.alone(Reason::Pass).await;
    }
    let mut panicked = false;
    let mut why = visitor.asked.missed.reason;
    // For all the flights that this visitor follows, one after another.
    let mut patience = visitor.shared.isr.limits().collapse_wait;
    for _ in 0..TRIES {
        let isr = visitor.shared.isr.clone();
        let mut order = None;
        let boarding = isr.board(&visitor.asked.key, owed, || order.insert(visitor.order()).tags.clone());
        let landed = match boarding {
            Boarding::Lead(permit) => visitor.lead(permit, order).await?,
            Boarding::Full => Landed::Alone(Reason::Busy),
            Boarding::Follow(follower) => {
                visitor.has_followed = true;
                let since = Instant::now();
                let news = tokio::time::timeout(patience, visitor.hear(follower)).await;
                patience = patience.saturating_sub(since.elapsed());
                match news {
                    Ok(News::AtHead(at_head)) => visitor.at_head(&at_head),
                    Ok(News::Landed(outcome)) => visitor.follow(outcome, panicked),
                    Err(_) => visitor
                        .spare(Reason::CollapseTimeout)
                        .map_or(Landed::Alone(Reason::CollapseTimeout), Landed::Answer),
                }
            }
        };
        match landed {
            Landed::Answer(response) => return Ok(response),
            Landed::Alone(reason) => return visitor.alone(reason).await,
            Landed::Validate(page) => {
                visitor.asked.missed.prior = Some(page);
                return visitor.alone(Reason::NoCache).await;
            }
            Landed::Again(reason) => {
                visitor.reselect();
                panicked |= reason == Reason::RenderPanicked;
                why = reason;
            }
        }
    }
    visitor.alone(why).await
}
