//! What is served past its lifetime: rule 3.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gateway, Said};

use super::S;

/// A page with this `Cache-Control`, so many seconds later, when the origin answers so.
async fn later(policy: Policy, line: &str, seconds: u32, then: Said) -> (Gateway, edge_isr_stories::Answer) {
    let gateway = Gateway::with(policy);
    gateway.says("/a", Said::ok(&[("cache-control", line)]).body("old"));
    gateway.get("/a").await;
    gateway.clock.advance(seconds * S);
    gateway.says("/a", then);
    let answer = gateway.get("/a").await;
    (gateway, answer)
}

fn new() -> Said {
    Said::ok(&[("cache-control", "max-age=60")]).body("new")
}

#[tokio::test]
async fn h03_while_revalidating_inside_the_window_only() {
    let line = "max-age=60, stale-while-revalidate=30";
    let (gateway, answer) = later(Policy::from_origin(), line, 89, new()).await;
    assert_eq!((answer.text(), answer.detail().as_str()), ("old", "aged"));
    let next = gateway.get("/a").await;
    assert!(
        next.is_fresh_hit() && next.text() == "new",
        "it was rendered meanwhile: {}",
        next.cache_status()
    );
    let (_, answer) = later(Policy::from_origin(), line, 90, new()).await;
    assert_eq!(answer.text(), "new");
}

#[tokio::test]
async fn h03_never_without_permission_or_against_a_prohibition() {
    for line in [
        "max-age=60",
        "max-age=60, stale-while-revalidate=0",
        "max-age=60, stale-while-revalidate=x",
        "max-age=60, stale-while-revalidate=30, must-revalidate",
        "max-age=60, stale-while-revalidate=30, proxy-revalidate",
        "s-maxage=60",
    ] {
        let (_, answer) = later(Policy::from_origin(), line, 61, new()).await;
        assert_eq!(answer.text(), "new", "{line}");
    }
    let (_, answer) = later(Policy::from_origin(), "s-maxage=60, stale-while-revalidate=30", 61, new()).await;
    assert_eq!(answer.text(), "old", "what is written outranks what `s-maxage` implies");
}

#[tokio::test]
async fn h03_an_origin_that_fails_is_stood_in_for_within_the_window() {
    let fails = || Said::with(503, &[]);
    for (line, seconds, expected) in [
        ("max-age=60, stale-if-error=30", 89, 200),
        ("max-age=60, stale-if-error=30", 90, 503),
        ("max-age=60", 61, 503),
        ("max-age=60, stale-if-error=30, must-revalidate", 61, 503),
        ("max-age=60, stale-if-error=30, proxy-revalidate", 61, 503),
        ("s-maxage=60", 61, 503),
        ("s-maxage=60, stale-if-error=30", 61, 200),
    ] {
        let (_, answer) = later(Policy::from_origin(), line, seconds, fails()).await;
        assert_eq!(answer.status, expected, "{line}");
        if expected == 200 {
            assert_eq!((answer.text(), answer.detail().as_str()), ("old", "stale-if-error"), "{line}");
        }
    }
    let fresh_failure = Said::with(503, &[("cache-control", "max-age=60")]);
    let (gateway, answer) =
        later(Policy::from_origin(), "max-age=60, stale-if-error=30", 61, fresh_failure).await;
    assert_eq!(answer.text(), "old");
    assert_eq!(gateway.get("/a").await.text(), "old", "a failure takes no page's place");
}

#[tokio::test]
async fn h03_the_routes_own_allowance_is_for_answers_that_say_nothing() {
    let policy = || Policy::from_origin().stale_if_error(30 * S);
    for (line, seconds, expected) in [
        ("max-age=60", 89, 200),
        ("max-age=60", 90, 500),
        ("max-age=60, stale-if-error=0", 61, 500),
        ("max-age=60, stale-if-error=90", 149, 200),
        ("max-age=60, must-revalidate", 61, 500),
        ("s-maxage=60", 61, 500),
        ("s-maxage=60, stale-while-revalidate=1", 62, 500),
    ] {
        let (_, answer) = later(policy(), line, seconds, Said::with(500, &[])).await;
        assert_eq!(answer.status, expected, "{line}");
    }
}

#[tokio::test]
async fn h03_a_failure_that_may_not_be_stored_is_stood_in_for_too() {
    for headers in [
        &[("cache-control", "no-store")][..],
        &[("cache-control", "private, max-age=60")],
        &[("set-cookie", "a=b")],
        &[("vary", "*")],
        &[("cache-control", "max-age=0"), ("etag", "\"b\"")],
        &[("content-length", "999")],
    ] {
        for validator in [&[][..], &[("etag", "\"a\"")]] {
            let gateway = Gateway::new();
            let line = ("cache-control", "max-age=60, stale-if-error=30");
            gateway.says("/a", Said::ok(&[&[line], validator].concat()).body("old"));
            gateway.get("/a").await;
            gateway.clock.advance(61 * S);
            gateway.says("/a", Said::with(503, headers));
            for _ in 0..3 {
                let answer = gateway.get("/a").await;
                let found = (answer.status.as_u16(), answer.text(), answer.detail());
                assert_eq!(found, (200, "old", "stale-if-error".to_owned()), "{headers:?}");
            }
            gateway.says("/a", new());
            assert_eq!(gateway.get("/a").await.text(), "new");
        }
    }
}

#[tokio::test]
async fn h03_an_origin_that_says_the_page_is_gone_is_believed() {
    for status in [404, 410, 403, 200] {
        let line = "max-age=60, stale-if-error=60, stale-while-revalidate=60";
        let (gateway, answer) =
            later(Policy::from_origin(), line, 61, Said::with(status, &[("cache-control", "no-store")]))
                .await;
        assert_eq!(answer.text(), "old", "{status}: while it was asked");
        let answer = gateway.get("/a").await;
        assert_eq!((answer.status.as_u16(), answer.is_hit()), (status, false), "{}", answer.cache_status());
        gateway.says("/a", Said::with(500, &[]));
        assert_eq!(gateway.get("/a").await.status, 500, "{status}: nothing stands in");
    }
}

#[tokio::test]
async fn h09_who_names_an_age_is_given_nothing_that_was_invalidated() {
    let policy =
        Policy::from_origin().request_directives(edge_isr_core::model::origin::RequestDirectives::Honor);
    for (line, is_hit) in [("max-age=300", false), ("min-fresh=1", false), ("max-stale=300", true)] {
        let gateway = Gateway::with(policy.clone());
        let own = [("cache-control", "max-age=600, stale-while-revalidate=600"), ("surrogate-key", "t:1")];
        gateway.says("/a", Said::ok(&own));
        gateway.get("/a").await;
        gateway.isr.graph().revalidate_by_tags([tag("t", 1)]).await.unwrap();
        assert_eq!(gateway.get_with("/a", &[("cache-control", line)]).await.is_hit(), is_hit, "{line}");
    }
}
