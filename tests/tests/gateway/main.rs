//! Gateway routes: stories for each numbered rule of HTTP caching that they follow, `h01_…` to `h22_…`.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod after_304;
mod basics;
mod changes;
mod credentials;
mod fields;
mod hostile;
mod lifetimes;
mod narrow;
mod stale;
mod statuses;
mod validation;
mod variants;
mod waiting;
mod writes;

use std::time::Duration;

use edge_isr_stories::{Answer, Gateway, Said};

const S: Duration = Duration::from_secs(1);

/// Says something of `/a`, asks for it twice, and tells whether the second answer was the first one's page, fresh.
async fn is_reused(gateway: &Gateway, said: Said) -> bool {
    gateway.says("/a", said);
    let first = gateway.get("/a").await;
    let second = gateway.get("/a").await;
    second.is_fresh_hit() && second.body == first.body
}

/// The same behind a gateway of its own with the defaults, for an answer with these headers.
async fn reuses(headers: &[(&str, &str)]) -> bool {
    is_reused(&Gateway::new(), Said::ok(headers)).await
}

/// What remains of the lifetime of the page at `/a`.
async fn ttl(gateway: &Gateway) -> i64 {
    let answer = gateway.get("/a").await;
    let status = answer.cache_status();
    let ttl = status.split(';').find_map(|part| part.trim().strip_prefix("ttl="));
    ttl.and_then(|ttl| ttl.parse().ok()).unwrap_or_else(|| panic!("no ttl in {status}"))
}

/// An answer's `Age` in seconds.
fn age(answer: &Answer) -> u64 {
    answer.header("age").parse().unwrap_or_else(|_| panic!("no age: {:?}", answer.headers))
}
