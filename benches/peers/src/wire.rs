//! Hits over the wire: each Rust stack as a server of its own, right beside bare axum.

use std::net::SocketAddr;
use std::process::Stdio;

use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;

use crate::Settings;
use crate::client;
use crate::process::{LOAD_CORE, SERVER_CORE, Server, free_port};
use crate::report::{Report, median};
use crate::stack::{ALL, Facts, Stack};
use crate::wrk::{self, Load};

const PATH: &str = "/posts/0";
pub const KIB: [usize; 2] = [1, 16];

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    let pace = settings.pace;
    report.title("Over the wire: the Rust stacks");
    report.note(format!(
        "Each server alone on processor {SERVER_CORE}, wrk on processor {LOAD_CORE}, keep-alive; served by \
         `axum::serve` on tokio's default runtime. Each number is the median of {} pairs, one run of the stack beside \
         one of bare axum, taking turns at who is first. CPU is the server's processor time for a request.",
        pace.pairs,
    ));
    report.note(format!("\n    {}\n", wrk::command(pace.seconds)));
    for kib in KIB {
        let axum = start(Stack::Axum, kib)?;
        let mut lines = Vec::new();
        for facts in ALL.iter().filter(|facts| facts.serves) {
            let server = start(facts.stack, kib)?;
            let paths = (PATH, PATH);
            let pairs = Pairs::run(pace.pairs, pace.seconds, (&server, &axum), paths)?;
            lines.push(line(facts, &pairs));
        }
        report.note(format!("{kib} KiB:"));
        report.table(&["stack", "requests/s", "x axum", "CPU us", "x axum", "p50 us", "x axum"], &lines);
    }
    Ok(())
}

/// Starts a stack as a server, its page stored.
pub fn start(stack: Stack, kib: usize) -> Outcome<Server> {
    let name = ALL.iter().find(|facts| facts.stack == stack).map_or("", |facts| facts.name);
    let at = free_port()?;
    let arguments = ["serve", name, &kib.to_string(), &at.to_string()];
    let server = Server::start(&std::env::current_exe()?, &arguments, &[], at, Stdio::inherit())?;
    check_page(at, PATH, kib)?;
    Ok(server)
}

/// Asks for a page that has to be of this size.
pub fn check_page(at: SocketAddr, path: &str, kib: usize) -> Outcome {
    let len = client::get(at, path)?.len();
    if len == kib * 1024 { Ok(()) } else { Err(format!("{at}{path} has {len} bytes").into()) }
}

fn line(facts: &Facts, pairs: &Pairs) -> Vec<String> {
    let ratio = |value: fn(&Load) -> f64| Unit::Times.write(pairs.ratio(value));
    let plain = |value: fn(&Load) -> f64| Unit::Plain.write(pairs.first(value));
    vec![
        facts.title.to_owned(),
        plain(|load| load.rate.round()),
        ratio(|load| load.rate),
        plain(|load| load.cpu),
        ratio(|load| load.cpu),
        plain(|load| load.p50.round()),
        ratio(|load| load.p50),
    ]
}

/// Runs of two servers side by side, so that what disturbs one disturbs the other.
#[derive(Debug)]
pub struct Pairs(Vec<(Load, Load)>);

impl Pairs {
    pub fn run(
        pairs: usize,
        seconds: u64,
        (one, other): (&Server, &Server),
        paths: (&str, &str),
    ) -> Outcome<Self> {
        let mut all = Vec::new();
        for pair in 0..pairs {
            if pair % 2 == 0 {
                let first = wrk::run(one, paths.0, seconds)?;
                all.push((first, wrk::run(other, paths.1, seconds)?));
            } else {
                let second = wrk::run(other, paths.1, seconds)?;
                all.push((wrk::run(one, paths.0, seconds)?, second));
            }
        }
        Ok(Self(all))
    }

    /// The median of the first server's runs.
    pub fn first(&self, value: fn(&Load) -> f64) -> f64 {
        median(&mut self.0.iter().map(|(first, _)| value(first)).collect::<Vec<_>>())
    }

    /// The median of the second one's.
    pub fn second(&self, value: fn(&Load) -> f64) -> f64 {
        median(&mut self.0.iter().map(|(_, second)| value(second)).collect::<Vec<_>>())
    }

    /// The median of the pairs' ratios, the first server's over the second's.
    pub fn ratio(&self, value: fn(&Load) -> f64) -> f64 {
        median(&mut self.0.iter().map(|(first, second)| value(first) / value(second)).collect::<Vec<_>>())
    }

    /// The median of the pairs' ratios of requests for a second of processor time.
    pub fn requests_for_cpu(&self) -> f64 {
        let ratios = self.0.iter().map(|(first, second)| second.cpu / first.cpu);
        median(&mut ratios.collect::<Vec<_>>())
    }
}
