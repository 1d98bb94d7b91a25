//! A day's traffic in minutes: millions of requests, more pages than fit, invalidations throughout.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::Unit;
use edge_isr_bench::zipf::Zipf;
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::{Connection, HOST, header, request};
use crate::content::{Content, GROUPS, Verdict, group_of, is_hard, judge};
use crate::origin::Origin;
use crate::proxies::{self, Proxy, TOKEN};
use crate::report::Report;

const URLS: u32 = 200_000;
const CONNECTIONS: u64 = 48;
/// Requests that a connection sends at once.
const BATCH: u64 = 16;
const INVALIDATE_EVERY: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// About a quarter of the pages fit.
const ROOM: u64 = 128 << 20;
const MIB: u64 = 1 << 20;

/// What the clients know and count.
#[derive(Debug)]
struct Traffic {
    /// The version that each group's last acknowledged invalidation announced.
    announced: Vec<AtomicU64>,
    left: AtomicU64,
    is_over: AtomicBool,
    hits: AtomicU64,
    stale: AtomicU64,
    invalidations: AtomicU64,
    errors: AtomicU64,
    violations: AtomicU64,
}

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    let pace = settings.pace;
    report.title("A day's traffic in minutes, through the gateway");
    report.note(format!(
        "{} requests for {URLS} URLs, Zipf(1.0), over {CONNECTIONS} connections, {BATCH} requests at once on each; bodies \
         of 200 to 4,039 bytes, of which {} fit. An invalidation of one of {GROUPS} tags every {} ms, hard and soft. The \
         origin stamps each body with the version of its tag; an answer that is asked for after an invalidation was \
         acknowledged, has an older stamp and passes for fresh is a violation of P1 (`docs/promises.md`).",
        Unit::Plain.write(float(pace.requests)),
        Unit::Mebibytes.write(float(ROOM)),
        INVALIDATE_EVERY.as_millis(),
    ));
    let origin = Origin::start()?;
    let limits = proxies::Limits { max_bytes: ROOM, ..proxies::USUAL };
    let gateway = proxies::gateway(&settings.gateway()?, origin.at, limits)?;
    let traffic = Arc::new(Traffic {
        announced: (0..GROUPS).map(|_| AtomicU64::new(0)).collect(),
        left: AtomicU64::new(pace.requests),
        is_over: AtomicBool::new(false),
        hits: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        invalidations: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        violations: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = clock::now();
    let accounted = runtime.block_on(live(&gateway, &origin, &traffic))?;
    let took = start.elapsed();
    let (most, _) = gateway.server.resident()?;
    let plain = |count: &AtomicU64| Unit::Plain.write(float(count.load(SeqCst)));
    let share = float(traffic.hits.load(SeqCst)) / float(pace.requests) * 100.0;
    report.table(
        &["took", "requests/s", "hits", "stale, and marked so", "invalidations"],
        &[vec![
            format!("{:.0} s", took.as_secs_f64()),
            Unit::Plain.write((float(pace.requests) / took.as_secs_f64()).round()),
            Unit::Percent.write(share),
            plain(&traffic.stale),
            plain(&traffic.invalidations),
        ]],
    );
    report.exactly("violations of P1", traffic.violations.load(SeqCst), 0);
    report.exactly("errors", traffic.errors.load(SeqCst), 0);
    report.at_most("accounted memory at its highest", float(accounted), float(ROOM), Unit::Mebibytes);
    let bound = 1.5 * float(ROOM) + float(40 * MIB);
    report.at_most("resident memory at its highest", float(most), bound, Unit::Mebibytes);
    Ok(())
}

/// The traffic, the invalidations and a look at the memory, until all is asked for. The most bytes accounted.
async fn live(gateway: &Proxy, origin: &Origin, traffic: &Arc<Traffic>) -> Outcome<u64> {
    let at = gateway.server.at;
    let mut visitors = JoinSet::new();
    for visitor in 0..CONNECTIONS {
        visitors.spawn(visit(at, Arc::clone(traffic), visitor + 1));
    }
    let invalidator =
        tokio::spawn(invalidate(gateway.admin, Arc::clone(&origin.content), Arc::clone(traffic)));
    let watcher = tokio::spawn(watch(gateway.admin, Arc::clone(traffic)));
    while let Some(visited) = visitors.join_next().await {
        visited??;
    }
    traffic.is_over.store(true, SeqCst);
    invalidator.await??;
    watcher.await?
}

async fn visit(at: SocketAddr, traffic: Arc<Traffic>, seed: u64) -> Outcome {
    let mut connection = Connection::open(at).await?;
    let mut zipf = Zipf::new(URLS, seed);
    loop {
        let left = traffic.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(BATCH));
        if left.is_err() {
            return Ok(());
        }
        // What was announced is read before anything is sent.
        let asked: Vec<(u32, u64)> = (0..BATCH)
            .map(|_| {
                let number = zipf.draw();
                (number, traffic.announced[group_of(number) as usize].load(SeqCst))
            })
            .collect();
        let requests: String = asked.iter().map(|(number, _)| request(&format!("/day/{number}"))).collect();
        connection.send(requests.as_bytes()).await?;
        for (number, announced) in asked {
            let answer = connection.answer().await?;
            let status = header(answer.head, "cache-status").unwrap_or_default();
            let verdict = judge(number, announced, &answer);
            let count = match verdict {
                Verdict::Fine => None,
                Verdict::Stale => Some(&traffic.stale),
                Verdict::Violation => Some(&traffic.violations),
                Verdict::Error => Some(&traffic.errors),
            };
            if matches!(verdict, Verdict::Violation | Verdict::Error) {
                let head = String::from_utf8_lossy(answer.head);
                eprintln!("{verdict:?} of page {number}, announced {announced}: {head}");
            }
            if let Some(count) = count {
                count.fetch_add(1, SeqCst);
            }
            if status.windows(4).any(|four| four == b";hit") {
                traffic.hits.fetch_add(1, SeqCst);
            }
        }
    }
}

/// Changes one group's content after the other, and announces it.
async fn invalidate(admin: SocketAddr, content: Arc<Content>, traffic: Arc<Traffic>) -> Outcome {
    let mut connection = Connection::open(admin).await?;
    let mut zipf = Zipf::new(GROUPS, 0x5eed);
    let mut ticks = tokio::time::interval(INVALIDATE_EVERY);
    while !traffic.is_over.load(SeqCst) {
        ticks.tick().await;
        let group = zipf.draw();
        let version = content.change(group);
        let mode = if is_hard(group) { "hard" } else { "soft" };
        let body = format!("{{\"tags\": [\"group:{group}\"], \"mode\": \"{mode}\"}}");
        let request = format!(
            "POST /revalidate HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request.as_bytes()).await?;
        let answer = connection.answer().await?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("the invalidation of {group} was answered {}: {text}", answer.status).into());
        }
        traffic.announced[group as usize].fetch_max(version, SeqCst);
        traffic.invalidations.fetch_add(1, SeqCst);
    }
    Ok(())
}

/// The most bytes that the gateway accounts for.
async fn watch(admin: SocketAddr, traffic: Arc<Traffic>) -> Outcome<u64> {
    let mut connection = Connection::open(admin).await?;
    let request = format!("GET /stats HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut most = 0;
    while !traffic.is_over.load(SeqCst) {
        ticks.tick().await;
        connection.send(request.as_bytes()).await?;
        let answer = connection.answer().await?;
        let text = String::from_utf8_lossy(answer.body);
        let bytes = number(&text, "\"bytes\":").ok_or_else(|| format!("no bytes in the stats: {text}"))?;
        most = most.max(bytes);
    }
    Ok(most)
}

/// The number behind a mark.
fn number(text: &str, mark: &str) -> Option<u64> {
    let rest = text.split_once(mark)?.1.trim_start();
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_the_stats() {
        assert_eq!(number("{\"pages\": 3, \"bytes\": 4096}", "\"bytes\":"), Some(4096));
        assert_eq!(number("{}", "\"bytes\":"), None);
    }
}
