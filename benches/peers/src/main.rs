//! Measures edge-isr beside other caches: `cargo xtask bench --peers`.
//!
//! Without arguments it measures everything, prints each number, and fails if a bar is missed.
//!
//! ```text
//! edge-isr-peers [--quick] [--gateway PATH] [--write FILE] [PART…]
//!     parts: inside, wire, gateway, misses, stampede, stream, day
//! edge-isr-peers run <scenario> <requests>       one scenario, for valgrind: thc:plain:16, around:condition:16 …
//! edge-isr-peers serve <stack> <KiB> <address>   one stack as a server
//! ```

mod adapt;
mod client;
mod content;
mod day;
mod fronts;
mod inside;
mod machine;
mod misses;
mod origin;
mod peers;
mod process;
mod proxies;
mod report;
mod runner;
mod serve;
mod stack;
mod stampede;
mod stream;
mod wire;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::Outcome;

use crate::report::Report;
use crate::runner::Scenario;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    dispatch(&args).unwrap_or_else(|error| {
        eprintln!("edge-isr-peers: {error}");
        ExitCode::FAILURE
    })
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Slices of which the best counts.
    slices: usize,
    /// Pairs of a Rust stack and bare axum.
    pairs: usize,
    /// Pairs of the gateway and another.
    gateway_pairs: usize,
    /// The length of a run of wrk.
    seconds: u64,
    /// Pairs with and without misses, and the length of one run.
    runs: usize,
    seconds_of_misses: u64,
    /// Requests of the day.
    requests: u64,
}

const WHOLE: Pace = Pace {
    slices: 9,
    pairs: 5,
    gateway_pairs: 9,
    seconds: 1,
    runs: 9,
    seconds_of_misses: 4,
    requests: 10_000_000,
};

const QUICK: Pace = Pace {
    slices: 3,
    pairs: 1,
    gateway_pairs: 3,
    seconds: 1,
    runs: 3,
    seconds_of_misses: 1,
    requests: 400_000,
};

type Measure = fn(&mut Report, &Settings) -> Outcome;

/// What can be measured, each on its own.
const PARTS: [(&str, Measure); 7] = [
    ("inside", inside::measure),
    ("wire", wire::measure),
    ("gateway", fronts::measure),
    ("misses", misses::measure),
    ("stampede", stampede::measure),
    ("stream", stream::measure),
    ("day", day::measure),
];

/// What the command line says.
#[derive(Debug)]
pub struct Settings {
    pub pace: Pace,
    gateway: Option<PathBuf>,
    write: Option<PathBuf>,
    parts: Vec<&'static (&'static str, Measure)>,
}

impl Settings {
    fn read(args: &[&str]) -> Outcome<Self> {
        let mut settings = Self { pace: WHOLE, gateway: None, write: None, parts: Vec::new() };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            let mut path = || args.next().map(PathBuf::from).ok_or_else(|| format!("{arg} needs a path"));
            match arg {
                "--quick" => settings.pace = QUICK,
                "--gateway" => settings.gateway = Some(path()?),
                "--write" => settings.write = Some(path()?),
                _ => {
                    let part = PARTS.iter().find(|(name, _)| *name == arg);
                    let unknown = || {
                        format!(
                            "don't know what to do with `{arg}`; benches/peers/src/main.rs lists what there is"
                        )
                    };
                    settings.parts.push(part.ok_or_else(unknown)?);
                }
            }
        }
        if settings.parts.is_empty() {
            settings.parts = PARTS.iter().collect();
        }
        Ok(settings)
    }

    /// The gateway's program: the one that is named, or the one that was built beside this one.
    pub fn gateway(&self) -> Outcome<PathBuf> {
        let path = match &self.gateway {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("gateway"),
        };
        if path.exists() { Ok(path) } else { Err(format!("no gateway at {}", path.display()).into()) }
    }
}

fn dispatch(args: &[&str]) -> Outcome<ExitCode> {
    match args {
        // What is run in a process of its own.
        ["run", scenario, requests] => {
            let keys = vec![0; requests.parse()?];
            runner::runner(Scenario::read(scenario)?, 1)?(&keys);
        }
        ["serve", stack, kib, at] => serve::child_of(stack, kib.parse()?, at.parse()?)?,
        _ => return measure(&Settings::read(args)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(settings: &Settings) -> Outcome<ExitCode> {
    process::raise_file_limit()?;
    process::stay_on(process::LOAD_CORE)?;
    let start = clock::now();
    let mut report = Report::default();
    for (name, measure) in &settings.parts {
        measure(&mut report, settings).map_err(|error| format!("{name}: {error}"))?;
    }
    let took = format!("{:.0} minutes", (start.elapsed().as_secs_f64() / 60.0).ceil());
    report.conclude(&machine::head(&took)?, settings.write.as_deref())
}
