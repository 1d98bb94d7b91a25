//! Hits while a tenth of the traffic waits for a slow origin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;
use edge_isr_bench::zipf::Random;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::Connection;
use crate::origin::Origin;
use crate::process::micros;
use crate::proxies;
use crate::report::{Report, median};

/// Requests a second, of which one in ten is not timed.
const RATE: f64 = 1_000.0;
const SHARE: f64 = 0.1;
/// Connections of the hits that are timed, and of the others; of those ten wait at a time when they are misses.
const HITTERS: usize = 30;
const OTHERS: usize = 60;

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
        "1,000 requests a second over 90 connections, at random moments. A tenth of them are hits, too, or misses of an \
         origin that takes 100 ms; the others are hits of one page of 16 KiB, and these are timed. {} pairs of runs of \
         {} s each, taking turns at which is first; the ratios are the medians of the pairs'.",
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
    let (mut hit, mut other) = (Vec::new(), Vec::new());
    for _ in 0..HITTERS {
        let (sender, turns) = unbounded_channel();
        hit.push(sender);
        hitters.spawn(ask(at, turns, || HOT.to_owned()));
    }
    for _ in 0..OTHERS {
        let (sender, turns) = unbounded_channel();
        other.push(sender);
        let next = Arc::clone(&next);
        let path =
            move || if misses { format!("/slow/{}", next.fetch_add(1, Relaxed)) } else { HOT.to_owned() };
        others.spawn(ask(at, turns, path));
    }
    let pacer = std::thread::spawn(move || pace(&hit, &other, length));
    let mut times = Vec::new();
    while let Some(took) = hitters.join_next().await {
        times.extend(took??);
    }
    while let Some(took) = others.join_next().await {
        took??;
    }
    pacer.join().map_err(|_| "the thread that paces has panicked")?;
    times.sort_by(f64::total_cmp);
    let share = |of_hundred: usize| times.get(times.len() * of_hundred / 100).copied().unwrap_or(f64::NAN);
    Ok(Times { p50: share(50), p90: share(90), p99: share(99) })
}

const HOT: &str = "/page/16/0";

/// Gives each connection its turns, at moments that know nothing of each other. A thread of its own does it, because
/// the runtime's timers go off together, once a millisecond.
fn pace(hit: &[UnboundedSender<()>], other: &[UnboundedSender<()>], length: Duration) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut hits, mut others) = (hit.iter().cycle(), other.iter().cycle());
    let (start, mut at) = (clock::now(), 0.0);
    while at < length.as_secs_f64() {
        at += -(1.0 - random.unit()).ln() / RATE;
        let left = Duration::from_secs_f64(at).saturating_sub(start.elapsed());
        std::thread::sleep(left);
        let turns = if random.unit() < SHARE { &mut others } else { &mut hits };
        // A connection that failed takes no turns; its task says why.
        let _ = turns.next().map(|sender| sender.send(()));
    }
}

/// Asks on one connection each time it is its turn; how long each took, in microseconds.
async fn ask(
    at: SocketAddr,
    mut turns: UnboundedReceiver<()>,
    path: impl Fn() -> String,
) -> Outcome<Vec<f64>> {
    let mut connection = Connection::open(at).await?;
    let mut times = Vec::new();
    while turns.recv().await.is_some() {
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
