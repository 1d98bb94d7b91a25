//! 1,000 requests for one cold page at once.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use edge_isr_axum::{Isr, IsrLayer, Policy};
use http::Request;
use http::header::HOST;
use tower_service::Service;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::{Report, Unit};

const CLIENTS: u64 = 1_000;
const RENDER: Duration = Duration::from_millis(100);
const HANG_UP: Duration = Duration::from_millis(10);

/// What the handler did.
#[derive(Debug, Default)]
struct Handler {
    renders: AtomicU64,
    ended: Mutex<Option<Instant>>,
}

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("A stampede: 1,000 concurrent requests for one cold page, its handler takes 100 ms");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    for (title, hangs_up) in [("all stay", false), ("the first client hangs up at 10 ms", true)] {
        let (handler, answered, last) = runtime.block_on(stampede(hangs_up))?;
        let ended =
            handler.ended.lock().unwrap_or_else(PoisonError::into_inner).ok_or("the handler never ended")?;
        report.note(format!("{title}, the layer inside a route, a runtime of two threads"));
        report.exactly("  renders", handler.renders.load(Relaxed), 1);
        report.exactly("  requests answered with the page", answered, CLIENTS - u64::from(hangs_up));
        let after = float(u64::try_from(last.saturating_duration_since(ended).as_micros())?) / 1e3;
        report.at_most("  the last answer after the handler's end", after, 200.0, Unit::Millis);
    }
    Ok(())
}

/// The handler, how many were answered, and when the last of them was.
async fn stampede(hangs_up: bool) -> Outcome<(Arc<Handler>, u64, Instant)> {
    let handler = Arc::new(Handler::default());
    let known = Arc::clone(&handler);
    let page = move || {
        let handler = Arc::clone(&known);
        async move {
            handler.renders.fetch_add(1, Relaxed);
            tokio::time::sleep(RENDER).await;
            *handler.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
            "a page"
        }
    };
    let isr = Isr::builder().build()?;
    let layer = IsrLayer::new(&isr).policy(Policy::new());
    let app = Router::new().route("/posts/{id}", get(page).layer(layer)).with_state(());
    let first = tokio::spawn(ask(app.clone()));
    while handler.renders.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (1..CLIENTS).map(|_| tokio::spawn(ask(app.clone()))).collect();
    let mut asked = others;
    if hangs_up {
        tokio::time::sleep(HANG_UP).await;
        first.abort();
    } else {
        asked.push(first);
    }
    let (mut answered, mut last) = (0, clock::now());
    for client in asked {
        let (is_page, at) = client.await?;
        answered += u64::from(is_page);
        last = last.max(at);
    }
    Ok((handler, answered, last))
}

/// Whether the page came, and when.
async fn ask(mut app: Router) -> (bool, Instant) {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static("/posts/1");
    request.headers_mut().insert(HOST, http::HeaderValue::from_static("www.example.com"));
    let Ok::<_, Infallible>(response) = app.call(request).await;
    let is_ok = response.status().is_success();
    let body = axum::body::to_bytes(response.into_body(), 1024).await;
    (is_ok && body.is_ok_and(|body| *body == *b"a page"), clock::now())
}
