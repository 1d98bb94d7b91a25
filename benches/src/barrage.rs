//! Invalidations without end: what a call takes, what it does to hits, and what memory it holds.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use edge_isr_axum::{Graph, Isr, IsrContext, IsrLayer, Tag, WrapRouter, tag};
use http::Request;
use http::header::HOST;
use tokio::runtime::Runtime;
use tower_service::Service;

use crate::histogram::Histogram;
use crate::hitter::{Hitter, median};
use crate::stock::{HOST_NAME, hire};
use edge_isr_bench::clock;
use edge_isr_bench::harness::at_once;
use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::page;
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::resident;

const LISTS: &str = "/lists/{id}";
/// Invalidations a second.
const RATE: u64 = 100_000;
const LOADS: usize = 3;
const LOAD: Duration = Duration::from_secs(10);
/// Between calls that are sent as they are due.
const PAUSE: Duration = Duration::from_micros(100);
const QUIET: Duration = Duration::from_secs(3);
/// What a load leaves behind is done after so long.
const SETTLE: Duration = Duration::from_secs(2);
/// Tags that pages carry, ten pages each, and tags that nobody carries; they take turns.
const CARRIED: u32 = 1_000;
const UNKNOWN: u32 = 100_000;
const PAGES: u32 = 10_000;

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("A barrage: 100,000 soft invalidations a second, three times for 10 s, a worker running");
    report.note("One tag a call: in turn one of 1,000 that ten pages each carry, and one of 100,000 that nobody carries.");
    report.note("Another thread hits a page that carries none of them (16 KiB, 10 tags, around the router), with and without");
    report.note("the load in turn. `edge-isr-bench bombard`\n");
    let numbers = child(&["bombard"])?;
    let get = |name: &str| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(float(numbers.get(name)?));
    report.at_least("invalidations a second", get("rate")?, float(RATE) * 0.99, Unit::Plain);
    report.row("a call: median", Unit::Micros.write(get("call_median")? / 1e3));
    report.at_most("a call: 99 of 100", get("call_p99")? / 1e3, 100.0, Unit::Micros);
    report.row("a hit without the load: 90 of 100", Unit::Micros.write(get("alone_p90")? / 1e3));
    report.row("hits a second under it", Unit::Plain.write(get("hits")?));
    report.row(
        "a hit without and under it: median",
        format!("{:.2}, {:.2} us", get("alone_median")? / 1e3, get("under_median")? / 1e3),
    );
    report.row("a hit under it: 90 of 100", Unit::Micros.write(get("under_p90")? / 1e3));
    report.row("a hit under it: 99 of 100", Unit::Micros.write(get("under_p99")? / 1e3));
    report.at_most("hits' 90 of 100, under the load", get("ratio_mille")? / 1e3, 1.2, Unit::Times);
    report.row(
        "renders of the worker a second",
        Unit::Plain.write(get("renders")? / (float(LOADS as u64) * LOAD.as_secs_f64())),
    );
    report.row("resident before", Unit::Mebibytes.write(get("resident_before")?));
    report.row("resident after the first load", Unit::Mebibytes.write(get("resident_half")?));
    report.at_most("and by how much more after the last", get("growth")?, float(4 << 20), Unit::Mebibytes);
    report.row("accounted before", Unit::Mebibytes.write(get("accounted_before")?));
    report.at_most("accounted after, above it", get("accounted_growth")?, float(1 << 20), Unit::Mebibytes);
    Ok(())
}

/// Runs the loads and prints what was measured.
pub(crate) fn child_of() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let isr = Isr::builder().build()?;
    let renders = Arc::new(AtomicU64::new(0));
    begin_work(&isr, &runtime, &renders)?;
    let hitter = Hitter::start(&isr, runtime.handle(), 2 * LOADS + 1)?;
    std::thread::sleep(QUIET);
    let (resident, accounted) = (resident::bytes()?, isr.stats().bytes);
    let mut load = Load::new(isr.graph());
    let mut half = 0;
    for nth in 0..LOADS {
        hitter.during(2 * nth, || std::thread::sleep(QUIET));
        hitter.during(2 * nth + 1, || load.send())?;
        std::thread::sleep(SETTLE);
        if nth == 0 {
            half = resident::bytes()?;
        }
    }
    hitter.during(2 * LOADS, || std::thread::sleep(QUIET));
    println!("resident_before {resident}\nresident_half {half}");
    println!("growth {}", resident::bytes()?.saturating_sub(half));
    println!("accounted_before {accounted}");
    println!("accounted_growth {}", isr.stats().bytes.saturating_sub(accounted));
    println!("renders {}", renders.load(Relaxed));
    load.tell();
    let times = hitter.end()?;
    // Each load against the quiet before and after it.
    let p90 = |phase: usize| float(times[phase].per_mille(900));
    let ratio = |load: usize| p90(2 * load + 1) * 2.0 / (p90(2 * load) + p90(2 * load + 2));
    println!("ratio_mille {:.0}", median((0..LOADS).map(ratio).collect()) * 1e3);
    println!("alone_median {}\nalone_p90 {}", times[0].per_mille(500), times[0].per_mille(900));
    println!("under_median {}\nunder_p90 {}", times[1].per_mille(500), times[1].per_mille(900));
    println!("under_p99 {}", times[1].per_mille(990));
    println!("hits {}", times[1].count() / LOAD.as_secs());
    Ok(())
}

/// Stores the pages, and has a worker run for them.
fn begin_work(isr: &Isr, runtime: &Runtime, renders: &Arc<AtomicU64>) -> Outcome {
    let known = Arc::clone(renders);
    let render = async move |Path(page): Path<u32>, context: IsrContext| {
        known.fetch_add(1, Relaxed);
        context.add_tags([tag("list", page % CARRIED)]);
        "a page"
    };
    let router = Router::new().route(LISTS, get(render));
    let app = IsrLayer::around(isr).route(LISTS, page::policy(), ()).build()?.wrap(router);
    runtime.block_on(async {
        for page in 0..PAGES {
            let request =
                Request::get(format!("/lists/{page}")).header(HOST, HOST_NAME).body(Body::empty())?;
            let Ok::<_, Infallible>(response) = app.clone().call(request).await;
            if !response.status().is_success() {
                return Err(format!("page {page} answered {}", response.status()).into());
            }
        }
        Outcome::Ok(())
    })?;
    renders.store(0, Relaxed);
    drop(runtime.block_on(hire(isr, app)));
    Ok(())
}

/// Sends invalidations at the rate, and keeps how long each call took.
struct Load {
    graph: Graph,
    /// Written down before, as an application has its tags at hand.
    tags: Vec<Tag>,
    next: usize,
    times: Histogram,
    took: Duration,
}

impl Load {
    fn new(graph: Graph) -> Self {
        let tags = (0..UNKNOWN).flat_map(|nth| [tag("list", nth % CARRIED), tag("nobody", nth)]).collect();
        Self { graph, tags, next: 0, times: Histogram::new(), took: Duration::ZERO }
    }

    fn send(&mut self) -> Outcome {
        let (start, mut sent) = (clock::now(), 0);
        loop {
            let passed = start.elapsed().min(LOAD);
            let due = u64::try_from(passed.as_nanos())? * RATE / 1_000_000_000;
            while sent < due {
                let tag = self.tags[self.next].clone();
                self.next = (self.next + 1) % self.tags.len();
                let begin = clock::now();
                drop(at_once(self.graph.revalidate_by_tags([tag]))?);
                self.times.add(begin.elapsed());
                sent += 1;
            }
            if passed >= LOAD {
                self.took += start.elapsed();
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn tell(&self) {
        println!("rate {:.0}", float(self.times.count()) / self.took.as_secs_f64());
        println!("call_median {}\ncall_p99 {}", self.times.per_mille(500), self.times.per_mille(990));
    }
}
