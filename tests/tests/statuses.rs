//! Which answers are stored, and what a later one replaces.
#![allow(
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "a helper that can't go on fails its test, and its cases are tables"
)]

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Empty, Mode, Reason};
use edge_isr_stories::{POSITIONS, Position, Story, begun, get_with, html, lasting, until};
use http::StatusCode;

const S: Duration = Duration::from_secs(1);

fn with_status(status: u16) -> Response {
    let mut response = html(format!("status {status}"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("cache-control", "public, max-age=600".parse().unwrap());
    response
}

#[tokio::test]
async fn p26_d14_only_200_is_stored_whatever_the_header_says() {
    for position in POSITIONS {
        for status in (100..=599).filter(|status| ![200, 206].contains(status)) {
            let Story { isr, page, site, .. } = Story::at(position);
            page.answers(move |_| with_status(status));
            for _ in 0..2 {
                let answer = get_with(&site, "/pages/1", &[]).await;
                assert_eq!(answer.status.as_u16(), status, "{position:?}");
                let forward = format!("edge-isr;fwd=uri-miss;fwd-status={status};");
                let cache_status = answer.cache_status();
                assert!(cache_status.starts_with(&forward), "{position:?}: {cache_status}");
                assert!(cache_status.ends_with(";detail=status"), "{position:?}: {cache_status}");
                assert!(!cache_status.contains(";stored"), "{position:?}: {cache_status}");
                assert_eq!(answer.header("cache-control"), "public, max-age=600", "as the handler wrote it");
            }
            assert_eq!(
                (page.renders(), isr.stats().stored, isr.stats().pages),
                (2, 0, 0),
                "{position:?} {status}"
            );
        }
        let Story { page, site, .. } = Story::at(position);
        page.answers(|_| with_status(200));
        assert!(get_with(&site, "/pages/1", &[]).await.cache_status().contains(";stored"));
    }
}

#[tokio::test]
async fn p26_d15_a_partial_answer_of_the_handler_is_not_stored() {
    for (position, with_range) in POSITIONS.into_iter().zip([true, false]) {
        let Story { isr, page, site, .. } = Story::with(position, lasting(), |builder| builder);
        page.answers(move |_| {
            let mut response = with_status(206);
            if with_range {
                response.headers_mut().insert("content-range", "bytes 0-0/9".parse().unwrap());
            }
            response
        });
        let answer = get_with(&site, "/pages/1", &[("range", "bytes=0-0")]).await;
        assert_eq!((answer.status.as_u16(), &*answer.detail()), (206, "partial"), "{position:?}");
        assert_eq!(isr.stats().stored, 0);
    }
}

#[tokio::test]
async fn p26_statuses_with_a_lifetime_of_their_own_are_stored_for_it_and_not_served_stale() {
    for position in POSITIONS {
        for status in [301_u16, 302, 303, 307, 308, 404, 410, 451] {
            let policy =
                lasting().stale_if_error(3600 * S).status(StatusCode::from_u16(status).unwrap(), 5 * S);
            let Story { clock, page, site, .. } = Story::with(position, policy, |builder| builder);
            page.answers(move |_| with_status(status));
            let case = format!("{position:?} {status}");
            let first = get_with(&site, "/pages/1", &[]).await;
            assert!(first.cache_status().contains(&format!(";fwd-status={status};ttl=5;stored")), "{case}");
            assert_eq!(first.header("cache-control"), "public, max-age=0, s-maxage=5", "{case}");
            clock.advance(4 * S);
            for known in ["*", &first.header("etag")] {
                let hit =
                    get_with(&site, "/pages/1", &[("if-none-match", known), ("range", "bytes=0-0")]).await;
                assert_eq!(
                    (hit.status.as_u16(), hit.is_fresh_hit()),
                    (status, true),
                    "{case}: no conditions, no ranges"
                );
                assert_eq!((&*hit.header("age"), hit.text()), ("4", &*format!("status {status}")), "{case}");
            }
            clock.advance(S);
            assert!(!get_with(&site, "/pages/1", &[]).await.is_hit(), "{case}: not served stale");
            assert_eq!(page.renders(), 2, "{case}");
        }
    }
}

/// How a page is rendered again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// A visitor met the stale page.
    Visitor,
    /// A worker was told.
    Worker,
    /// The lifetime was over and no stale window was left: the visitor waits.
    Waiting,
}

/// A site whose page was rendered well once, with version 1, and then again with this answer.
async fn refilled(position: Position, by: By, policy: Policy, answer: fn() -> Response) -> Story {
    let story = Story::with(position, policy, |builder| {
        let mut limits = edge_isr_stories::prompt();
        limits.render_timeout = Duration::from_millis(200);
        builder.limits(limits)
    });
    assert!(story.get("/pages/1").await.cache_status().contains("stored"));
    story.page.answers(move |_| answer());
    match by {
        By::Worker => {
            let worker = story.worker().await;
            story.invalidate(1, Mode::Soft).await;
            // What failed is tried again later, by a clock that stands still here.
            let has_failed = || story.isr.stats().count(Reason::RefillFailed) > 0;
            tokio::select! {
                () = story.isr.idle() => {}
                () = until(has_failed) => {}
            }
            worker.abort();
        }
        By::Visitor => {
            story.invalidate(1, Mode::Soft).await;
            assert_eq!(story.get("/pages/1").await.text(), "v1");
            story.isr.idle().await;
        }
        By::Waiting => {
            story.clock.advance(4000 * S);
            let site = story.site.clone();
            let asked = tokio::spawn(async move { get_with(&site, "/pages/1", &[]).await });
            // A panic goes on in the leader.
            drop(asked.await);
            story.isr.idle().await;
        }
    }
    assert!(story.page.renders() >= 2, "{position:?} {by:?}");
    story.page.answers(|_| html("new"));
    story
}

#[tokio::test]
async fn p26_a_refill_that_finds_the_page_gone_or_forbidden_takes_the_old_one_away() {
    let gone: [(&str, fn() -> Response); 11] = [
        ("404", || with_status(404)),
        ("410", || with_status(410)),
        ("301", || with_status(301)),
        ("302", || with_status(302)),
        ("308", || with_status(308)),
        ("403", || with_status(403)),
        ("204", || StatusCode::NO_CONTENT.into_response()),
        ("set-cookie", || ([("set-cookie", "a=b")], "x").into_response()),
        ("private", || ([("cache-control", "private")], "x").into_response()),
        ("vary", || ([("vary", "cookie")], "x").into_response()),
        ("empty", || "".into_response()),
    ];
    for position in POSITIONS {
        for by in [By::Visitor, By::Worker, By::Waiting] {
            for (name, answer) in gone {
                let policy = lasting().stale_if_error(3600 * S);
                let story = refilled(position, by, policy, answer).await;
                assert_eq!(story.isr.stats().pages, 0, "{position:?} {by:?} {name}");
                let next = story.get("/pages/1").await;
                assert_eq!((next.text(), next.is_hit()), ("new", false), "{position:?} {by:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn p26_a_refill_with_a_storable_status_replaces_the_page() {
    for position in POSITIONS {
        for by in [By::Visitor, By::Worker, By::Waiting] {
            let policy = lasting().status(StatusCode::NOT_FOUND, 5 * S);
            let story = refilled(position, by, policy, || with_status(404)).await;
            let next = story.get("/pages/1").await;
            assert_eq!((next.status.as_u16(), next.is_fresh_hit()), (404, true), "{position:?} {by:?}");
        }
    }
}

#[tokio::test]
async fn p26_a_refill_that_fails_keeps_the_last_good_page() {
    let failing: [(&str, fn() -> Response); 5] = [
        ("500", || with_status(500)),
        ("503", || with_status(503)),
        ("500 with a cookie", || {
            let mut response = with_status(500);
            response.headers_mut().insert("set-cookie", "a=b".parse().unwrap());
            response
        }),
        ("panic", || panic!("as the test wants it")),
        ("time-out", || {
            Response::new(Body::from_stream(futures_util::stream::pending::<std::io::Result<&str>>()))
        }),
    ];
    for position in POSITIONS {
        for by in [By::Visitor, By::Worker, By::Waiting] {
            for (name, answer) in failing {
                let policy = lasting().stale_if_error(7200 * S);
                let story = refilled(position, by, policy, answer).await;
                assert_eq!(story.isr.stats().pages, 1, "{position:?} {by:?} {name}");
                story.page.gated(true);
                if by == By::Waiting {
                    // Past its stale window it still stands in for a render that fails.
                    story.page.gated(false);
                    story.page.answers(|_| with_status(502));
                    let next = story.get("/pages/1").await;
                    assert_eq!(
                        (next.text(), &*next.detail()),
                        ("v1", "stale-if-error"),
                        "{position:?} {name}"
                    );
                } else {
                    let next = story.get("/pages/1").await;
                    assert_eq!(
                        (next.text(), &*next.detail()),
                        ("v1", "invalidated"),
                        "{position:?} {by:?} {name}"
                    );
                    assert!(next.is_zero_downstream(), "{position:?} {by:?} {name}");
                }
                story.page.gate().open(100);
            }
        }
    }
}

#[tokio::test]
async fn d14_an_empty_page_is_stored_where_the_route_says_so() {
    for position in POSITIONS {
        for (policy, is_stored) in [(lasting(), false), (lasting().empty(Empty::Store), true)] {
            let Story { page, site, .. } = Story::with(position, policy, |builder| builder);
            page.answers(|_| Body::empty().into_response());
            get_with(&site, "/pages/1", &[]).await;
            assert_eq!(get_with(&site, "/pages/1", &[]).await.is_fresh_hit(), is_stored, "{position:?}");
        }
    }
}

#[tokio::test]
async fn x02_paths_that_do_not_exist_leave_nothing_behind() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        page.answers(|_| with_status(404));
        for n in 0..200 {
            get_with(&site, &format!("/pages/{n}"), &[]).await;
        }
        assert_eq!((isr.stats().pages, isr.stats().bytes, page.renders()), (0, 0, 200), "{position:?}");
        assert!(isr.graph().urls_for(&Tag::named("page"), None, 10).await.unwrap().urls.is_empty());
    }
}

#[tokio::test]
async fn p26_a_failure_is_shared_with_those_who_wait_and_not_stored() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        page.answers(|_| with_status(503));
        page.gated(true);
        let ask = || {
            let site = site.clone();
            async move { get_with(&site, "/pages/1", &[]).await }
        };
        let (first, second) = (begun(ask()).await, begun(ask()).await);
        page.gate().arrival().await;
        page.gate().open(10);
        let (first, second) = (first.await, second.await);
        assert_eq!(
            (first.status.as_u16(), second.status.as_u16(), page.renders()),
            (503, 503, 1),
            "{position:?}"
        );
        assert_eq!(first.body, second.body);
        assert!(second.cache_status().contains(";collapsed") && !second.cache_status().contains(";stored"));
        page.gated(false);
        page.answers(|_| html("well again"));
        assert_eq!(get_with(&site, "/pages/1", &[]).await.text(), "well again");
        assert_eq!(isr.stats().pages, 1, "{position:?}");
    }
}
