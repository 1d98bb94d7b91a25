//! What may not be stored is not shared either: cookies, `private`, undeclared `Vary`, broken bodies.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test, and its cases are tables")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use edge_isr_axum::Reason;
use edge_isr_axum::prelude::*;
use edge_isr_stories::{HTML, POSITIONS, Position, Story, ask, begun, call, get_with, html, lasting, site};

fn memory() -> Isr {
    Isr::builder().build().unwrap()
}

type Make = Arc<dyn Fn(usize) -> Response + Send + Sync>;

fn with_headers(headers: &'static [(&'static str, &'static str)]) -> Make {
    Arc::new(move |n| {
        let mut response = html(format!("for {n}"));
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    })
}

fn with_body(body: impl Fn(usize) -> Body + Send + Sync + 'static) -> Make {
    Arc::new(move |n| ([("content-type", HTML)], body(n)).into_response())
}

/// Every veto, and its reason.
fn vetoes() -> Vec<(Make, Reason)> {
    let broken = |n: usize| {
        let frames = [Ok(format!("for {n}")), Err(std::io::Error::other("cut"))];
        Body::from_stream(futures_util::stream::iter(frames))
    };
    let mut all = vec![
        (with_headers(&[("set-cookie", "a=b")]), Reason::SetCookie),
        (with_headers(&[("cache-control", "public, max-age=60"), ("set-cookie", "a=b")]), Reason::SetCookie),
        (with_headers(&[("cache-control", "private")]), Reason::Private),
        (with_headers(&[("cache-control", "public"), ("cache-control", "PRIVATE")]), Reason::Private),
        (with_headers(&[("cache-control", "private=\"set-cookie\", max-age=60")]), Reason::Private),
        (with_headers(&[("cache-control", "max-age=60,No-Store")]), Reason::NoStore),
        (with_headers(&[("cache-control", "no-cache")]), Reason::NoCache),
        (with_headers(&[("cache-control", "no-cache=\"x\"")]), Reason::NoCache),
        (with_headers(&[("cache-control", "no-cache = \"x\"")]), Reason::NoCache),
        (with_headers(&[("cdn-cache-control", "no-store")]), Reason::NoStore),
        (with_headers(&[("surrogate-control", "no-store")]), Reason::NoStore),
        (with_headers(&[("vary", "*")]), Reason::VaryStar),
        (with_headers(&[("vary", "accept-encoding"), ("vary", "accept-encoding,  *")]), Reason::VaryStar),
        (with_headers(&[("vary", "Origin")]), Reason::VaryOrigin),
        (with_headers(&[("vary", "Cookie")]), Reason::VaryCookie),
        (with_headers(&[("vary", "accept-encoding , AUTHORIZATION")]), Reason::VaryCookie),
        (with_headers(&[("vary", "user-agent")]), Reason::VaryUndeclared),
        (with_headers(&[("vary", "\"x\"")]), Reason::VaryUndeclared),
        (with_headers(&[("content-type", "text/event-stream")]), Reason::EventStream),
        (with_headers(&[("content-range", "bytes 0-1/9")]), Reason::Partial),
        (with_headers(&[("content-length", "999")]), Reason::Truncated),
        (with_headers(&[("content-length", "1")]), Reason::Truncated),
        (with_body(|_| Body::empty()), Reason::Empty),
        (with_body(broken), Reason::Truncated),
        (with_body(|n| Body::from(format!("for {n}{}", " ".repeat(2000)))), Reason::TooLarge),
    ];
    let unset = |make: Make| -> Make {
        Arc::new(move |n| {
            let mut response = make(n);
            if response.headers().get_all("content-type").iter().count() == 2 {
                response
                    .headers_mut()
                    .insert("content-type", "Text/Event-Stream;charset=utf-8".parse().unwrap());
            }
            response
        })
    };
    for (make, _) in &mut all {
        *make = unset(Arc::clone(make));
    }
    all
}

#[tokio::test]
async fn p25_v05_v06_what_is_vetoed_is_neither_stored_nor_given_to_those_who_wait() {
    for position in POSITIONS {
        for (nth, (make, reason)) in vetoes().into_iter().enumerate() {
            let case = format!("{position:?} veto {nth}, {}", reason.as_str());
            let policy = lasting().max_body_bytes(1000);
            let Story { isr, page, site, .. } = Story::with(position, policy, |builder| builder);
            let made = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&made);
            page.answers(move |_| make(counter.fetch_add(1, SeqCst)));
            page.gated(true);
            let mut visitors = Vec::new();
            for _ in 0..3 {
                let site = site.clone();
                visitors.push(
                    begun(async move {
                        let response =
                            tower::ServiceExt::oneshot(site, ask("/pages/1").body(Body::empty()).unwrap())
                                .await;
                        let (parts, body) = response.unwrap().into_parts();
                        // A body may break off; what came before it counts.
                        let mut text = Vec::new();
                        let mut body = body.into_data_stream();
                        while let Some(Ok(frame)) = futures_util::StreamExt::next(&mut body).await {
                            text.extend_from_slice(&frame);
                        }
                        (parts.headers, String::from_utf8(text).unwrap())
                    })
                    .await,
                );
            }
            // One leads, two wait for it.
            page.gate().arrival().await;
            assert_eq!(page.renders(), 1, "{case}");
            page.gate().open(100);
            let mut bodies = Vec::new();
            for visitor in visitors {
                let (headers, text) = visitor.await;
                let status = headers["cache-status"].to_str().unwrap().to_owned();
                assert!(status.ends_with(&format!(";detail={}", reason.as_str())), "{case}: {status}");
                assert!(!status.contains("stored") && !status.contains("collapsed"), "{case}: {status}");
                bodies.push(text);
            }
            assert_eq!(page.renders(), 3, "{case}: one render each");
            if reason != Reason::Empty {
                bodies.sort();
                bodies.dedup();
                assert_eq!(bodies.len(), 3, "{case}: nobody got another's answer");
            }
            assert_eq!((isr.stats().stored, isr.stats().pages, isr.stats().collapsed), (0, 0, 0), "{case}");
            assert_eq!(isr.stats().count(reason), 3, "{case}");
        }
    }
}

#[tokio::test]
async fn p25_what_the_handler_forbids_is_not_stored() {
    async fn forbids(isr: IsrContext, request: Request) -> &'static str {
        match request.uri().path() {
            "/no-store" => isr.no_store(),
            "/zero" => isr.lifetime(Duration::ZERO),
            _ => {}
        }
        "for one"
    }
    let isr = memory();
    let layer = || IsrLayer::new(&isr);
    let site = site(
        Router::new()
            .route("/no-store", get(forbids).layer(layer()))
            .route("/zero", get(forbids).layer(layer()))
            .route("/page", get(forbids).layer(layer())),
    );
    for (path, detail) in [("/no-store", "handler-no-store"), ("/zero", "handler-lifetime")] {
        for _ in 0..2 {
            let answer = get_with(&site, path, &[]).await;
            assert_eq!(answer.detail(), detail);
            assert_eq!(answer.header("cache-control"), "private, no-store");
        }
    }
    get_with(&site, "/page", &[]).await;
    assert!(get_with(&site, "/page", &[]).await.is_fresh_hit());
}

#[tokio::test]
async fn p25_a_vetoed_answer_leaves_as_the_handler_made_it() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.answers(|_| ([("set-cookie", "a=b"), ("x-own", "1")], "mine").into_response());
        let answer = get_with(&site, "/pages/1", &[]).await;
        assert_eq!(
            (answer.text(), &*answer.header("set-cookie"), &*answer.header("x-own")),
            ("mine", "a=b", "1")
        );
        assert_eq!(answer.header("cache-control"), "private, no-store", "{position:?}");
        let head = call(&site, "HEAD", "/pages/1").await;
        assert_eq!((head.body.len(), &*head.header("content-length")), (0, "4"), "{position:?}");
    }
}

#[tokio::test]
async fn d19_d20_a_private_page_is_never_stored_under_any_spelling() {
    async fn account(request: Request) -> Response {
        let cookie = request.headers().get("cookie").map_or("nobody", |value| value.to_str().unwrap());
        html(format!("hello {cookie}"))
    }
    let spellings = [
        "/account",
        "/account/",
        "/Account",
        "/ACCOUNT",
        "//account",
        "/./account",
        "/static/../account",
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/account/x.css",
        "/account;x.css",
        "/account%0ax.css",
        "/account%00.js",
        "/account%3fx.css",
        "/account%23x.css",
        "/account?x.css",
        "/%61ccount",
        "/account%2f",
        "/account%2e",
        "/robots.txt",
        "/account/robots.txt",
        "/favicon.ico",
    ];
    for position in POSITIONS {
        let isr = memory();
        // Whatever is not below /static is the visitor's own; only /static is the same for everyone.
        let shared = lasting().cookies(Cookies::Ignore);
        let inner = match position {
            Position::Inside => site(
                Router::new()
                    .route("/static/{*path}", any(account).layer(IsrLayer::new(&isr).policy(shared)))
                    .fallback(account)
                    .layer(isr.edge()),
            ),
            Position::Around => {
                let layer = IsrLayer::around(&isr).route("/static/{*path}", shared, ()).build().unwrap();
                site(layer.wrap(Router::new().fallback(account)))
            }
        };
        let mut private = 0;
        for path in spellings {
            let mine = get_with(&inner, path, &[("cookie", "alice")]).await;
            private += usize::from(mine.text() == "hello alice");
            let theirs = get_with(&inner, path, &[]).await;
            assert_eq!(theirs.text(), "hello nobody", "{position:?} {path}");
            let other = get_with(&inner, path, &[("cookie", "bob")]).await;
            assert!(!other.text().contains("alice"), "{position:?} {path}");
        }
        assert_eq!(private, spellings.len() - 3, "{position:?}: only below /static are cookies removed");
    }
}
