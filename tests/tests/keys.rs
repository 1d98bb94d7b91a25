//! What is one page and what is two: queries, hosts, tenants, dimensions, routes.
#![allow(clippy::type_complexity, clippy::unwrap_used, reason = "what can't go on fails its test")]

use axum::Router;
use axum::routing::get;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Limits, Reason};
use edge_isr_stories::{POSITIONS, Page, Story, get_with, lasting, place, site};

#[tokio::test]
async fn x01_any_number_of_query_strings_is_one_page() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } =
            Story::with(position, lasting().query(["page"]), |builder| builder);
        for n in 0..300 {
            get_with(&site, &format!("/pages/1?utm={n}&page=1&x[]={n}&{n}"), &[]).await;
        }
        assert_eq!((page.renders(), isr.stats().pages), (1, 1), "{position:?}");
        get_with(&site, &format!("/pages/1?page={}", "x".repeat(9000)), &[]).await;
        assert_eq!((page.renders(), isr.stats().pages), (2, 1), "{position:?}: over-long keys bypass");
    }
}

/// Requests that differ in one part of the key each.
const APART: &[(&str, &[(&str, &str)])] = &[
    ("/pages/1", &[]),
    ("/pages/1?a=", &[]),
    ("/pages/1?a", &[]),
    ("/pages/1?a=1", &[]),
    ("/pages/1?b=1", &[]),
    ("/pages/1?a=1&b=1", &[]),
    ("/pages/1?a=1&a=1", &[]),
    ("/pages/1?a=1%26b=1", &[]),
    ("/pages/1%3fa=1", &[]),
    ("/pages/1", &[("x-v", "")]),
    ("/pages/1", &[("x-w", "")]),
    ("/pages/1", &[("x-v", "1")]),
    ("/pages/1", &[("x-w", "1")]),
    ("/pages/1", &[("x-v", "1"), ("x-w", "1")]),
    ("/pages/1", &[("x-v", "1, 1")]),
    ("/pages/1", &[("x-v", "1,1")]),
    ("/pages/1", &[("x-kind", "1")]),
    ("/pages/1", &[("x-other", "1")]),
    ("/pages/1", &[("x-kind", "")]),
    ("/pages/1", &[("x-tenant", "1")]),
    ("/pages/1", &[("x-tenant", "1"), ("x-draft", "")]),
    ("/pages/1", &[("x-draft", "")]),
    ("/pages/11", &[]),
    ("http://www.example.com:8080/pages/1", &[]),
    ("https://www.example.com/pages/1", &[]),
    ("http://example.com/pages/1", &[]),
];

#[tokio::test]
async fn p27_d07_each_part_of_the_key_separates_pages() {
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let header = |name: &'static str| {
            move |parts: &http::request::Parts| {
                parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
            }
        };
        let policy = lasting()
            .query(["a", "b"])
            .vary(["x-v", "x-w"])
            .variant("kind", header("x-kind"))
            .variant("other", header("x-other"))
            .tenant(|parts| {
                Some(
                    parts
                        .headers
                        .get("x-tenant")
                        .map_or(String::new(), |value| value.to_str().unwrap().to_owned()),
                )
            })
            .draft(|parts| parts.headers.contains_key("x-draft"));
        let page = Page::default();
        let site = place(position, &isr, "/pages/{id}", policy, (), page.handler());
        let mut expected = Vec::new();
        for (n, (uri, headers)) in APART.iter().enumerate() {
            page.commit(n as u64 + 100);
            let first = get_with(&site, uri, headers).await;
            assert_eq!(
                first.text(),
                format!("v{}", n + 100),
                "{position:?} {uri} {headers:?} is a page of its own"
            );
            assert!(first.cache_status().contains(";stored"), "{}", first.cache_status());
            expected.push(first.body);
        }
        for ((uri, headers), body) in APART.iter().zip(expected) {
            let again = get_with(&site, uri, headers).await;
            assert_eq!(
                (&again.body, page.renders()),
                (&body, APART.len()),
                "{position:?} {uri} {headers:?} {}",
                again.cache_status()
            );
        }
    }
}

#[tokio::test]
async fn p27_d26_routes_share_no_page_even_when_a_path_moves_between_them() {
    let isr = Isr::builder().build().unwrap();
    let layer = || IsrLayer::new(&isr).policy(lasting());
    let narrow = site(Router::new().route("/a/{id}", get(|| async { "narrow" }).layer(layer())));
    let wide = site(Router::new().route("/{*all}", get(|| async { "wide" }).layer(layer())));
    for _ in 0..2 {
        assert_eq!(get_with(&narrow, "/a/1", &[]).await.text(), "narrow");
        assert_eq!(get_with(&wide, "/a/1", &[]).await.text(), "wide");
    }
    assert_eq!((isr.stats().pages, isr.stats().hits()), (2, 2));
}

#[tokio::test]
async fn x_variants_beyond_the_bound_are_served_and_not_stored() {
    for position in POSITIONS {
        let Story { isr, site, .. } = Story::with(position, lasting().vary(["x-v"]), |builder| {
            let mut limits = Limits::default();
            limits.variants_per_url = 3;
            builder.limits(limits)
        });
        for n in 0..10 {
            let answer = get_with(&site, "/pages/1", &[("x-v", &n.to_string())]).await;
            assert_eq!(answer.text(), "v1");
            assert_eq!(answer.detail(), if n < 3 { "absent" } else { "variant-limit" }, "{position:?} {n}");
        }
        assert_eq!((isr.stats().pages, isr.stats().count(Reason::VariantLimit)), (3, 7), "{position:?}");
        let other = get_with(&site, "/pages/2", &[("x-v", "9")]).await;
        assert!(other.cache_status().contains(";stored"), "another URL has its own");
    }
}
