//! Times per hit, for orientation: they move by tens of percent between runs, instructions do not.

use edge_isr_bench::apps::{self, Runner};
use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::scenario::{App, Ask, Scenario};
use edge_isr_bench::zipf::zipf;

const SLICES: usize = 9;
const HITS: usize = 20_000;
const KEYS: u32 = 10_000;

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report
        .title("Times of a hit, harness included, 16 KiB: best of 9 slices of 20,000, the rows taking turns");
    let hot: Vec<u32> = vec![0; HITS];
    let apps =
        [App::Harness, App::Floor, App::Axum, App::Around, App::AroundEdge, App::Route, App::RouteEdge];
    table(report, "hot, Host alone", &apps, Ask::Plain, 1, &hot)?;
    table(report, "hot, 12 headers of a browser", &apps, Ask::Browser, 1, &hot)?;
    // The handler of bare axum has one page for all keys: nothing to look up, nothing to miss in the processor's cache.
    let spread = zipf(KEYS, HITS);
    let apps = [App::Floor, App::Axum, App::Around, App::Route];
    table(report, "10,000 pages, Zipf(1.0), Host alone", &apps, Ask::Plain, KEYS, &spread)
}

fn table(report: &Report, title: &str, apps: &[App], ask: Ask, keys: u32, asked: &[u32]) -> Outcome {
    let mut runners: Vec<(App, Runner, f64)> = Vec::new();
    for &app in apps {
        runners.push((app, apps::runner(Scenario::of(app, ask), keys)?, f64::MAX));
    }
    for _ in 0..SLICES {
        for (_, runner, best) in &mut runners {
            let start = clock::now();
            runner(asked);
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / float(asked.len() as u64));
        }
    }
    let axum = runners.iter().find(|(app, ..)| *app == App::Axum).map_or(f64::NAN, |(_, _, best)| *best);
    report.note(format!("{title:<58} {:>14} {:>10}", "ns", "x axum"));
    for (app, _, best) in &runners {
        report.note(format!(
            "  {:<56} {:>14} {:>10}",
            app.describe(),
            best.round(),
            Unit::Times.write(best / axum)
        ));
    }
    report.note("");
    Ok(())
}
