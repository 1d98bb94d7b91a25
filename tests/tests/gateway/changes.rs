//! What takes pages away, and what puts one in their place: rules 8, 20 and 21.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gateway, Said, call};

const FRESH: (&str, &str) = ("cache-control", "max-age=60, stale-while-revalidate=60, stale-if-error=60");

/// Whether the page at `/a` is still used after a request of this method to a URL, answered so.
async fn is_kept(method: &str, target: &str, said: Said) -> bool {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH]));
    gateway.get("/a").await;
    gateway.says(target, said);
    call(&gateway.site, method, target).await;
    gateway.says("/a", Said::ok(&[FRESH]).body("new"));
    let answer = gateway.get("/a").await;
    assert_eq!(answer.is_fresh_hit(), answer.text() != "new", "{method} {target}: {}", answer.cache_status());
    answer.is_fresh_hit()
}

#[tokio::test]
async fn h08_unsafe_methods_that_succeed_invalidate_their_url() {
    for (method, status, expected) in [
        ("POST", 200, false),
        ("PUT", 204, false),
        ("DELETE", 301, false),
        ("PATCH", 200, false),
        ("M-SEARCH", 200, false),
        ("FOO", 303, false),
        ("POST", 404, true),
        ("POST", 500, true),
        ("OPTIONS", 200, true),
        ("TRACE", 200, true),
        ("GET", 200, true),
        ("HEAD", 200, true),
    ] {
        assert_eq!(is_kept(method, "/a", Said::with(status, &[FRESH])).await, expected, "{method} {status}");
    }
}

#[tokio::test]
async fn h08_so_is_what_its_answer_points_to_on_the_same_origin() {
    for (name, reference, expected) in [
        ("location", "/a", false),
        ("location", "http://www.example.com/a", false),
        ("content-location", "/a", false),
        ("content-location", "a", false),
        ("location", "http://other.example/a", true),
        ("content-location", "//other.example/a", true),
        ("location", "/b", true),
    ] {
        let said = Said::with(201, &[(name, reference)]);
        assert_eq!(is_kept("POST", "/list", said).await, expected, "{name}: {reference}");
    }
    let failed = Said::with(400, &[("location", "/a")]);
    assert!(is_kept("POST", "/list", failed).await);
}

#[tokio::test]
async fn h20_groups_are_invalidated_by_unsafe_methods_alone() {
    let gateway = Gateway::new();
    let long = "x".repeat(40);
    let many: Vec<String> = (0..32).map(|n| format!("\"{long}{n}\"")).collect();
    gateway.says("/many", Said::ok(&[FRESH, ("cache-groups", &many.join(", "))]));
    gateway.says("/case", Said::ok(&[FRESH, ("cache-groups", "\"News\"")]));
    gateway.says("/bad", Said::ok(&[FRESH, ("cache-groups", "\"News\", token")]));
    let paths = ["/many", "/case", "/bad"];
    for path in paths {
        gateway.get(path).await;
    }
    let fresh = async || {
        let mut all = Vec::new();
        for path in paths {
            all.push(gateway.get(path).await.is_fresh_hit());
        }
        all
    };
    let invalidates = |groups: &str| {
        gateway.says("/do", Said::ok(&[FRESH, ("cache-group-invalidation", groups)]));
    };
    invalidates("\"News\"");
    call(&gateway.site, "GET", "/do").await;
    call(&gateway.site, "OPTIONS", "/do").await;
    assert_eq!(fresh().await, [true; 3], "safe methods");
    invalidates("\"news\"");
    call(&gateway.site, "POST", "/do").await;
    invalidates("News");
    call(&gateway.site, "POST", "/do").await;
    invalidates("\"News\", 1");
    call(&gateway.site, "POST", "/do").await;
    assert_eq!(fresh().await, [true; 3], "another case, and fields that are no lists of strings");
    invalidates(&format!("\"{long}31\";a=1, \"News\""));
    call(&gateway.site, "POST", "/do").await;
    assert_eq!(fresh().await, [false, false, true]);
}

#[tokio::test]
async fn h20_groups_end_at_their_host() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("cache-groups", "\"g\"")]));
    gateway.says("/do", Said::ok(&[("cache-group-invalidation", "\"g\"")]));
    gateway.get("/a").await;
    let elsewhere = edge_isr_stories::request(http::Method::POST, "/do");
    let (mut parts, body) = elsewhere.into_parts();
    parts.headers.insert("host", "other.example".parse().unwrap());
    edge_isr_stories::send(&gateway.site, axum::extract::Request::from_parts(parts, body)).await;
    assert!(gateway.get("/a").await.is_fresh_hit());
    call(&gateway.site, "POST", "/do").await;
    assert_eq!(gateway.get("/a").await.detail(), "dead");
}

#[tokio::test]
async fn h20_tags_of_the_origin_are_tags_and_stay_here() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("surrogate-key", "post:1 Front"), ("cache-tag", "x,y")]));
    for tag in [tag("post", 1), Tag::named("front"), Tag::named("post"), Tag::named("y")] {
        let answer = gateway.get("/a").await;
        assert!(!answer.headers.contains_key("surrogate-key") && !answer.headers.contains_key("cache-tag"));
        assert!(gateway.get("/a").await.is_fresh_hit());
        gateway.isr.graph().expire_by_tags([tag.clone()]).await.unwrap();
        assert_eq!(gateway.get("/a").await.detail(), "dead", "{tag}");
    }
    gateway.says("/bad", Said::ok(&[FRESH, ("surrogate-key", "~all")]));
    assert_eq!(gateway.get("/bad").await.detail(), "bad-tag");
    let passing = Gateway::with(Policy::from_origin().pass_tag_headers(true));
    passing.says("/a", Said::ok(&[FRESH, ("surrogate-key", "post:1")]));
    passing.get("/a").await;
    assert_eq!(passing.get("/a").await.header("surrogate-key"), "post:1");
}
#[tokio::test]
async fn h21_a_post_that_answers_for_its_own_url_is_stored_for_a_get() {
    for (headers, expected) in [
        (&[("cache-control", "max-age=60"), ("content-location", "/a")][..], true),
        (&[("cache-control", "max-age=60"), ("content-location", "http://www.example.com/a")], true),
        (&[("cache-control", "max-age=60"), ("content-location", "/b")], false),
        (&[("cache-control", "max-age=60")], false),
        (&[("content-location", "/a"), ("etag", "\"a\"")], false),
        (&[("cache-control", "max-age=60, private"), ("content-location", "/a")], false),
    ] {
        let gateway = Gateway::new();
        gateway.says("/a", Said::ok(headers).body("posted"));
        let answer = call(&gateway.site, "POST", "/a").await;
        assert_eq!(answer.text(), "posted");
        gateway.says("/a", Said::ok(&[FRESH]).body("got"));
        let answer = gateway.get("/a").await;
        assert_eq!(
            answer.text(),
            if expected { "posted" } else { "got" },
            "{headers:?}: {}",
            answer.cache_status()
        );
        assert_eq!(call(&gateway.site, "POST", "/a").await.text(), "got", "a POST always reaches the origin");
    }
}

#[tokio::test]
async fn h08_every_variant_of_the_url_is_invalidated() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("vary", "x-a")]));
    let visitors = [&[][..], &[("x-a", "1")], &[("x-a", "2")]];
    for target in ["/a", "/a?x=1"] {
        for headers in visitors {
            gateway.get_with(target, headers).await;
            assert!(gateway.get_with(target, headers).await.is_fresh_hit());
        }
        call(&gateway.site, "DELETE", target).await;
        for headers in visitors {
            assert!(!gateway.get_with(target, headers).await.is_hit(), "{target} {headers:?}");
        }
    }
    // A URL without a query stands for all of its queries, and one with a query for itself.
    call(&gateway.site, "DELETE", "/a?x=1").await;
    assert!(gateway.get("/a").await.is_fresh_hit());
    call(&gateway.site, "DELETE", "/a").await;
    assert!(!gateway.get("/a?x=1").await.is_hit());
}

#[tokio::test]
async fn h08_a_location_is_read_in_all_its_forms() {
    for (page, location) in [
        ("/b", "http://www.example.com/x/../b"),
        ("/b", "HTTP://WWW.EXAMPLE.COM/./b"),
        ("/b", "http://www.example.com:80/b#top"),
        ("/b?c=/../d", "http://www.example.com/x/../b?c=/../d"),
        ("/b", "//www.example.com/x/../b"),
        ("/b", "/%62"),
        ("/b", " /b"),
        ("/b", "x/../b"),
        ("/%C3%BC", "/\u{fc}"),
        ("/%C3%BC", "http://www.example.com/\u{fc}"),
    ] {
        let gateway = Gateway::new();
        for path in ["/b", "/%C3%BC", "/c"] {
            gateway.says(path, Said::ok(&[("cache-control", "max-age=60")]));
        }
        gateway.get(page).await;
        gateway.get("/c").await;
        gateway.says("/a", Said::with(201, &[("location", location)]));
        call(&gateway.site, "POST", "/a").await;
        assert!(!gateway.get(page).await.is_hit(), "{location}");
        assert!(gateway.get("/c").await.is_fresh_hit(), "{location}");
    }
}
