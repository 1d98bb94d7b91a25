//! One tag on a million pages: what the run after its invalidation holds, and whether it keeps its rate and order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use edge_isr_axum::{App, Isr, IsrContext, IsrLayer, Limits, Rate, WrapRouter, tag};
use http::Request;
use http::header::HOST;
use tower_service::Service;

use crate::histogram::Histogram;
use crate::hitter::Hitter;
use crate::stock::{HOST_NAME, ROUTE, hire, room_for};
use edge_isr_bench::clock;
use edge_isr_bench::harness::at_once;
use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::page;
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::resident;

const PAGES: u32 = 1_000_000;
/// Renders a second.
const RATE: u32 = 2_000;
/// So many pages have visitors, the n-th of them n.
const VISITED: u32 = 2_000;
const RUN: Duration = Duration::from_secs(25);
/// Hits are measured for so long before and after.
const QUIET: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_millis(20);

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("The run after one soft invalidation of a tag on 1,000,000 pages");
    report.note("Each page (16 bytes) is stored through the layer around an axum router. 2,000 of them are visited, the first");
    report.note("once and the last 2,000 times. The worker may begin 2,000 renders a second and is watched for 25 s, while");
    report.note(format!("another thread hits a page without the tag, before, during and after. Eight run at once.  edge-isr-bench renew {PAGES}\n"));
    let numbers = child(&["renew", &PAGES.to_string()])?;
    let get = |name: &str| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(float(numbers.get(name)?));
    report.row("resident before it", Unit::Mebibytes.write(get("resident")?));
    report.at_most("resident above that, most", get("growth")?, float(64 << 20), Unit::Mebibytes);
    report.row("until the first render begins", Unit::Millis.write(get("first")? / 1e3));
    report.row("renders begun a second", Unit::Plain.write(get("rate_mille")? / 1e3));
    let off = (get("rate_mille")? / 1e3 / f64::from(RATE) - 1.0).abs() * 100.0;
    report.at_most("off its rate by", off, 5.0, Unit::Percent);
    report.exactly(
        "of the first 2,008 renders: most visited pages",
        numbers.get("of_first")?,
        VISITED.into(),
    );
    report.at_most("places that one of them is off, most", get("off_place")?, 16.0, Unit::Plain);
    report.row("a hit before and after: 90 of 100", Unit::Micros.write(get("alone_p90")? / 1e3));
    report.row("a hit during the run: 90 of 100", Unit::Micros.write(get("during_p90")? / 1e3));
    report.at_most("hits' 90 of 100, during the run", get("ratio_mille")? / 1e3, 1.2, Unit::Times);
    Ok(())
}

/// What the application writes down of its renders.
#[derive(Debug, Default)]
struct Renders {
    is_watched: AtomicBool,
    begun: Mutex<Vec<(u32, Instant)>>,
}

/// Stores so many pages, invalidates them and watches the worker.
pub(crate) fn child_of(pages: u32) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let mut limits: Limits = room_for(4 << 30);
    limits.worker_rate = Some(Rate::per_second(RATE));
    let isr = Isr::builder().limits(limits).build()?;
    let renders = Arc::new(Renders::default());
    let router = Router::new().route(ROUTE, get(render)).with_state(Arc::clone(&renders));
    let app = IsrLayer::around(&isr).route(ROUTE, page::policy(), ()).build()?.wrap(router);
    runtime.block_on(fill(&app, pages))?;
    if isr.stats().pages != pages as usize {
        return Err(format!("{} pages are stored", isr.stats().pages).into());
    }
    let hitter = Hitter::start(&isr, runtime.handle(), 3)?;
    hitter.during(0, || std::thread::sleep(QUIET));
    renders.watch();
    let before = resident::bytes()?;
    let worker = runtime.block_on(hire(&isr, app));
    let start = clock::now();
    at_once(isr.graph().revalidate_by_tags([tag("list", "all")]))?;
    let most = hitter.during(1, || most_resident(start))?;
    worker.abort();
    let begun = renders.end();
    std::thread::sleep(SETTLE);
    hitter.during(2, || std::thread::sleep(QUIET));
    println!("resident {before}\ngrowth {}", most.saturating_sub(before));
    tell_of_renders(start, &begun, pages)?;
    tell_of_hits(&hitter.end()?);
    Ok(())
}

/// Stores the pages, then visits some: the n-th of them n times.
async fn fill(app: &App, pages: u32) -> Outcome {
    for page in 0..pages {
        ask(app, page).await?;
    }
    for nth in 0..VISITED {
        for _ in 0..=nth {
            ask(app, visited(nth, pages)).await?;
        }
    }
    Ok(())
}

/// The visited pages lie far apart, and in no order that anything is listed in.
fn visited(nth: u32, pages: u32) -> u32 {
    let spread = u64::from(nth + 1) * 499_979 % u64::from(pages);
    u32::try_from(spread).unwrap_or(0)
}

async fn render(
    Path(page): Path<u32>,
    State(renders): State<Arc<Renders>>,
    context: IsrContext,
) -> &'static str {
    if renders.is_watched.load(Relaxed) {
        lock(&renders.begun).push((page, clock::now()));
    }
    context.add_tags([tag("list", "all")]);
    "sixteen bytes, x"
}

async fn ask(app: &App, page: u32) -> Outcome {
    let request = Request::get(format!("/posts/{page}")).header(HOST, HOST_NAME).body(Body::empty())?;
    let Ok::<_, Infallible>(response) = app.clone().call(request).await;
    if !response.status().is_success() {
        return Err(format!("page {page} answered {}", response.status()).into());
    }
    Ok(())
}

/// The most that is resident while the run goes on.
fn most_resident(start: Instant) -> Outcome<u64> {
    let mut most = 0;
    while start.elapsed() < RUN {
        most = most.max(resident::bytes()?);
        std::thread::sleep(SAMPLE);
    }
    Ok(most)
}

fn tell_of_renders(start: Instant, begun: &[(u32, Instant)], pages: u32) -> Outcome {
    let (Some((_, first)), Some((_, last))) = (begun.first(), begun.last()) else {
        return Err("no render began".into());
    };
    let seconds = last.duration_since(*first).as_secs_f64();
    println!("first {}", first.duration_since(start).as_micros());
    println!("rate_mille {:.0}", float(begun.len() as u64 - 1) * 1e3 / seconds);
    let order: Vec<u32> = begun.iter().map(|(page, _)| *page).collect();
    // The most visited was visited last.
    let wanted = (0..VISITED).rev().map(|nth| visited(nth, pages));
    let places: HashMap<u32, usize> = wanted.enumerate().map(|(place, page)| (page, place)).collect();
    let off = |(at, page): (usize, &u32)| places.get(page).map(|place| place.abs_diff(at));
    // As many as are rendered at once may overtake each other on the way to the handler.
    let first = VISITED as usize + Limits::default().worker_renders;
    let found: Vec<usize> = order.iter().enumerate().take(first).filter_map(off).collect();
    println!("of_first {}\noff_place {}", found.len(), found.iter().max().copied().unwrap_or(0));
    Ok(())
}

fn tell_of_hits(times: &[Histogram]) {
    let [before, during, after] = [0, 1, 2].map(|phase| float(times[phase].per_mille(900)));
    println!("alone_p90 {:.0}\nduring_p90 {during}", (before + after) / 2.0);
    println!("ratio_mille {:.0}", during * 2e3 / (before + after));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Renders {
    /// Writes down what begins from now on.
    fn watch(&self) {
        // Room for all of it, resident before anything is measured.
        let mut begun = vec![(0, clock::now()); 2 * RATE as usize * RUN.as_secs() as usize];
        begun.clear();
        *lock(&self.begun) = begun;
        self.is_watched.store(true, Relaxed);
    }

    fn end(&self) -> Vec<(u32, Instant)> {
        self.is_watched.store(false, Relaxed);
        std::mem::take(&mut *lock(&self.begun))
    }
}
