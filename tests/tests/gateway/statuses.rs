//! What kind of answer is stored: rules 2, 14, 17 and 18.

use edge_isr_axum::prelude::*;
use edge_isr_core::model::origin::SetCookie;
use edge_isr_stories::{Gateway, Said};

use super::{S, is_reused, reuses};

#[tokio::test]
async fn h02_any_final_status_with_explicit_freshness_is_stored() {
    for status in
        [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 410, 418, 499, 500, 502, 503, 504, 599]
    {
        let gateway = Gateway::new();
        assert!(
            is_reused(&gateway, Said::with(status, &[("cache-control", "max-age=60")])).await,
            "{status}"
        );
        assert!(!is_reused(&Gateway::new(), Said::with(status, &[])).await, "{status} without");
    }
}

#[tokio::test]
async fn h02_must_understand_is_for_who_does() {
    let both = [("cache-control", "max-age=60, no-store, must-understand")];
    for (status, expected) in [(200, true), (404, true), (299, false), (599, false)] {
        assert_eq!(is_reused(&Gateway::new(), Said::with(status, &both)).await, expected, "{status}");
    }
    let alone = [("cache-control", "max-age=60, must-understand")];
    assert!(!is_reused(&Gateway::new(), Said::with(599, &alone)).await);
}

#[tokio::test]
async fn h02_what_is_neither_fresh_nor_can_be_validated_is_not_stored() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=0")]));
    assert_eq!(gateway.get("/a").await.detail(), "no-freshness");
    gateway.says("/b", Said::ok(&[("cache-control", "no-cache")]));
    assert_eq!(gateway.get("/b").await.detail(), "no-cache");
}

#[tokio::test]
async fn h13_h14_parts_and_interim_answers_are_no_pages() {
    let fresh = ("cache-control", "max-age=60");
    for said in [
        Said::with(206, &[fresh, ("content-range", "bytes 0-1/9")]),
        Said::with(206, &[fresh]),
        Said::with(200, &[fresh, ("content-range", "bytes 0-1/9")]),
        Said::with(103, &[fresh, ("link", "</x>; rel=preload")]),
    ] {
        assert!(!is_reused(&Gateway::new(), said.clone()).await, "{said:?}");
    }
    let events = [fresh, ("content-type", "text/event-stream")];
    assert!(!reuses(&events).await);
}

#[tokio::test]
async fn h17_cookies_are_not_shared_unless_somebody_says_so() {
    let headers = [("cache-control", "public, max-age=60"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&headers));
    let answer = gateway.get("/a").await;
    assert_eq!((answer.header("set-cookie").as_str(), answer.detail().as_str()), ("a=1, b=2", "set-cookie"));
    assert!(!gateway.get("/a").await.is_hit());
    let storing = Gateway::with(Policy::from_origin().set_cookie(SetCookie::Store));
    assert!(is_reused(&storing, Said::ok(&headers)).await);
    assert_eq!(storing.get("/a").await.header("set-cookie"), "a=1, b=2");
}

#[tokio::test]
async fn h18_a_body_that_is_not_as_long_as_promised_is_not_stored() {
    for length in ["9", "3", "x"] {
        let headers = [("cache-control", "max-age=60"), ("content-length", length)];
        assert!(!is_reused(&Gateway::new(), Said::ok(&headers).body("12345")).await, "{length}");
    }
    let headers = [("cache-control", "max-age=60"), ("content-length", "5")];
    assert!(is_reused(&Gateway::new(), Said::ok(&headers).body("12345")).await);
}

/// What an origin says about one request, or about the moment, and not about the page.
const REFUSALS: [u16; 15] = [400, 406, 408, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431, 503];

#[tokio::test]
async fn h03_what_one_visitor_is_refused_leaves_everyones_stale_page() {
    for status in REFUSALS {
        let gateway = Gateway::new();
        let stale = "max-age=10, stale-while-revalidate=600, stale-if-error=600";
        gateway.says("/a", Said::ok(&[("cache-control", stale)]).body("good"));
        gateway.get("/a").await;
        gateway.clock.advance(11 * S);
        gateway.says("/a", Said::with(status, &[]).body("no"));
        for _ in 0..2 {
            let answer = gateway.get_with("/a", &[("accept", "no/such")]).await;
            assert_eq!((answer.text(), answer.detail().as_str()), ("good", "aged"), "{status}");
        }
    }
}

#[tokio::test]
async fn h02_what_one_visitor_is_refused_has_nobody_pass_the_cache() {
    for (status, expected) in REFUSALS.map(|status| (status, "absent")).into_iter().chain([
        (404, "pass"),
        (401, "pass"),
        (302, "pass"),
    ]) {
        let gateway = Gateway::new();
        gateway.says("/a", Said::with(status, &[("cache-control", "no-cache")]));
        gateway.get("/a").await;
        gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
        assert_eq!(gateway.get("/a").await.detail(), expected, "{status}");
    }
}

#[tokio::test]
async fn p14_what_a_policy_route_answers_is_about_its_url_whatever_it_says() {
    use edge_isr_stories::{POSITIONS, Story};

    for position in POSITIONS {
        let story = Story::at(position);
        story.page.answers(|_| http::Response::builder().status(400).body("no".into()).unwrap());
        story.get("/pages/1").await;
        story.page.answers(|_| edge_isr_stories::html("good"));
        assert_eq!(story.get("/pages/1").await.detail(), "pass", "{position:?}");
    }
}
