//! The handler: reads items of data one after the other, others coming in between, and shows what it read.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::clock::Clock;
use edge_isr_tower::IsrContext;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Empty;
use tower_service::Service;

use crate::history::Event;
use crate::names::{Key, item_tag, page_of};
use crate::rng;
use crate::shown::Shown;
use crate::stage::{Gate, gate};
use crate::tally::Count;
use crate::world::{Aloft, World};

/// What a handler panics with; any other panic is a violation.
#[derive(Debug)]
pub(crate) struct Planned;

/// The application behind the layer.
#[derive(Debug, Clone)]
pub(crate) struct App(pub(crate) Arc<World>);

impl Service<Request<Empty<Bytes>>> for App {
    type Response = Response<Streamed>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let world = Arc::clone(&self.0);
        Box::pin(async move { Ok(render(world, request).await) })
    }
}

/// How a render ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Shown,
    Private,
    Fails,
    Panics,
    Hangs,
}

impl Fate {
    fn throw(world: &World) -> Self {
        if !world.shape.has_faults || world.is_over() {
            return Self::Shown;
        }
        match rng::below(24) {
            0 => Self::Private,
            1 | 2 => Self::Fails,
            3 => Self::Panics,
            // Only where time is at hand.
            4 if world.shape.is_exact => Self::Hangs,
            _ => Self::Shown,
        }
    }
}

async fn render(world: Arc<World>, request: Request<Empty<Bytes>>) -> Response<Streamed> {
    let context = request.extensions().get::<IsrContext>().cloned().unwrap_or_default();
    let tenant = context.tenant().and_then(|tenant| tenant.parse().ok()).unwrap_or(0);
    let Some(page) = page_of(request.uri().path()) else { return failed() };
    let key = Key { page, tenant, is_draft: context.is_draft() };
    let render = world.number();
    let record = |event| world.history.record(render, event);
    record(Event::Began { render, key });
    world.tally.add(Count::Renders);
    let aloft = world.fly(key);
    let fate = Fate::throw(&world);
    gate().await;

    let (mut items, mut late): (Vec<(usize, u64)>, Vec<usize>) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let item = next_item(page, &items, world.shape.items);
        if items.iter().any(|&(known, _)| known == item) {
            break;
        }
        let version = world.version(item);
        items.push((item, version));
        record(Event::Read { render, key, item, version });
        gate().await;
        if rng::one_in(2) {
            context.add_tags([item_tag(item)]);
            record(Event::Tagged { render, key, item });
        } else {
            late.push(item);
        }
    }
    match fate {
        Fate::Fails => {
            record(Event::Ended { render, key, how: "it fails" });
            return failed();
        }
        Fate::Panics => {
            record(Event::Ended { render, key, how: "it panics" });
            world.tally.add(Count::Panics);
            std::panic::resume_unwind(Box::new(Planned));
        }
        Fate::Hangs => {
            record(Event::Ended { render, key, how: "it hangs" });
            world.tally.add(Count::Hung);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return failed();
        }
        Fate::Shown | Fate::Private => {}
    }
    let last = Last { world, context, key, render, items, late, _aloft: aloft };
    let mut response = Response::new(Streamed { gate: gate(), last: Some(last) });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if fate == Fate::Private {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    response
}

/// What a page depends on depends on what it read before.
fn next_item(page: usize, read: &[(usize, u64)], items: usize) -> usize {
    let seen = read.iter().fold(page as u64, |seen, &(item, version)| seen * 7 + item as u64 + version);
    usize::try_from(seen).unwrap_or(page) % items
}

fn failed() -> Response<Streamed> {
    let mut response = Response::new(Streamed { gate: gate(), last: None });
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// What is still to be said when the body is polled.
#[derive(Debug)]
struct Last {
    world: Arc<World>,
    context: IsrContext,
    key: Key,
    render: u64,
    items: Vec<(usize, u64)>,
    late: Vec<usize>,
    _aloft: Aloft,
}

impl Last {
    fn say(self) -> Bytes {
        let Self { world, context, key, render, items, late, _aloft } = self;
        for item in late {
            context.add_tags([item_tag(item)]);
            world.history.record(render, Event::Tagged { render, key, item });
        }
        let at =
            u64::try_from(world.clock.now().since(edge_isr_core::clock::Moment::from_nanos(0)).as_nanos());
        world.history.record(render, Event::Ended { render, key, how: "its body is complete" });
        Bytes::from(Shown { key, render, at: at.unwrap_or(u64::MAX), items }.to_body())
    }
}

/// A body that others may come before, and that names its last tags while it streams.
#[derive(Debug)]
pub(crate) struct Streamed {
    gate: Gate,
    last: Option<Last>,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.last.is_none() {
            return Poll::Ready(None);
        }
        if Pin::new(&mut self.gate).poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.last.take().map(|last| Ok(Frame::data(last.say()))))
    }
}
