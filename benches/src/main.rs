//! Measures edge-isr against its goals: `cargo xtask bench`.
//!
//! Without arguments it measures everything, prints each number with its bar beside it, and fails if a bar is
//! missed. Instructions and allocations are counted by valgrind, which runs this same program again; what
//! needs a process of its own (memory, floods, a million pages) is run again as well.
//!
//! ```text
//! edge-isr-bench                            everything
//! edge-isr-bench burst million              these parts: hits, times, invalidation, memory, flood, stampede,
//!                                           streaming, burst, barrage, million
//! edge-isr-bench run <scenario> <requests>  one scenario, for valgrind: around:plain:16, axum:browser:16 …
//! ```

mod barrage;
mod burst;
mod flood;
mod histogram;
mod hits;
mod hitter;
mod invalidation;
mod memory;
mod million;
mod stampede;
mod stock;
mod streaming;
mod times;

use std::process::ExitCode;

use edge_isr_bench::apps;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Report;
use edge_isr_bench::scenario::Scenario;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut report = Report::default();
    if let Err(error) = dispatch(&args, &mut report) {
        eprintln!("edge-isr-bench: {error}");
        return ExitCode::FAILURE;
    }
    report.conclude()
}

type Measure = fn(&mut Report) -> Outcome;

/// What can be measured, each on its own.
const PARTS: [(&str, Measure); 10] = [
    ("hits", hits::measure),
    ("times", times::measure),
    ("invalidation", invalidation::measure),
    ("memory", memory::measure),
    ("flood", flood::measure),
    ("stampede", stampede::measure),
    ("streaming", streaming::measure),
    ("burst", burst::measure),
    ("barrage", barrage::measure),
    ("million", million::measure),
];

fn dispatch(args: &[&str], report: &mut Report) -> Outcome {
    let is_part = |arg: &&str| PARTS.iter().any(|(name, _)| name == arg);
    match args {
        // No name is every name.
        parts if parts.iter().all(is_part) => {
            let mut chosen = PARTS.iter().filter(|(name, _)| parts.is_empty() || parts.contains(name));
            chosen.try_for_each(|(_, measure)| measure(report))
        }
        // Below this line: what the parts above run in a process of its own.
        ["run", scenario, requests] => run(scenario, requests),
        ["invalidate", pages] => invalidation::child_of(pages.parse()?),
        ["resident", what] => memory::child_of(what),
        ["drown", bodies] => flood::child_of(bodies),
        ["stream"] => streaming::child_of(),
        ["bombard"] => barrage::child_of(),
        ["renew", pages] => million::child_of(pages.parse()?),
        _ => Err(format!(
            "don't know what to do with {args:?}; the top of benches/src/main.rs lists what there is"
        )
        .into()),
    }
}

/// Answers so many requests of a scenario, and does nothing else that depends on their number.
fn run(scenario: &str, requests: &str) -> Outcome {
    let scenario: Scenario = scenario.parse()?;
    let keys = vec![0; requests.parse()?];
    let mut runner = apps::runner(scenario, 1)?;
    runner(&keys);
    Ok(())
}
