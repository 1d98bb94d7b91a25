//! A burst of edits: what is rendered for it, and what everyone sees in the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use edge_isr_axum::{App, Isr, IsrContext, IsrLayer, Limits, WrapRouter, tag};
use http::Request;
use http::header::{CACHE_STATUS, HOST};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::stock::{HOST_NAME, ROUTE, hire};
use edge_isr_bench::clock;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::page;
use edge_isr_bench::report::{Report, Unit};

const TAGS: u32 = 10;
const PAGES: u32 = 1_000;
const EDITS: u32 = 1_000;
const BETWEEN_EDITS: Duration = Duration::from_millis(2);
const BETWEEN_VISITS: Duration = Duration::from_millis(10);
const RENDER: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of one page.
#[derive(Debug, Default)]
struct Count {
    renders: AtomicU32,
    running: AtomicU32,
    most_running: AtomicU32,
    stale_hits: AtomicU32,
}

/// What the application knows: how often each tag was edited.
#[derive(Debug)]
struct Site {
    versions: Vec<AtomicU64>,
    counts: Vec<Count>,
}

impl Site {
    fn version_of(&self, page: u32) -> &AtomicU64 {
        &self.versions[(page % TAGS) as usize]
    }
}

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report
        .title("A burst: 1,000 soft invalidations of 10 tags within 2 s, 100 pages a tag, a worker running");
    report.note("A render takes 5 ms. One page in ten has a visitor every 10 ms while the burst lasts. A window ends after");
    report.note(format!(
        "{:?} of quiet, and after {:?}.\n",
        Limits::default().quiet,
        Limits::default().quiet_at_most
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let seen = runtime.block_on(burst())?;
    let is_visited = |page: &u32| is_visited(*page);
    let count = |page: u32| &seen.site.counts[page as usize];
    let renders = |page: u32| count(page).renders.load(SeqCst);
    report.row("the edits took", Unit::Millis.write(millis(seen.took)));
    report.row("windows of a tag, most", seen.windows.iter().max().copied().unwrap_or(0));
    let unvisited = || (0..PAGES).filter(|page| !is_visited(page));
    let of_all = |pages: &mut dyn Iterator<Item = u32>| pages.map(renders).sum::<u32>();
    report.row("renders of the 900 unvisited pages", of_all(&mut unvisited()));
    report.row("renders of the 100 visited pages", of_all(&mut (0..PAGES).filter(is_visited)));
    // How often each window of its tag it was rendered at the most.
    let beyond = |page: u32, allowed: u32| u64::from(renders(page).saturating_sub(allowed));
    let windows = |page: u32| seen.windows[(page % TAGS) as usize];
    let excess = unvisited().map(|page| beyond(page, windows(page))).max().unwrap_or(0);
    report.exactly("unvisited pages: renders beyond one a window, most", excess, 0);
    let stale = |page: u32| windows(page) + count(page).stale_hits.load(SeqCst);
    let excess = (0..PAGES).filter(is_visited).map(|page| beyond(page, stale(page))).max().unwrap_or(0);
    report.exactly("visited: beyond one a window and one a stale hit, most", excess, 0);
    let running = (0..PAGES).map(|page| count(page).most_running.load(SeqCst)).max().unwrap_or(0);
    report.exactly("renders of one page at once, most", running.into(), 1);
    report.exactly("pages that everyone sees as the last edit made them", seen.last, PAGES.into());
    report.row("from the last edit until all of them are rendered", Unit::Millis.write(millis(seen.settled)));
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const fn is_visited(page: u32) -> bool {
    // Ten of each tag.
    (page / TAGS).is_multiple_of(10)
}

/// What was seen of a burst.
struct Seen {
    site: Arc<Site>,
    /// Of each tag.
    windows: Vec<u32>,
    took: Duration,
    settled: Duration,
    last: u64,
}

async fn burst() -> Outcome<Seen> {
    let site = Arc::new(Site {
        versions: (0..TAGS).map(|_| AtomicU64::new(0)).collect(),
        counts: (0..PAGES).map(|_| Count::default()).collect(),
    });
    let isr = Isr::builder().build()?;
    let router = Router::new().route(ROUTE, get(render)).with_state(Arc::clone(&site));
    let app = IsrLayer::around(&isr).route(ROUTE, page::policy(), ()).build()?.wrap(router);
    for page in 0..PAGES {
        ask(&app, page).await?;
    }
    isr.idle().await;
    site.counts.iter().for_each(|count| count.renders.store(0, SeqCst));
    let worker = hire(&isr, app.clone()).await;
    let mut visitors = JoinSet::new();
    for page in (0..PAGES).filter(|page| is_visited(*page)) {
        visitors.spawn(visit(app.clone(), page, Arc::clone(&site)));
    }
    let start = clock::now();
    let edits = edit(&isr, &site).await?;
    let took = start.elapsed();
    visitors.shutdown().await;
    let end = clock::now();
    tokio::time::timeout(PATIENCE, isr.idle()).await.map_err(|_| "the worker did not come to an end")?;
    let settled = end.elapsed();
    let mut last = 0;
    for page in 0..PAGES {
        let (body, is_stale) = ask(&app, page).await?;
        let version = site.version_of(page).load(SeqCst);
        last += u64::from(!is_stale && body == version.to_string());
    }
    isr.shutdown(PATIENCE).await;
    worker.await?;
    Ok(Seen { site, windows: edits.iter().map(|edits| windows(edits)).collect(), took, settled, last })
}

/// Edits the tags in turn, and says when each was edited.
async fn edit(isr: &Isr, site: &Site) -> Outcome<Vec<Vec<Instant>>> {
    let graph = isr.graph();
    let mut edits = vec![Vec::new(); TAGS as usize];
    let mut ticks = tokio::time::interval(BETWEEN_EDITS);
    for nth in 0..EDITS {
        ticks.tick().await;
        // First the commit, then the call.
        site.version_of(nth).fetch_add(1, SeqCst);
        graph.revalidate_by_tags([tag("list", nth % TAGS)]).await?;
        edits[(nth % TAGS) as usize].push(clock::now());
    }
    Ok(edits)
}

/// How many windows the edits of a tag make.
fn windows(edits: &[Instant]) -> u32 {
    let limits = Limits::default();
    let (mut windows, mut began, mut last) = (0, None, None);
    for &edit in edits {
        let is_over =
            |since: Option<Instant>, most| since.is_none_or(|since| edit.duration_since(since) >= most);
        if is_over(last, limits.quiet) || is_over(began, limits.quiet_at_most) {
            windows += 1;
            began = Some(edit);
        }
        last = Some(edit);
    }
    windows
}

async fn render(Path(page): Path<u32>, State(site): State<Arc<Site>>, context: IsrContext) -> String {
    let count = &site.counts[page as usize];
    count.renders.fetch_add(1, SeqCst);
    let running = count.running.fetch_add(1, SeqCst) + 1;
    count.most_running.fetch_max(running, SeqCst);
    context.add_tags([tag("list", page % TAGS)]);
    let version = site.version_of(page).load(SeqCst);
    tokio::time::sleep(RENDER).await;
    count.running.fetch_sub(1, SeqCst);
    version.to_string()
}

async fn visit(app: App, page: u32, site: Arc<Site>) {
    let mut ticks = tokio::time::interval(BETWEEN_VISITS);
    loop {
        ticks.tick().await;
        if let Ok((_, true)) = ask(&app, page).await {
            site.counts[page as usize].stale_hits.fetch_add(1, SeqCst);
        }
    }
}

/// The body, and whether it was invalidated.
async fn ask(app: &App, page: u32) -> Outcome<(String, bool)> {
    let request = Request::get(format!("/posts/{page}")).header(HOST, HOST_NAME).body(Body::empty())?;
    let Ok::<_, Infallible>(response) = app.clone().call(request).await;
    if !response.status().is_success() {
        return Err(format!("page {page} answered {}", response.status()).into());
    }
    let status = response.headers().get(CACHE_STATUS).map_or(&b""[..], |value| value.as_bytes());
    let is_stale = status.windows(11).any(|word| word == b"invalidated");
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1024).await?;
    Ok((String::from_utf8(body.to_vec())?, is_stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_quiet_and_after_the_longest_wait() {
        let start = clock::now();
        let count = |millis: &[u64]| {
            windows(&millis.iter().map(|&at| start + Duration::from_millis(at)).collect::<Vec<_>>())
        };
        assert_eq!((count(&[]), count(&[0]), count(&[0, 199, 398])), (0, 1, 1));
        assert_eq!(count(&[0, 200, 399]), 2);
        let steady: Vec<u64> = (0..=50).map(|nth| nth * 100).collect();
        assert_eq!((count(&steady[..50]), count(&steady)), (1, 2));
    }
}
