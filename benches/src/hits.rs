//! What a hit costs in instructions and allocations, against bare axum in the same run.

use edge_isr_bench::count::{self, Count};
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::scenario::{App, Ask, Scenario};

const KIB: [usize; 3] = [1, 16, 128];

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("A hot hit: 20 routes, 10 tags, 8 response headers, body collected");
    report.note(format!(
        "{}; a request is the difference of two run lengths, harness included:",
        count::version()?
    ));
    for count in [Count::Instructions, Count::Allocations] {
        report.note(format!("  {}", count.command("around:plain:16")));
    }
    report.note("axum has its default features. Its handler hands out a body that is there, with all 8 headers (axum)");
    report.note(
        "or only with the two that a page's handler sets itself, and the length that axum adds (sparse).",
    );
    let plain = table(report, "GET, Host alone, 16 KiB", Ask::Plain, &PLAIN)?;
    let browser = table(report, "GET, 12 headers of a browser, 16 KiB", Ask::Browser, &BROWSER)?;
    let coding = table(report, "GET, Host and what a browser takes, 16 KiB", Ask::Coding, &CODED)?;
    let condition = table(report, "If-None-Match that matches: 304 (from axum 200)", Ask::Condition, &EVERY)?;
    table(report, "HEAD", Ask::Head, &EVERY)?;
    invalidated(report, &plain)?;
    bars(report, &plain, &browser, &condition);
    compressed(report, &coding, &browser);
    independence(report, App::Around, "around the router")?;
    independence(report, App::Route, "inside a route")
}

const PLAIN: [App; 9] = [
    App::Harness,
    App::Floor,
    App::AxumSparse,
    App::Axum,
    App::Around,
    App::Wrapped,
    App::AroundEdge,
    App::Route,
    App::RouteEdge,
];
const EVERY: [App; 7] =
    [App::Harness, App::AxumSparse, App::Axum, App::Around, App::AroundEdge, App::Route, App::RouteEdge];

const BROWSER: [App; 8] = [
    App::Harness,
    App::AxumSparse,
    App::Axum,
    App::Around,
    App::Coded,
    App::AroundEdge,
    App::Route,
    App::RouteEdge,
];
const CODED: [App; 5] = [App::Harness, App::AxumSparse, App::Axum, App::Around, App::Coded];

/// One row, as it was counted.
#[derive(Debug, Clone, Copy)]
struct Row {
    app: App,
    instructions: f64,
    allocations: f64,
    bytes: f64,
}

/// The rows of one request.
#[derive(Debug)]
struct Table(Vec<Row>);

impl Table {
    fn instructions(&self, app: App) -> f64 {
        self.0.iter().find(|row| row.app == app).map_or(f64::NAN, |row| row.instructions)
    }

    fn allocations(&self, app: App) -> f64 {
        self.0.iter().find(|row| row.app == app).map_or(f64::NAN, |row| row.allocations)
    }

    fn ratio(&self, app: App) -> f64 {
        self.instructions(app) / self.instructions(App::Axum)
    }
}

fn table(report: &Report, title: &str, ask: Ask, apps: &[App]) -> Outcome<Table> {
    report.note(format!(
        "\n   {title:<48} {:>7} {:>13} {:>8} {:>9} {:>7} {:>6}",
        "instr", "over harness", "x axum", "x sparse", "allocs", "bytes"
    ));
    let mut table = Table(Vec::new());
    for &app in apps {
        let scenario = Scenario::of(app, ask);
        let (instructions, _) = count::per_request(Count::Instructions, scenario)?;
        let (allocations, bytes) = count::per_request(Count::Allocations, scenario)?;
        table.0.push(Row { app, instructions, allocations, bytes });
    }
    let number = |number: f64| Unit::Plain.write(number.round());
    for row in &table.0 {
        let against = |app| Unit::Times.write(row.instructions / table.instructions(app));
        report.note(format!(
            "  {:<46} {:>7} {:>13} {:>8} {:>9} {:>7} {:>6}",
            row.app.describe(),
            number(row.instructions),
            number(row.instructions - table.instructions(App::Harness)),
            against(App::Axum),
            against(App::AxumSparse),
            number(row.allocations),
            number(row.bytes),
        ));
    }
    Ok(table)
}

/// What a hit costs after something else was invalidated: its ten tags' marks are looked up again.
fn invalidated(report: &Report, plain: &Table) -> Outcome {
    let instructions = |ask| count::per_request(Count::Instructions, Scenario::of(App::Around, ask));
    let both = instructions(Ask::Invalidated)?.0;
    let alone = instructions(Ask::Invalidate)?.0;
    report.note("\n   Every hit after an invalidation of something else (around the router)");
    report.row("  the hit, harness included", Unit::Plain.write((both - alone).round()));
    report.row("  against axum", Unit::Times.write((both - alone) / plain.instructions(App::Axum)));
    report.row("  the invalidation itself, its signed receipt included", Unit::Plain.write(alone.round()));
    Ok(())
}

fn bars(report: &mut Report, plain: &Table, browser: &Table, condition: &Table) {
    report.note("\n   The bars, of the layer alone");
    report.at_most("around the router: instructions", plain.ratio(App::Around), 0.42, Unit::Times);
    report.at_most("around the router: allocations", plain.allocations(App::Around), 6.0, Unit::Plain);
    report.at_most("inside a route: instructions", plain.ratio(App::Route), 0.90, Unit::Times);
    report.at_most("inside a route: allocations", plain.allocations(App::Route), 17.0, Unit::Plain);
    report.at_most(
        "around, a browser's headers: instructions",
        browser.ratio(App::Around),
        0.62,
        Unit::Times,
    );
    let against_hit = condition.instructions(App::Around) / plain.instructions(App::Around);
    report.at_most("around, a 304 against a hit: instructions", against_hit, 1.0, Unit::Times);
    report.row("inside a route with isr.edge() (aim 1.1x)", Unit::Times.write(plain.ratio(App::RouteEdge)));
    report.row("  its allocations (aim 23)", Unit::Plain.write(plain.allocations(App::RouteEdge)));
    report.row("around with isr.edge()", Unit::Times.write(plain.ratio(App::AroundEdge)));
}

/// A compressed page has a line more, which says so; all else is the same work on fewer bytes.
fn compressed(report: &mut Report, coding: &Table, browser: &Table) {
    for (what, table) in [("Host alone", coding), ("a browser's headers", browser)] {
        let against = table.instructions(App::Coded) / table.instructions(App::Around);
        report.row(&format!("compressed against uncompressed, {what}"), Unit::Times.write(against));
    }
    let coded = browser.ratio(App::Coded);
    report.at_most("around, a browser's headers, compressed: instructions", coded, 0.62, Unit::Times);
}

fn independence(report: &mut Report, app: App, place: &str) -> Outcome {
    let mut counts = Vec::new();
    for kib in KIB {
        let scenario = Scenario::of(app, Ask::Plain).with_kib(kib);
        counts.push((kib, count::per_request(Count::Instructions, scenario)?.0));
    }
    let all: Vec<String> =
        counts.iter().map(|(kib, count)| format!("{kib} KiB {}", Unit::Plain.write(count.round()))).collect();
    report.note(format!("{place}: {}", all.join(", ")));
    let most = counts.iter().map(|(_, count)| *count).fold(f64::MIN, f64::max);
    let least = counts.iter().map(|(_, count)| *count).fold(f64::MAX, f64::min);
    report.at_most(&format!("{place}: from 1 to 128 KiB"), (most / least - 1.0) * 100.0, 1.0, Unit::Percent);
    Ok(())
}
