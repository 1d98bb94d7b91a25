//! What no client can do: force a render, a bypass or an invalidation, widen staleness, reach a handler sideways.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test, and its cases are tables")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use edge_isr_axum::prelude::*;
use edge_isr_stories::{
    POSITIONS, Page, Site, Story, ask, call, echo, get_with, html, lasting, place, send, site,
};

const CANARY: &str = "canary";

fn memory() -> Isr {
    Isr::builder().build().unwrap()
}

#[tokio::test]
async fn p29_d21_directives_of_clients_neither_force_renders_nor_widen_staleness() {
    let directives: &[(&str, &str)] = &[
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("cache-control", "max-age=0, must-revalidate"),
        ("cache-control", "max-stale=999999"),
        ("cache-control", "only-if-cached"),
        ("cache-control", "min-fresh=999999"),
        ("cache-control", "stale-if-error=999999"),
        ("pragma", "no-cache"),
        ("x-http-method-override", "PURGE"),
        ("x-method-override", "DELETE"),
        ("x-edge-isr-refill", "1"),
        ("x-edge-isr-debug", "1"),
        ("x-edge-isr-bypass", "1"),
        ("x-edge-isr-invalidate", "page:1"),
        ("x-prerender-revalidate", "1"),
        ("x-nextjs-data", "1"),
        ("purpose", "prefetch"),
        ("surrogate-capability", "a=\"ESI/1.0\""),
        ("cache-group-invalidation", "\"page:1\""),
        ("cookie", "edge-isr-receipt=ffffffffffffffff"),
    ];
    for position in POSITIONS {
        for header in directives {
            let policy = Policy::new().s_maxage(Duration::from_secs(10));
            let Story { isr, page, site, clock } = Story::with(position, policy, |builder| builder);
            let case = format!("{position:?} {header:?}");
            let cold = get_with(&site, "/pages/1", &[*header]).await;
            assert_eq!((cold.status.as_u16(), cold.text()), (200, "v1"), "{case}");
            page.commit(2);
            let hit = get_with(&site, "/pages/1", &[*header]).await;
            assert_eq!((hit.text(), hit.is_fresh_hit()), ("v1", true), "{case}");
            assert!(!hit.cache_status().contains("key="), "{case}");
            clock.advance(Duration::from_secs(10));
            let expired = get_with(&site, "/pages/1", &[*header]).await;
            assert_eq!((expired.text(), expired.is_hit()), ("v2", false), "{case}");
            assert_eq!(isr.stats().renders, 2, "{case}");
        }
    }
}

#[tokio::test]
async fn p29_d06_other_methods_neither_read_nor_store_nor_purge() {
    for position in POSITIONS {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "BAN", "get", "TRACE", "QUERY"] {
            let isr = memory();
            let page = Page::default();
            let refuse = any(|| async { (http::StatusCode::METHOD_NOT_ALLOWED, "other") });
            let pages = page.handler().fallback_service(refuse);
            let site = place(position, &isr, "/pages/{id}", lasting(), (), pages);
            let case = format!("{position:?} {method}");
            let cold = call(&site, method, "/pages/1").await;
            assert_eq!(cold.text(), "other", "{case}");
            assert_eq!(cold.cache_status(), "edge-isr;fwd=method;detail=method", "{case}");
            assert_eq!((isr.stats().pages, page.renders()), (0, 0), "{case}");
            get_with(&site, "/pages/1", &[]).await;
            assert_eq!(call(&site, method, "/pages/1").await.text(), "other", "{case}");
            assert!(get_with(&site, "/pages/1", &[]).await.is_fresh_hit(), "{case}: nothing is purged");
        }
    }
}

#[tokio::test]
async fn p29_a_forged_receipt_has_no_effect() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        get_with(&site, "/pages/1", &[]).await;
        page.commit(2);
        page.gated(true);
        let receipt = isr.graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
        let cookie = receipt.cookie().to_str().unwrap().split(';').next().unwrap().to_owned();
        let foreign = memory().graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
        let foreign = foreign.cookie().to_str().unwrap().split(';').next().unwrap().to_owned();
        let flipped = cookie
            .strip_suffix('0')
            .map_or_else(|| format!("{}0", &cookie[..cookie.len() - 1]), |cut| format!("{cut}1"));
        let forged = [
            foreign,
            flipped,
            format!("{cookie}0"),
            cookie[..cookie.len() - 2].to_owned(),
            format!("edge-isr-receipt={}", cookie["edge-isr-receipt=".len()..].to_uppercase()),
            "edge-isr-receipt=".to_owned(),
            "edge-isr-receipt".to_owned(),
            format!("edge-isr-receipt={}", "f".repeat(130)),
        ];
        for forged in &forged {
            let stale = get_with(&site, "/pages/1", &[("cookie", forged)]).await;
            assert_eq!(stale.detail(), "invalidated", "{position:?} {forged}");
        }
        page.gate().open(100);
    }
}

#[tokio::test]
async fn d03_control_headers_from_outside_are_removed_at_the_door() {
    let isr = memory();
    let bypassing = IsrLayer::new(&isr).policy(Policy::new().bypass_when(|_| true));
    let router =
        || Router::new().route("/bare", any(echo)).route("/page", any(echo).layer(bypassing.clone()));
    let strip = site(router().layer(isr.edge()));
    let keep = site(router().layer(isr.edge().keep_forwarded()));
    let layer =
        IsrLayer::around(&isr).route("/page", Policy::new().bypass_when(|_| true), ()).build().unwrap();
    let around = site(layer.wrap(Router::new().route("/bare", any(echo)).route("/page", any(echo))));
    let ours = [
        "x-edge-isr-refill",
        "x-edge-isr-anything",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ];
    let forwarded =
        ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-anything"];
    for path in ["/bare", "/page"] {
        for method in ["GET", "POST"] {
            for name in ours.iter().chain(&forwarded) {
                let send_to = async |site: &Site| {
                    let request = ask(path).method(method).header(*name, CANARY).header("x-kept", "kept");
                    send(site, request.body(Body::empty()).unwrap()).await
                };
                for site in [&strip, &around] {
                    let seen = send_to(site).await;
                    assert!(!seen.text().contains(CANARY), "{method} {path} {name}");
                    assert!(seen.text().contains("x-kept: kept"), "{method} {path} {name}");
                }
                let is_forwarded = forwarded.contains(name);
                assert_eq!(
                    send_to(&keep).await.text().contains(CANARY),
                    is_forwarded,
                    "{method} {path} {name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn d11_d12_headers_that_make_a_handler_fail_do_not_reach_it() {
    async fn fragile(request: Request) -> Response {
        let oversized = request.headers().values().any(|value| value.len() > 8000);
        let fails =
            ["if-match", "if-none-match", "range", "if-range", "expect", "x-http-method-override", "x-bytes"];
        match oversized || fails.iter().any(|name| request.headers().contains_key(*name)) {
            true => (http::StatusCode::BAD_REQUEST, "poisoned").into_response(),
            false => html("fine"),
        }
    }
    let long = "x".repeat(60_000);
    let hostile = [
        ("if-match", "\"x"),
        ("if-match", "*"),
        ("if-none-match", "W/x"),
        ("if-modified-since", "yesterday"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("range", "bytes=zzz"),
        ("range", "bytes=5-1,,-"),
        ("if-range", "nonsense"),
        ("expect", "200-ok"),
        ("x-http-method-override", "DELETE"),
        ("x-oversized", &long),
    ];
    for position in POSITIONS {
        let isr = memory();
        let site = place(position, &isr, "/f/{n}", Policy::new(), (), get(fragile));
        for (n, (name, value)) in hostile.into_iter().enumerate() {
            let path = format!("/f/{n}");
            let first = get_with(&site, &path, &[(name, value)]).await;
            assert_eq!(
                (first.status.as_u16(), first.text()),
                (200, "fine"),
                "{position:?} {name}: {value:.20}"
            );
            assert!(get_with(&site, &path, &[]).await.is_fresh_hit(), "{position:?} {name}");
        }
        let bytes = http::HeaderValue::from_bytes(b"\xff\x80\t").unwrap();
        let first = send(&site, ask("/f/bytes").header("x-bytes", bytes).body(Body::empty()).unwrap()).await;
        assert_eq!(first.text(), "fine");
    }
}

#[tokio::test]
async fn d18_redirects_are_not_built_from_what_is_not_in_the_key() {
    async fn leave(request: Request) -> Response {
        let host = |name: &str| request.headers().get(name).map(|host| host.to_str().unwrap().to_owned());
        let host = host("x-forwarded-host").or_else(|| host("host")).unwrap_or_default();
        axum::response::Redirect::permanent(&format!(
            "https://{host}/next?{}",
            request.uri().query().unwrap_or("")
        ))
        .into_response()
    }
    for position in POSITIONS {
        let isr = memory();
        let stored = Policy::new().status(http::StatusCode::PERMANENT_REDIRECT, Duration::from_secs(60));
        for (policy, is_stored) in [(Policy::new(), false), (stored, true)] {
            let path = if is_stored { "/s/{n}" } else { "/r/{n}" };
            let site = place(position, &isr, path, policy, (), get(leave));
            let path = path.replace("{n}", "1");
            let evil =
                get_with(&site, &format!("{path}?to=evil"), &[("x-forwarded-host", "evil.example")]).await;
            assert_eq!(evil.header("location"), "https://www.example.com/next?", "{position:?}");
            assert_eq!(get_with(&site, &path, &[]).await.is_fresh_hit(), is_stored, "{position:?}");
        }
    }
}
