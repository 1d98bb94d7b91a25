//! Settings that can't be right are refused when the application is put together, by field and bound.
#![allow(clippy::type_complexity, clippy::unwrap_used, reason = "its cases are tables")]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Limits, Reason, TagHeader};
use edge_isr_stories::{get_with, site};

const S: Duration = Duration::from_secs(1);

fn refused(words: &[&str], error: Result<impl std::fmt::Debug, edge_isr_axum::ConfigError>) {
    let said = error.expect_err(&format!("{words:?} must be refused")).to_string();
    for word in words {
        assert!(said.contains(word), "`{word}` in: {said}");
    }
    assert!(!said.contains('\n'), "{said}");
}

#[test]
fn b17_settings_that_cannot_be_right_are_refused_with_field_and_bound() {
    let limits = |set: fn(&mut Limits)| {
        let mut limits = Limits::default();
        set(&mut limits);
        Isr::builder().limits(limits).build()
    };
    let zero: [(&str, fn(&mut Limits)); 19] = [
        ("store_bytes", |limits| limits.store_bytes = 0),
        ("body_bytes", |limits| limits.body_bytes = 0),
        ("head_bytes", |limits| limits.head_bytes = 0),
        ("key_bytes", |limits| limits.key_bytes = 0),
        ("variants_per_url", |limits| limits.variants_per_url = 0),
        ("waiters_per_key", |limits| limits.waiters_per_key = 0),
        ("renders", |limits| limits.renders = 0),
        ("hosts", |limits| limits.hosts = 0),
        ("marks", |limits| limits.marks = 0),
        ("index_rows", |limits| limits.index_rows = 0),
        ("index_bytes", |limits| limits.index_bytes = 0),
        ("jobs", |limits| limits.jobs = 0),
        ("job_attempts", |limits| limits.job_attempts = 0),
        ("renders_per_host", |limits| limits.renders_per_host = 0),
        ("worker_renders", |limits| limits.worker_renders = 0),
        ("collapse_wait", |limits| limits.collapse_wait = Duration::ZERO),
        ("render_timeout", |limits| limits.render_timeout = Duration::ZERO),
        ("store_wait", |limits| limits.store_wait = Duration::ZERO),
        ("purge_wait", |limits| limits.purge_wait = Duration::ZERO),
    ];
    for (field, set) in zero {
        refused(&[&format!("`limits.{field}`"), "is 0", "more than zero"], limits(set));
    }
    refused(&["`limits.key_bytes`", "32 KiB"], limits(|limits| limits.key_bytes = 33 << 10));
    refused(&["`limits.tags_per_page`", "4,096"], limits(|limits| limits.tags_per_page = 5000));
    for (key, at_least) in [("", "16"), ("short", "16"), ("fifteen bytes..", "16")] {
        refused(&["`receipt_key`", at_least], Isr::builder().receipt_key(key).build());
    }
    for origin in [
        "",
        "ftp://x",
        "https://",
        "https://a b",
        "https://x/path",
        "https://user@x",
        "x:99999",
        "HTTPS://x",
        "https://*.x",
    ] {
        refused(&["`origins`"], Isr::builder().origins([origin]).build());
    }
    refused(&["`origins`", "twice"], Isr::builder().origins(["https://x", "http://X."]).build());
    for name in ["", "a b", "1a", "a;b", "caf\u{e9}", "a\"", &"x".repeat(65)] {
        refused(&["`name`", "token"], Isr::builder().name(name).build());
    }
    refused(&["`build_id`", "empty"], Isr::builder().build_id(BuildId::Named(String::new())).build());
    refused(
        &["`tag_header`", "twice"],
        Isr::builder().tag_header(TagHeader::CacheTag).tag_header(TagHeader::CacheTag).build(),
    );
}

#[test]
fn b17_routes_that_cannot_be_right_are_refused_with_field_and_bound() {
    let policies = [
        ("policy.s_maxage", Policy::new().s_maxage(Duration::ZERO)),
        ("policy.stale_while_revalidate", Policy::new().stale_while_revalidate(Duration::ZERO)),
        ("policy.stale_if_error", Policy::new().stale_if_error(Duration::ZERO)),
        ("policy.max_body_bytes", Policy::new().max_body_bytes(0)),
        ("policy.vary", Policy::new().vary(["a", "A"])),
        ("policy.vary", Policy::new().vary(["cookie"])),
        ("policy.vary", Policy::new().vary(["Authorization"])),
        ("policy.vary", Policy::new().vary(["*"]).vary(["a b"])),
        ("policy.query", Policy::new().query(["a", "a"])),
        ("policy.query", Policy::new().query([""])),
        ("policy.query", Policy::new().query(["a&b"])),
        ("policy.variant", Policy::new().variant("a", |_| None).variant("a", |_| None)),
        ("policy.status", Policy::new().status(http::StatusCode::OK, S)),
        ("policy.status", Policy::new().status(http::StatusCode::PARTIAL_CONTENT, S)),
        ("policy.status", Policy::new().status(http::StatusCode::BAD_GATEWAY, S)),
        ("policy.status", Policy::new().status(http::StatusCode::NOT_FOUND, Duration::ZERO)),
        ("policy.status", Policy::new().status(http::StatusCode::GONE, S).status(http::StatusCode::GONE, S)),
    ];
    let isr = Isr::builder().build().unwrap();
    for (field, policy) in policies {
        refused(&[&format!("`{field}`")], IsrLayer::new(&isr).policy(policy.clone()).check());
        refused(&[&format!("`{field}`")], IsrLayer::around(&isr).route("/", policy, ()).build());
    }
    for pattern in ["", "posts", "/{", "/{}", "/{a}{b}", "/{*rest}/x", "/:id{", "/a/{x}/{x"] {
        refused(&["`route`"], IsrLayer::around(&isr).route(pattern, Policy::new(), ()).build());
        refused(&["`route`"], IsrLayer::around(&isr).pass(pattern).build());
    }
    refused(
        &["`route`"],
        IsrLayer::around(&isr).route("/{a}", Policy::new(), ()).route("/{b}", Policy::new(), ()).build(),
    );
    refused(&["`route`"], IsrLayer::around(&isr).route("/a", Policy::new(), ()).pass("/a").build());
    for template in ["", "a:", ":a", "post:{", "post:}", "post:{}", "~all", "a\r\nb"] {
        refused(&["`tags`"], IsrLayer::new(&isr).tags(path_tag(template)).check());
        refused(
            &["`tags`"],
            IsrLayer::around(&isr).route("/{id}", Policy::new(), path_tag(template)).build(),
        );
    }
    let missing =
        IsrLayer::around(&isr).route("/posts/{slug}", Policy::new(), [path_tag("x"), path_tag("post:{id}")]);
    refused(&["`post:{id}`", "`{id}`", "`/posts/{slug}`"], missing.build());
}

#[test]
#[should_panic(expected = "`policy.s_maxage` is 0")]
fn b17_a_layer_that_cannot_work_says_so_when_it_is_put_on() {
    let isr = Isr::builder().build().unwrap();
    let layer = IsrLayer::new(&isr).policy(Policy::new().s_maxage(Duration::ZERO));
    let _: Router = Router::new().route("/", get(|| async {}).layer(layer));
}

#[tokio::test]
async fn b17_inside_a_route_a_template_without_its_parameter_is_served_and_not_stored() {
    let isr = Isr::builder().build().unwrap();
    let layer = IsrLayer::new(&isr).tags([path_tag("list"), path_tag("post:{id}")]);
    let site = site(Router::new().route("/posts/{slug}", get(|| async { "a post" }).layer(layer)));
    for _ in 0..2 {
        let answer = get_with(&site, "/posts/x", &[]).await;
        assert_eq!((answer.text(), &*answer.detail()), ("a post", "tag-param-missing"));
    }
    assert_eq!(isr.stats().stored, 0);
    let note = isr.health().notes.into_iter().find(|note| note.reason == Reason::TagParamMissing).unwrap();
    assert_eq!((&*note.subject, note.count), ("/posts/{slug}", 2));
    assert!(!isr.health().is_good() && note.advice.contains("template"));
}
