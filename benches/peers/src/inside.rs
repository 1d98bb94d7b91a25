//! Hits in process: instructions, allocations and times.

use edge_isr_bench::clock;
use edge_isr_bench::count::{self, Count};
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::Unit;
use edge_isr_bench::scenario::Ask;
use edge_isr_bench::zipf::zipf;

use crate::report::Report;
use crate::runner::{self, Runner, Scenario};
use crate::stack::{ALL, Facts, Stack};
use crate::{Pace, Settings};

const KIB: usize = 16;
const KEYS: u32 = 10_000;
/// Requests of one slice, and the numbers between which valgrind counts.
const HITS: u32 = 20_000;
const COUNTED: (u32, u32) = (500, 2_500);

const BROWSER: [Stack; 4] = [Stack::Harness, Stack::Axum, Stack::Around, Stack::AroundCoded];

/// What was found out about one stack.
#[derive(Debug, Clone, Copy)]
struct Row {
    facts: &'static Facts,
    instructions: f64,
    allocations: f64,
    bytes: f64,
    nanos: f64,
}

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    let pace = settings.pace;
    report.title("A hot hit in process");
    report.note(format!(
        "{KIB} KiB, 20 routes, 10 tags, 8 headers on the answer, the request with `Host` alone; nothing but the stack \
         between a request and its collected body. Instructions and allocations: {}, the difference of two numbers of \
         requests, the harness included. Time: the best of {} slices, the rows taking turns. tower-http-cache gets a \
         body that was collected before it, without which it does not compile in front of axum.",
        count::version()?,
        pace.slices,
    ));
    for counting in [Count::Instructions, Count::Allocations] {
        report.note(format!("\n    {}", counting.command("thc:plain:16").replace("bench run", "peers run")));
    }
    let hot = rows(Ask::Plain, ALL.iter().filter(|row| row.stack != Stack::AroundCoded), pace)?;
    write(report, &hot);
    let browser = rows(Ask::Browser, ALL.iter().filter(|row| BROWSER.contains(&row.stack)), pace)?;
    report.note("With the 12 headers of a browser:");
    write(report, &browser);
    bars(report, &hot, &browser);
    report.title("A 304 from the stored page, in process");
    report.note("`If-None-Match` with the page's entity tag. Those that are not here send the whole page.");
    let conditions =
        rows(Ask::Condition, ALL.iter().filter(|row| row.validates || row.stack == Stack::Axum), pace)?;
    write(report, &conditions);
    let condition = find(&conditions, Stack::Around).instructions;
    let hit = find(&hot, Stack::Around).instructions;
    report.at_most("around the router, instructions against a hit's", condition / hit, 1.0, Unit::Times);
    spread(report, pace)
}

fn rows(ask: Ask, which: impl Iterator<Item = &'static Facts>, pace: Pace) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for facts in which {
        let scenario = Scenario { facts, ask, kib: KIB };
        let lengths = (share(COUNTED.0, facts), share(COUNTED.1, facts));
        let lengths = (u64::from(lengths.0), u64::from(lengths.1));
        let (instructions, _) = count::between(Count::Instructions, &scenario.name(), lengths)?;
        let (allocations, bytes) = count::between(Count::Allocations, &scenario.name(), lengths)?;
        rows.push(Row { facts, instructions, allocations, bytes, nanos: f64::NAN });
    }
    let which: Vec<&Facts> = rows.iter().map(|row| row.facts).collect();
    for (row, nanos) in rows.iter_mut().zip(times(ask, &which, 1, &vec![0; HITS as usize], pace)?) {
        row.nanos = nanos;
    }
    Ok(rows)
}

/// Fewer of what takes longer.
fn share(of: u32, facts: &Facts) -> u32 {
    (of / facts.slow).max(1)
}

/// Nanoseconds for one request of each.
fn times(ask: Ask, which: &[&'static Facts], keys: u32, asked: &[u32], pace: Pace) -> Outcome<Vec<f64>> {
    let mut runners: Vec<(&Facts, Runner, f64)> = Vec::new();
    for &facts in which {
        runners.push((facts, runner::runner(Scenario { facts, ask, kib: KIB }, keys)?, f64::MAX));
    }
    for slice in 0..pace.slices {
        for (facts, runner, best) in &mut runners {
            let count = asked.len() / facts.slow as usize;
            // Each slice of a slow one asks for others.
            let from = (slice * count) % (asked.len() - count + 1);
            let start = clock::now();
            runner(&asked[from..from + count]);
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / float(count as u64));
        }
    }
    Ok(runners.into_iter().map(|(.., best)| best).collect())
}

fn write(report: &mut Report, rows: &[Row]) {
    let axum = find(rows, Stack::Axum);
    let count = |number: f64| Unit::Plain.write(number.round());
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.facts.title.to_owned(),
                count(row.instructions),
                Unit::Times.write(row.instructions / axum.instructions),
                count(row.allocations),
                count(row.bytes),
                count(row.nanos),
                Unit::Times.write(row.nanos / axum.nanos),
            ]
        })
        .collect();
    report.table(&["stack", "instructions", "x axum", "allocations", "bytes", "ns", "x axum"], &lines);
}

/// There is a row of axum in every table.
fn find(rows: &[Row], stack: Stack) -> Row {
    *rows.iter().find(|row| row.facts.stack == stack).expect("each table has the rows that are compared")
}

fn bars(report: &mut Report, hot: &[Row], browser: &[Row]) {
    let ratio = |rows: &[Row], stack| find(rows, stack).instructions / find(rows, Stack::Axum).instructions;
    let (around, route) = (find(hot, Stack::Around), find(hot, Stack::Route));
    report.at_most("around the router, instructions", ratio(hot, Stack::Around), 0.42, Unit::Times);
    report.at_most(
        "around the router, a browser's headers, instructions",
        ratio(browser, Stack::Around),
        0.62,
        Unit::Times,
    );
    let coded = find(browser, Stack::AroundCoded).instructions / find(browser, Stack::Around).instructions;
    // One header more stands on it.
    report.at_most("served compressed, instructions against uncompressed", coded, 1.05, Unit::Times);
    report.at_most("around the router, allocations", around.allocations, 6.0, Unit::Plain);
    report.at_most("inside a route, instructions", ratio(hot, Stack::Route), 0.90, Unit::Times);
    report.at_most("inside a route, allocations", route.allocations, 17.0, Unit::Plain);
    let least =
        hot.iter().filter(|row| row.facts.is_peer).min_by(|a, b| a.instructions.total_cmp(&b.instructions));
    if let Some(least) = least {
        let what = format!("instructions of the peer with the fewest ({}) less ours", least.facts.title);
        report.at_least(what, least.instructions - around.instructions, 1.0, Unit::Plain);
    }
}

fn spread(report: &mut Report, pace: Pace) -> Outcome {
    report.title("10,000 pages in process, Zipf(1.0)");
    report.note(
        "As above, each page asked for as often as its rank says. Bare axum has one page for all of them.",
    );
    let which: Vec<&Facts> =
        ALL.iter().filter(|row| !matches!(row.stack, Stack::Harness | Stack::AroundCoded)).collect();
    let nanos = times(Ask::Plain, &which, KEYS, &zipf(KEYS, HITS as usize), pace)?;
    let axum = which.iter().position(|facts| facts.stack == Stack::Axum).map_or(f64::NAN, |at| nanos[at]);
    let lines: Vec<Vec<String>> = which
        .iter()
        .zip(&nanos)
        .map(|(facts, nanos)| {
            let ratio = Unit::Times.write(nanos / axum);
            vec![facts.title.to_owned(), Unit::Plain.write(nanos.round()), ratio]
        })
        .collect();
    report.table(&["stack", "ns", "x axum"], &lines);
    Ok(())
}
