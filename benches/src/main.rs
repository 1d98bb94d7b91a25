//! Measures edge-isr against its goals: `cargo xtask bench`.
//!
//! Without arguments it measures everything, prints each number with its bar beside it, and fails if a bar is
//! missed. Instructions and allocations are counted by valgrind, which runs this same program again; what
//! needs a process of its own (memory, floods, a million pages) is run again as well.
//!
//! ```text
//! edge-isr-bench                            everything
//! edge-isr-bench hits|times|invalidation|memory|flood|stampede    one part
//! edge-isr-bench run <scenario> <requests>  one scenario, for valgrind: around:plain:16, axum:browser:16 …
//! ```

mod apps;
mod clock;
mod count;
mod flood;
mod floor;
mod harness;
mod hits;
mod invalidation;
mod memory;
mod outcome;
mod page;
mod report;
mod resident;
mod scenario;
mod stampede;
mod stock;
mod times;

use std::process::ExitCode;

use outcome::Outcome;
use report::Report;
use scenario::Scenario;

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

fn dispatch(args: &[&str], report: &mut Report) -> Outcome {
    match args {
        [] => {
            hits::measure(report)?;
            times::measure(report)?;
            invalidation::measure(report)?;
            memory::measure(report)?;
            flood::measure(report)?;
            stampede::measure(report)
        }
        ["hits"] => hits::measure(report),
        ["times"] => times::measure(report),
        ["invalidation"] => invalidation::measure(report),
        ["memory"] => memory::measure(report),
        ["flood"] => flood::measure(report),
        ["stampede"] => stampede::measure(report),
        // Below this line: what the parts above run in a process of its own.
        ["run", scenario, requests] => run(scenario, requests),
        ["invalidate", pages] => invalidation::child_of(pages.parse()?),
        ["resident", what] => memory::child_of(what),
        ["drown", bodies] => flood::child_of(bodies),
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
