//! The applications that are measured, filled with their pages and ready to be asked.

use axum::Router;
use axum::routing::{MethodRouter, get};
use edge_isr_axum::{Compression, Isr, IsrExt, IsrLayer, Limits, TagHeader, WrapRouter, tag};
use http::header::{CACHE_STATUS, CONTENT_ENCODING, ETAG, HeaderName, HeaderValue};
use http::{StatusCode, response};
use tower_layer::Layer;

use crate::floor::Floor;
use crate::harness::{Frames, Harness, Web, at_once, drive};
use crate::outcome::Outcome;
use crate::page::{self, Asking};
use crate::scenario::{App, Ask, Scenario};

/// Asks for these keys, one after the other.
pub type Runner = Box<dyn FnMut(&[u32])>;

/// The headers of a cached page's answer.
const HEADERS: usize = 8;

/// Puts an application together, fills it with the pages `0..keys`, and checks that it answers as it should.
pub fn runner(scenario: Scenario, keys: u32) -> Outcome<Runner> {
    let Scenario { app, kib, .. } = scenario;
    if app == App::Harness {
        return ready(Harness(page::body(kib, 0)), scenario, keys, None);
    }
    if app == App::Floor {
        return ready(Floor::new(kib, keys), scenario, keys, None);
    }
    let handler = handler(kib, app == App::Axum);
    if matches!(app, App::Axum | App::AxumSparse) {
        return ready(router(handler), scenario, keys, None);
    }
    let mut limits = Limits::default();
    limits.store_bytes = 1 << 30;
    // Off where it is not what is measured: nobody is to work for pages meanwhile.
    let compression = if app == App::Coded { Compression::new() } else { Compression::off() };
    let isr =
        Isr::builder().limits(limits).tag_header(TagHeader::SurrogateKey).compression(compression).build()?;
    let inside = IsrLayer::new(&isr).policy(page::policy()).tags(page::tags());
    let known = Some(isr.clone());
    match app {
        App::Around | App::Coded => ready(around(&isr)?.layer(router(handler)), scenario, keys, known),
        App::Wrapped => ready(around(&isr)?.wrap(router(handler)), scenario, keys, known),
        App::AroundEdge => {
            let outside = isr.edge().layer(around(&isr)?.wrap(router(handler)));
            ready(outside, scenario, keys, known)
        }
        App::Route => ready(router(handler.layer(inside)), scenario, keys, known),
        _ => ready(router(handler.layer(inside)).layer(isr.edge()), scenario, keys, known),
    }
}

/// The same page for every path below the first route, and 19 routes beside it.
pub fn router(handler: MethodRouter) -> Router {
    let beside = page::ROUTES.iter().skip(1);
    let router = beside.fold(Router::new().route(page::ROUTES[0], handler), |router, route| {
        router.route(route, get(|| async { "something else" }))
    });
    // As `axum::serve` does for each connection: without it axum puts a route's layers on anew for each request.
    router.with_state(())
}

/// The handler only hands out a body that is there: whatever a real one does would make the comparison easier.
pub fn handler(kib: usize, dressed: bool) -> MethodRouter {
    let body = page::body(kib, 0);
    if !dressed {
        return get(async move || (page::OWN_HEADERS, body.clone()));
    }
    let dress =
        page::DRESS.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    get(async move || (page::OWN_HEADERS, dress.clone(), body.clone()))
}

/// A table of all 20 routes.
pub fn around(isr: &Isr) -> Outcome<IsrLayer> {
    let table = page::ROUTES.iter().fold(IsrLayer::around(isr), |table, route| {
        let tags = if *route == page::ROUTES[0] { page::tags() } else { ().into() };
        table.route(route, page::policy(), tags)
    });
    Ok(table.build()?)
}

fn ready<S, B>(mut service: S, scenario: Scenario, keys: u32, isr: Option<Isr>) -> Outcome<Runner>
where
    S: Web<B> + 'static,
    S::Future: 'static,
    B: Frames + 'static,
{
    if let Some(isr) = &isr {
        fill(&mut service, isr, scenario, keys)?;
    }
    let (parts, _) = drive(&mut service, Asking::new(Ask::Plain, 1, None).build(0));
    let asking = Asking::new(scenario.ask, keys, parts.headers.get(ETAG).cloned());
    let (parts, body) = drive(&mut service, asking.build(0));
    check(scenario, &parts, body.len())?;
    let others =
        isr.filter(|_| matches!(scenario.ask, Ask::Invalidated | Ask::Invalidate)).map(|isr| isr.graph());
    Ok(Box::new(move |keys| {
        for &key in keys {
            if let Some(graph) = &others {
                // What it answers is the same for both; the difference of the two is the hit.
                drop(at_once(graph.revalidate_by_tags([tag("other", 1)])));
            }
            if scenario.ask != Ask::Invalidate {
                std::hint::black_box(drive(&mut service, asking.build(key)));
            }
        }
    }))
}

/// Renders need a runtime; hits do not.
fn fill<S: Web<B>, B: Frames>(service: &mut S, isr: &Isr, scenario: Scenario, keys: u32) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let ask = if scenario.app == App::Coded { Ask::Coding } else { Ask::Plain };
    let asking = Asking::new(ask, keys, None);
    runtime.block_on(async {
        for key in 0..keys {
            while service
                .poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()))
                .is_pending()
            {}
            let Ok(_) = service.call(asking.build(key)).await;
            // What was asked for compressed is by now.
            isr.idle().await;
        }
    });
    Ok(())
}

/// A benchmark of the wrong answer would be worse than none.
fn check(scenario: Scenario, parts: &response::Parts, len: usize) -> Outcome {
    let (status, sent) = match scenario.ask {
        Ask::Condition
            if !matches!(scenario.app, App::Harness | App::Floor | App::Axum | App::AxumSparse) =>
        {
            (StatusCode::NOT_MODIFIED, false)
        }
        // The harness and the floor know no methods.
        Ask::Head => (StatusCode::OK, matches!(scenario.app, App::Harness | App::Floor)),
        _ => (StatusCode::OK, true),
    };
    let is_coded = parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "br");
    let expected = match (is_coded, sent) {
        (true, true) => len.min(scenario.kib * 512),
        (false, true) => scenario.kib * 1024,
        (_, false) => 0,
    };
    let headers = match scenario.app {
        App::Harness => 0,
        App::Floor => 4,
        App::AxumSparse => 3,
        // Without what describes a body: its type, and perhaps its length, which axum's routes put back.
        _ if status == StatusCode::NOT_MODIFIED => parts.headers.len().clamp(HEADERS - 2, HEADERS - 1),
        _ => HEADERS + usize::from(is_coded),
    };
    let takes_codings = matches!(scenario.ask, Ask::Browser | Ask::Coding);
    if is_coded != (scenario.app == App::Coded && takes_codings) {
        return Err(format!("{scenario} answered with {:?}", parts.headers).into());
    }
    let is_hit = parts
        .headers
        .get(CACHE_STATUS)
        .is_some_and(|value| value.as_bytes().starts_with(b"edge-isr;hit;ttl="));
    // A bare axum that sets all headers sets that one too.
    let cached = !matches!(scenario.app, App::Harness | App::Floor | App::AxumSparse);
    if parts.status != status || len != expected || parts.headers.len() != headers || is_hit != cached {
        return Err(
            format!("{scenario} answered {} with {len} bytes and {:?}", parts.status, parts.headers).into()
        );
    }
    Ok(())
}
