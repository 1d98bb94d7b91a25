//! Asking whether what is stored is still right, and being asked: rules 9, 10, 13 and 15.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Answer, Gateway, Said, head};

use super::{S, ttl};

/// A page that is past its lifetime.
async fn aged(headers: &[(&str, &str)]) -> Gateway {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(headers).body("page"));
    gateway.get("/a").await;
    gateway.clock.advance(61 * S);
    gateway
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const MODIFIED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");

#[tokio::test]
async fn h09_the_origin_is_asked_with_its_own_validators() {
    for (validators, asked) in [
        (&[("etag", "\"a\"")][..], &[("if-none-match", "\"a\"")][..]),
        (&[("etag", "W/\"a\"")], &[("if-none-match", "W/\"a\"")]),
        (&[MODIFIED], &[("if-modified-since", MODIFIED.1)]),
        (&[("etag", "\"a\""), MODIFIED], &[("if-none-match", "\"a\""), ("if-modified-since", MODIFIED.1)]),
        (&[], &[]),
    ] {
        let headers: Vec<_> = [FRESH].iter().chain(validators).copied().collect();
        let gateway = aged(&headers).await;
        gateway.get("/a").await;
        let seen = &gateway.seen()[1].headers;
        for name in ["if-none-match", "if-modified-since"] {
            let expected = asked.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            let found = seen.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(found, expected, "{validators:?}");
        }
    }
}

#[tokio::test]
async fn h09_a_304_replaces_what_it_has_and_keeps_what_it_omits() {
    let gateway =
        aged(&[FRESH, ("etag", "\"a\""), ("x-a", "old"), ("x-b", "1"), ("x-b", "2"), ("age", "9")]).await;
    let date = gateway.date(0);
    let update = [("cache-control", "max-age=30"), ("etag", "\"a\""), ("x-a", "new"), ("date", &date)];
    gateway.says("/a", Said::with(304, &[&update[..], &[("content-length", "999")]].concat()));
    let answer = gateway.get("/a").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "page"));
    assert_eq!((answer.header("x-a").as_str(), answer.header("x-b").as_str()), ("new", "1, 2"));
    assert_eq!((answer.header("content-length").as_str(), answer.header("date")), ("4", date));
    let hit = gateway.get("/a").await;
    assert!(hit.is_fresh_hit(), "{}", hit.cache_status());
    assert_eq!(super::age(&hit), 0, "the age is that of the new answer");
    assert_eq!(ttl(&gateway).await, 30);
}

#[tokio::test]
async fn cache_status_says_what_the_origin_answered_and_not_what_was_made_of_it() {
    let gateway = aged(&[FRESH, ("etag", "\"a\"")]).await;
    let asked = |answer: &Answer| answer.cache_status().contains("fwd=stale;fwd-status=304;");
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"a\"")]));
    let confirmed = gateway.get("/a").await;
    assert_eq!((confirmed.status.as_u16(), confirmed.text()), (200, "page"));
    assert!(asked(&confirmed), "{}", confirmed.cache_status());
    assert!(confirmed.cache_status().contains(";stored"), "{}", confirmed.cache_status());
    gateway.clock.advance(61 * S);
    gateway.says("/a", Said::ok(&[FRESH, ("etag", "\"b\"")]).body("new"));
    let renewed = gateway.get("/a").await;
    assert!(renewed.cache_status().contains("fwd=stale;fwd-status=200;"), "{}", renewed.cache_status());
    gateway.clock.advance(61 * S);
    gateway.says("/a", Said::with(304, &[("cache-control", "no-store"), ("etag", "\"b\"")]));
    let own = gateway.get("/a").await;
    assert_eq!((own.text(), own.detail().as_str()), ("new", "no-store"));
    assert!(asked(&own), "what may not be stored was confirmed, too: {}", own.cache_status());
}

#[tokio::test]
async fn h09_a_304_about_something_else_is_not_believed() {
    let gateway = aged(&[FRESH, ("etag", "\"a\"")]).await;
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"b\"")]));
    gateway.get("/a").await;
    let seen = gateway.seen();
    assert_eq!(seen.len(), 3, "it was asked again, for all of it");
    assert!(!seen[2].headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn h09_each_variant_is_validated_with_its_own_tag() {
    let gateway = Gateway::new();
    for language in ["de", "en"] {
        let etag = format!("\"{language}\"");
        gateway.says("/a", Said::ok(&[FRESH, ("vary", "accept-language"), ("etag", &etag)]).body(language));
        gateway.get_with("/a", &[("accept-language", language)]).await;
    }
    gateway.clock.advance(61 * S);
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"de\"")]));
    let german = gateway.get_with("/a", &[("accept-language", "de")]).await;
    assert_eq!(
        (german.text(), gateway.seen()[2].headers["if-none-match"].to_str().unwrap()),
        ("de", "\"de\"")
    );
    gateway.says("/a", Said::ok(&[FRESH, ("vary", "accept-language"), ("etag", "\"en2\"")]).body("en2"));
    assert_eq!(gateway.get_with("/a", &[("accept-language", "en")]).await.text(), "en2");
    assert_eq!(gateway.seen()[3].headers["if-none-match"], "\"en\"");
    assert_eq!(gateway.get_with("/a", &[("accept-language", "de")]).await.text(), "de");
}

#[tokio::test]
async fn h09_a_page_that_is_served_stale_is_validated_meanwhile() {
    let line = ("cache-control", "max-age=60, stale-while-revalidate=60");
    let gateway = aged(&[line, ("etag", "\"a\"")]).await;
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"a\"")]));
    assert_eq!(gateway.get("/a").await.detail(), "aged");
    assert_eq!(gateway.seen()[1].headers["if-none-match"], "\"a\"");
    let hit = gateway.get("/a").await;
    assert!(hit.is_fresh_hit() && hit.text() == "page", "{}", hit.cache_status());
}

#[tokio::test]
async fn h09_a_page_that_was_invalidated_is_asked_about_by_a_strong_tag_alone() {
    for (validators, is_asked) in [
        (&[("etag", "\"a\"")][..], true),
        (&[("etag", "W/\"a\"")], false),
        (&[MODIFIED], false),
        (&[], false),
    ] {
        let gateway = Gateway::new();
        let headers: Vec<_> = [FRESH, ("surrogate-key", "t")].iter().chain(validators).copied().collect();
        gateway.says("/a", Said::ok(&headers));
        gateway.get("/a").await;
        gateway.isr.graph().revalidate_by_tags([Tag::named("t")]).await.unwrap();
        gateway.get("/a").await;
        let seen = &gateway.seen()[1].headers;
        assert_eq!(seen.contains_key("if-none-match"), is_asked, "{validators:?}");
        assert!(is_asked || !seen.contains_key("if-modified-since"), "{validators:?}");
    }
}

#[tokio::test]
async fn h09_a_304_that_forbids_storing_is_obeyed() {
    let gateway = aged(&[FRESH, ("etag", "\"a\"")]).await;
    gateway.says("/a", Said::with(304, &[("cache-control", "no-store"), ("etag", "\"a\"")]));
    let answer = gateway.get("/a").await;
    assert_eq!((answer.status.as_u16(), answer.text(), answer.detail().as_str()), (200, "page", "no-store"));
    gateway.says("/a", Said::ok(&[FRESH]).body("new"));
    let answer = gateway.get("/a").await;
    assert_eq!(answer.text(), "new");
}

#[tokio::test]
async fn h09_h10_a_visitor_who_has_the_page_gets_a_304_once_it_was_validated() {
    let gateway = aged(&[FRESH, ("etag", "\"a\"")]).await;
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"a\"")]));
    let answer = gateway.get_with("/a", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (304, ""));
    gateway.clock.advance(61 * S);
    let answer = gateway.get_with("/a", &[("if-none-match", "\"old\"")]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "page"));
    assert_eq!(gateway.seen()[2].headers["if-none-match"], "\"a\"", "the page's, not the visitor's");
}

#[tokio::test]
async fn h13_h15_a_stale_page_is_validated_whole_for_whoever_wants_less() {
    for (method, range) in [("HEAD", None), ("GET", Some("bytes=1-2"))] {
        let gateway = aged(&[FRESH, ("etag", "\"a\"")]).await;
        gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"a\"")]));
        let mut request = edge_isr_stories::ask("/a").method(method);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = edge_isr_stories::send(&gateway.site, request).await;
        let seen = &gateway.seen()[1];
        assert_eq!(seen.headers["if-none-match"], "\"a\"");
        assert!(seen.method == "GET" && !seen.headers.contains_key("range"), "{seen:?}");
        let expected = if range.is_some() { (206, "ag") } else { (200, "") };
        assert_eq!((answer.status.as_u16(), answer.text()), expected);
        assert_eq!(gateway.get("/a").await.text(), "page");
    }
}

#[tokio::test]
async fn h09_a_304_for_a_client_has_the_fields_it_must() {
    let gateway = Gateway::new();
    let date = gateway.date(0);
    let expires = gateway.date(60);
    let kept = [
        FRESH,
        ("etag", "\"a\""),
        ("vary", "accept"),
        ("date", &date),
        ("expires", &expires),
        ("content-location", "/a.html"),
    ];
    gateway.says("/a", Said::ok(&[&kept[..], &[("x-other", "1")]].concat()));
    gateway.get("/a").await;
    let answer = gateway.get_with("/a", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (304, ""));
    for (name, value) in kept {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(gateway.asked(), 1);
}

#[tokio::test]
async fn h10_conditions_are_answered_from_the_page() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("etag", "W/\"a\""), MODIFIED]));
    gateway.get("/a").await;
    let earlier = ("if-modified-since", "Sun, 06 Nov 1994 08:00:00 GMT");
    let same = ("if-modified-since", MODIFIED.1);
    for (headers, expected) in [
        (&[("if-none-match", "\"a\"")][..], 304),
        (&[("if-none-match", "\"x\", W/\"a\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\"")], 200),
        (&[("if-none-match", "a")], 200),
        (&[same], 304),
        (&[earlier], 200),
        (&[("if-none-match", "\"x\""), same], 200),
        (&[("if-none-match", "\"a\""), earlier], 304),
        (&[("if-modified-since", "yesterday")], 200),
    ] {
        let answer = gateway.get_with("/a", headers).await;
        assert_eq!(answer.status, expected, "{headers:?}");
        assert!(answer.is_fresh_hit(), "{headers:?}");
    }
    assert_eq!(gateway.asked(), 1);
}

#[tokio::test]
async fn h10_a_visitors_condition_does_not_reach_the_origin_for_a_page() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("etag", "\"a\"")]).body("page"));
    let answer = gateway.get_with("/a", &[("if-none-match", "\"a\"")]).await;
    assert_eq!(answer.status, 304, "the page that it made is what the visitor has");
    assert!(!gateway.seen()[0].headers.contains_key("if-none-match"));
    assert_eq!(gateway.get("/a").await.text(), "page");
}

#[tokio::test]
async fn h13_ranges_are_answered_from_the_page() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("etag", "\"a\"")]).body("0123456789"));
    gateway.get("/a").await;
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=0-1,3-4", 200, "0123456789", ""),
        ("lines=0-1", 200, "0123456789", ""),
    ] {
        let answer = gateway.get_with("/a", &[("range", range)]).await;
        let found = (answer.status.as_u16(), answer.text(), answer.header("content-range"));
        assert_eq!(found, (status, body, content_range.to_owned()), "{range}");
    }
    assert_eq!(gateway.get_with("/a", &[("range", "bytes=0-1"), ("if-range", "\"b\"")]).await.status, 200);
    assert_eq!(gateway.asked(), 1);
}

#[tokio::test]
async fn h13_a_range_of_what_is_not_stored_is_the_origins_to_answer() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::with(206, &[FRESH, ("content-range", "bytes 0-1/10")]).body("01"));
    let answer = gateway.get_with("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (206, "01"));
    assert_eq!(gateway.seen()[0].headers["range"], "bytes=0-1");
    gateway.says("/a", Said::ok(&[FRESH]).body("0123456789"));
    assert_eq!(gateway.get("/a").await.text(), "0123456789", "the part was not stored");
}

#[tokio::test]
async fn h15_head_is_answered_from_the_page() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("x-a", "1")]).body("page"));
    assert_eq!(head(&gateway.site, "/a").await.header("x-a"), "1");
    assert_eq!(gateway.seen()[0].method, "HEAD", "what is not stored is asked for as it was");
    gateway.get("/a").await;
    let answer = head(&gateway.site, "/a").await;
    assert!(answer.is_fresh_hit() && answer.body.is_empty(), "{}", answer.cache_status());
    assert_eq!((answer.header("content-length").as_str(), answer.header("x-a").as_str()), ("4", "1"));
    assert_eq!(gateway.asked(), 2);
    assert_eq!(gateway.get("/a").await.text(), "page");
}

#[tokio::test]
async fn h10_every_success_answers_conditions_and_only_200_has_ranges() {
    for status in [200, 203, 299] {
        let gateway = Gateway::new();
        gateway.says("/a", Said::with(status, &[FRESH, ("etag", "\"a\""), MODIFIED]).body("0123456789"));
        gateway.get("/a").await;
        for condition in
            [("if-none-match", "\"a\""), ("if-none-match", "W/\"a\""), ("if-modified-since", MODIFIED.1)]
        {
            let answer = gateway.get_with("/a", &[condition]).await;
            assert_eq!(answer.status, 304, "{status} {condition:?}");
        }
        let part = gateway.get_with("/a", &[("range", "bytes=0-1")]).await;
        assert_eq!(part.status, if status == 200 { 206 } else { status }, "{status}");
    }
    let gateway = Gateway::new();
    gateway.says("/a", Said::with(404, &[FRESH, ("etag", "\"a\"")]));
    gateway.get("/a").await;
    assert_eq!(gateway.get_with("/a", &[("if-none-match", "\"a\"")]).await.status, 404);
}

#[tokio::test]
async fn h05_h10_dates_of_conditions_are_read_as_all_are() {
    for modified in [MODIFIED.1, "Mon, 06 Nov 1994 08:49:37 GMT", "yesterday"] {
        let gateway = Gateway::new();
        gateway.says("/a", Said::ok(&[FRESH, ("last-modified", modified)]));
        gateway.get("/a").await;
        let forms = [
            MODIFIED.1,
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ];
        for form in [&forms[..], &[modified]].concat() {
            let answer = gateway.get_with("/a", &[("if-modified-since", form)]).await;
            let expected = if [modified, form].contains(&"yesterday") { 200 } else { 304 };
            assert_eq!(answer.status, expected, "{modified}: {form}");
        }
        let earlier = gateway.get_with("/a", &[("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")]).await;
        assert_eq!(earlier.status, 200);
    }
}
