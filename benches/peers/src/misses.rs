//! Hits while a tenth of the traffic waits for a slow origin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::Settings;
use crate::client::Connection;
use crate::origin::Origin;
use crate::process::micros;
use crate::proxies;
use crate::report::{Report, median};

/// 27 connections that each ask a hundred times a second, and 40 that ask every 133 ms: 2,700 and 300 requests.
const HITTERS: u32 = 27;
const HIT_EVERY: Duration = Duration::from_millis(10);
const OTHERS: u32 = 40;
const OTHER_EVERY: Duration = Duration::from_micros(133_333);

/// What the hits of one run took: of a hundred, 90 and 99 were no longer, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    p50: f64,
    p90: f64,
    p99: f64,
}

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    let pace = settings.pace;
    report.title("Hits beside misses, through the gateway");
    report.note(format!(
        "3,000 requests a second over 67 connections. A tenth of them are hits, too, or misses of an origin that takes \
         100 ms; the others are hits of one page of 16 KiB, and these are timed. {} pairs of runs of {} s each, taking \
         turns at which is first; the ratios are the medians of the pairs'.",
        pace.runs, pace.seconds_of_misses
    ));
    let origin = Origin::start()?;
    let gateway = proxies::gateway(&settings.gateway()?, origin.at, proxies::USUAL)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next = Arc::new(AtomicU32::new(0));
    let length = Duration::from_secs(pace.seconds_of_misses);
    let run = |misses| runtime.block_on(run(gateway.server.at, misses, Arc::clone(&next), length));
    run(false)?;
    let mut pairs = Vec::new();
    for pair in 0..pace.runs {
        if pair % 2 == 0 {
            let alone = run(false)?;
            pairs.push((alone, run(true)?));
        } else {
            let beside = run(true)?;
            pairs.push((run(false)?, beside));
        }
    }
    write(report, &pairs);
    let asked = u64::from(next.load(Relaxed));
    report.note(format!("Requests for a slow page: {asked}; the origin saw {}.", origin.slow()));
    let ratio = |value: fn(&Times) -> f64| {
        median(&mut pairs.iter().map(|(alone, beside)| value(beside) / value(alone)).collect::<Vec<_>>())
    };
    report.at_most("hits' p90 beside misses, against hits alone", ratio(|times| times.p90), 1.2, Unit::Times);
    // 1.5 times and 2 ms: what is above that.
    let above = pairs.iter().map(|(alone, beside)| (beside.p99 - 1.5 * alone.p99) / 1e3);
    let above = median(&mut above.collect::<Vec<_>>());
    report.at_most("hits' p99 beside misses, above 1.5 times that of hits alone", above, 2.0, Unit::Millis);
    Ok(())
}

fn write(report: &mut Report, pairs: &[(Times, Times)]) {
    type Of = fn(&(Times, Times)) -> Times;
    let rows: [(&str, Of); 2] = [("hits alone", |pair| pair.0), ("beside misses", |pair| pair.1)];
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|(title, of)| {
            let middle = |value: fn(Times) -> f64| {
                let mut all: Vec<f64> = pairs.iter().map(|pair| value(of(pair))).collect();
                Unit::Plain.write(median(&mut all).round())
            };
            vec![
                (*title).to_owned(),
                middle(|times| times.p50),
                middle(|times| times.p90),
                middle(|times| times.p99),
            ]
        })
        .collect();
    report.table(&["hits", "p50 us", "p90 us", "p99 us"], &lines);
}

/// One run; the others ask for slow pages that nobody asked for before, or for the page that all ask for.
async fn run(at: SocketAddr, misses: bool, next: Arc<AtomicU32>, length: Duration) -> Outcome<Times> {
    let (mut hitters, mut others) = (JoinSet::new(), JoinSet::new());
    for hitter in 0..HITTERS {
        hitters.spawn(ask(at, HIT_EVERY, HIT_EVERY * hitter / HITTERS, length, || HOT.to_owned()));
    }
    for other in 0..OTHERS {
        let next = Arc::clone(&next);
        let path =
            move || if misses { format!("/slow/{}", next.fetch_add(1, Relaxed)) } else { HOT.to_owned() };
        others.spawn(ask(at, OTHER_EVERY, OTHER_EVERY * other / OTHERS, length, path));
    }
    let mut times = Vec::new();
    while let Some(took) = hitters.join_next().await {
        times.extend(took??);
    }
    while let Some(took) = others.join_next().await {
        took??;
    }
    times.sort_by(f64::total_cmp);
    let share = |of_hundred: usize| times.get(times.len() * of_hundred / 100).copied().unwrap_or(f64::NAN);
    Ok(Times { p50: share(50), p90: share(90), p99: share(99) })
}

const HOT: &str = "/page/16/0";

/// Asks again and again on one connection; how long each took, in microseconds.
async fn ask(
    at: SocketAddr,
    every: Duration,
    offset: Duration,
    length: Duration,
    path: impl Fn() -> String,
) -> Outcome<Vec<f64>> {
    let mut connection = Connection::open(at).await?;
    let start = clock::now();
    let mut ticks = interval_at((start + offset).into(), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::new();
    while start.elapsed() < length {
        ticks.tick().await;
        let path = path();
        let sent = clock::now();
        let answer = connection.get(&path).await?;
        times.push(micros(sent.elapsed()));
        if (answer.status, answer.body.len()) != (200, 16 * 1024) {
            return Err(format!("{path}: {}", String::from_utf8_lossy(answer.head)).into());
        }
    }
    Ok(times)
}
