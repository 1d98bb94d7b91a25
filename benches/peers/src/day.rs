//! A day's traffic in minutes: millions of requests, more pages than fit, invalidations throughout. Each body says which
//! version of its tag it was made from, and whoever asks knows which version was announced before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::Unit;
use edge_isr_bench::zipf::Zipf;
use http::HeaderValue;
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::{Connection, HOST, header, request};
use crate::origin::Origin;
use crate::proxies::{self, Proxy, TOKEN};
use crate::report::Report;

const URLS: u32 = 200_000;
/// Each page has the tag of one of these; the even ones are invalidated softly, the odd ones hard.
const GROUPS: u32 = 1_000;
const CONNECTIONS: u64 = 48;
/// Requests that a connection sends at once.
const BATCH: u64 = 16;
const INVALIDATE_EVERY: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// About a quarter of the pages fit.
const ROOM: u64 = 128 << 20;
const MIB: u64 = 1 << 20;

/// What the pages are made from: a version for each group.
#[derive(Debug)]
pub struct Content {
    versions: Vec<AtomicU64>,
    filler: Bytes,
}

impl Content {
    pub const LIFETIME: HeaderValue =
        HeaderValue::from_static("public, s-maxage=3600, stale-while-revalidate=3600");

    pub fn new() -> Self {
        Self { versions: (0..GROUPS).map(|_| AtomicU64::new(0)).collect(), filler: vec![b'x'; 4096].into() }
    }

    /// A page's tags and its body. Some take a while after they read, so that an invalidation overtakes them.
    pub async fn page(&self, number: u32) -> (String, Bytes) {
        let group = number % GROUPS;
        let version = self.versions[group as usize].load(SeqCst);
        if number.is_multiple_of(16) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut body = format!("{number} {version}\n").into_bytes();
        body.extend_from_slice(&self.filler[..(number as usize * 7919) % 3840 + 200]);
        (format!("group:{group} page:{number}"), body.into())
    }

    /// Changes what a group's pages are made from, and tells the new version.
    fn change(&self, group: u32) -> u64 {
        self.versions[group as usize].fetch_add(1, SeqCst) + 1
    }
}

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

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// Older than announced, and it says so.
    Stale,
    /// Older than announced, and it does not say so or must not be there at all.
    Violation,
    /// No page, or another one.
    Error,
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
                (number, traffic.announced[(number % GROUPS) as usize].load(SeqCst))
            })
            .collect();
        let requests: String = asked.iter().map(|(number, _)| request(&format!("/day/{number}"))).collect();
        connection.send(requests.as_bytes()).await?;
        for (number, announced) in asked {
            let answer = connection.answer().await?;
            let status = header(answer.head, "cache-status").unwrap_or_default();
            let verdict = judge(number, announced, answer.status, status, answer.body);
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

/// What an answer to a request for a page is, whose tag was announced to have this version before it was sent.
fn judge(number: u32, announced: u64, status: u16, cache_status: &[u8], body: &[u8]) -> Verdict {
    let stamp = body.split(|&byte| byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let stamp = stamp.and_then(|line| line.split_once(' '));
    let Some((page, version)) = stamp.and_then(|(page, version)| Some((page, version.parse::<u64>().ok()?)))
    else {
        return Verdict::Error;
    };
    if status != 200 || page != number.to_string() {
        return Verdict::Error;
    }
    let says_stale = std::str::from_utf8(cache_status).is_ok_and(|text| text.contains(";ttl=-"));
    let is_hard = number % GROUPS % 2 == 1;
    match version < announced {
        false => Verdict::Fine,
        true if says_stale && !is_hard => Verdict::Stale,
        true => Verdict::Violation,
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
        let mode = if group % 2 == 1 { "hard" } else { "soft" };
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
    fn an_old_page_may_pass_only_where_it_is_soft_and_says_so() {
        let (soft, hard) = (1_002, 1_001);
        let fresh = b"edge-isr;hit;ttl=30";
        let stale = b"edge-isr;hit;ttl=-3";
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 3\nx"), Verdict::Fine);
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 4\nx"), Verdict::Fine);
        assert_eq!(judge(soft, 3, 200, fresh, b"1002 2\nx"), Verdict::Violation);
        assert_eq!(judge(soft, 3, 200, stale, b"1002 2\nx"), Verdict::Stale);
        assert_eq!(judge(soft, 3, 200, b"edge-isr;fwd=miss", b"1002 2\nx"), Verdict::Violation);
        assert_eq!(judge(hard, 3, 200, stale, b"1001 2\nx"), Verdict::Violation);
        assert_eq!(judge(hard, 3, 200, fresh, b"1002 3\nx"), Verdict::Error);
        assert_eq!(judge(hard, 3, 502, fresh, b"1001 3\nx"), Verdict::Error);
        assert_eq!(judge(hard, 3, 200, fresh, b"nothing"), Verdict::Error);
    }

    #[test]
    fn numbers_are_found_in_the_stats() {
        assert_eq!(number("{\"pages\": 3, \"bytes\": 4096}", "\"bytes\":"), Some(4096));
        assert_eq!(number("{}", "\"bytes\":"), None);
    }
}
