//! The fields that answers leave with: rules 12 and 19, and requests' directives, rule 16.

use edge_isr_axum::prelude::*;
use edge_isr_core::model::origin::RequestDirectives;
use edge_isr_stories::{Gateway, Said};

use super::S;

#[tokio::test]
async fn h12_fields_of_the_connection_are_dropped_and_all_others_kept_in_order() {
    let gateway = Gateway::new();
    gateway.says(
        "/a",
        Said::ok(&[
            ("cache-control", "max-age=60"),
            ("connection", "X-Hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("x-many", "b"),
            ("x-many", "a, c"),
            ("x-raw", "\t Odd  Case;;"),
            ("link", "</x>"),
            ("link", "</y>"),
        ]),
    );
    gateway.get("/a").await;
    let hit = gateway.get("/a").await;
    assert!(hit.is_fresh_hit());
    for name in ["connection", "x-hop", "keep-alive", "proxy-authenticate"] {
        assert!(!hit.headers.contains_key(name), "{name}");
    }
    let lines =
        |name| hit.headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(lines("x-many"), ["b", "a, c"]);
    assert_eq!(lines("link"), ["</x>", "</y>"]);
    assert_eq!(hit.headers["x-raw"].as_bytes(), b"\t Odd  Case;;");
}

#[tokio::test]
async fn h16_directives_of_strangers_force_nothing() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    gateway.get("/a").await;
    gateway.clock.advance(30 * S);
    for line in ["no-cache", "no-store", "max-age=0", "min-fresh=99", "only-if-cached"] {
        let answer = gateway.get_with("/a", &[("cache-control", line)]).await;
        assert!(answer.is_fresh_hit(), "{line}: {}", answer.cache_status());
    }
    assert!(gateway.get_with("/a", &[("pragma", "no-cache")]).await.is_fresh_hit());
    gateway.clock.advance(60 * S);
    gateway.get_with("/a", &[("cache-control", "max-stale")]).await;
    assert_eq!(gateway.asked(), 2, "nor allow anything");
}

#[tokio::test]
async fn h16_where_they_are_honoured_each_means_what_it_says() {
    let line = ("cache-control", "max-age=60");
    for (asked, age, expected) in [
        (("cache-control", "no-cache"), 30, false),
        (("pragma", "no-cache"), 30, false),
        (("cache-control", "no-store"), 30, false),
        (("cache-control", "foo, no-caches"), 30, true),
        (("cache-control", "max-age=30"), 30, true),
        (("cache-control", "max-age=29"), 30, false),
        (("cache-control", "max-age=x"), 30, false),
        (("cache-control", "min-fresh=30"), 30, true),
        (("cache-control", "min-fresh=31"), 30, false),
        (("cache-control", "max-stale=10"), 70, true),
        (("cache-control", "max-stale"), 70, true),
        (("cache-control", "max-stale=9"), 70, false),
        (("cache-control", "only-if-cached"), 30, true),
    ] {
        let gateway = Gateway::with(Policy::from_origin().request_directives(RequestDirectives::Honor));
        gateway.says("/a", Said::ok(&[line, ("etag", "\"a\"")]).body("old"));
        gateway.get("/a").await;
        gateway.clock.advance(age * S);
        gateway.says("/a", Said::ok(&[line]).body("new"));
        let answer = gateway.get_with("/a", &[asked]).await;
        assert_eq!(
            answer.text(),
            if expected { "old" } else { "new" },
            "{asked:?}: {}",
            answer.cache_status()
        );
    }
    let gateway = Gateway::with(Policy::from_origin().request_directives(RequestDirectives::Honor));
    gateway.says(
        "/a",
        Said::ok(&[("cache-control", "max-age=60, must-revalidate"), ("etag", "\"a\"")]).body("old"),
    );
    gateway.get("/a").await;
    gateway.clock.advance(61 * S);
    gateway.says("/a", Said::ok(&[line]).body("new"));
    let answer = gateway.get_with("/a", &[("cache-control", "max-stale")]).await;
    assert_eq!(answer.text(), "new", "the origin's prohibition outranks a client's permission");
    let answer = gateway.get_with("/b", &[("cache-control", "only-if-cached")]).await;
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn h19_cache_status_is_appended_and_says_what_happened() {
    let gateway = Gateway::new();
    let prior = ("cache-status", "Nearer; fwd=miss");
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60, stale-while-revalidate=60"), prior]));
    let first = gateway.get("/a").await.cache_status();
    assert!(first.starts_with("Nearer; fwd=miss, edge-isr;fwd=uri-miss;fwd-status=200"), "{first}");
    assert!(first.contains(";stored"), "{first}");
    gateway.clock.advance(5 * S);
    let hit = gateway.get("/a").await.cache_status();
    assert_eq!(hit, "Nearer; fwd=miss, edge-isr;hit;ttl=55");
    gateway.clock.advance(65 * S);
    let stale = gateway.get("/a").await.cache_status();
    assert!(stale.contains("edge-isr;hit;ttl=-10;detail=aged"), "{stale}");
    for (path, headers, ask, expected) in [
        (
            "/no-store",
            &[("cache-control", "no-store")][..],
            &[][..],
            "fwd=uri-miss;fwd-status=200;detail=no-store",
        ),
        ("/b", &[("cache-control", "max-age=60")], &[("cookie", "a=b")], "detail=cookie"),
        ("/c", &[("cache-control", "max-age=60")], &[("range", "bytes=0-1")], "fwd=uri-miss;detail=partial"),
    ] {
        gateway.says(path, Said::ok(headers));
        let found = gateway.get_with(path, ask).await.cache_status();
        assert!(found.contains(expected), "{path}: {found}");
        assert!(!found.contains("stored"), "{path}: {found}");
    }
    gateway.says("/v", Said::ok(&[("cache-control", "max-age=60"), ("vary", "x-a")]));
    gateway.get_with("/v", &[("x-a", "1")]).await;
    let miss = gateway.get_with("/v", &[("x-a", "2")]).await.cache_status();
    assert!(miss.contains("fwd=vary-miss"), "{miss}");
}

#[tokio::test]
async fn h12_a_body_that_came_encoded_stays_as_it_is() {
    let gateway = Gateway::uncompressed();
    let headers = [
        ("cache-control", "max-age=60"),
        ("content-encoding", "gzip"),
        ("vary", "accept-encoding"),
        ("etag", "\"gz\""),
    ];
    gateway.says("/a", Said::ok(&headers).body("packed"));
    let gzip = &[("accept-encoding", "gzip")];
    assert_eq!(gateway.get_with("/a", gzip).await.text(), "packed");
    assert_eq!(gateway.seen()[0].headers["accept-encoding"], "gzip");
    let hit = gateway.get_with("/a", gzip).await;
    assert!(hit.is_fresh_hit());
    assert_eq!((hit.header("content-encoding").as_str(), hit.header("etag").as_str()), ("gzip", "\"gz\""));
    gateway
        .says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "accept-encoding")]).body("plain"));
    let plain = gateway.get("/a").await;
    assert_eq!((plain.text(), plain.header("content-encoding").as_str()), ("plain", ""));
}

#[tokio::test]
async fn h12_an_answer_for_one_visitor_is_left_as_it_is() {
    let gateway = Gateway::new();
    let headers = [("cache-control", "private, max-age=9"), ("etag", "\"a\""), ("age", "5"), ("x-a", "1")];
    gateway.says("/a", Said::with(203, &headers).body("own"));
    let answer = gateway.get("/a").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (203, "own"));
    for (name, value) in headers {
        assert_eq!(answer.header(name), value, "{name}");
    }
}
