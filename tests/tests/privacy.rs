//! What is for one visitor stays with one visitor: sanitised renders, credentials, drafts, secrets.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test, and its cases are tables")]

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use edge_isr_axum::Reason;
use edge_isr_axum::prelude::*;
use edge_isr_stories::{
    Answer, POSITIONS, Position, Site, Story, User, ask, begun, call, echo, get_with, lasting, place, send,
    site,
};

const CANARY: &str = "canary";

/// Headers that frameworks, proxies and servers act on and that are in no key here.
const UNKEYED: &[&str] = &[
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-for",
    "x-forwarded-server",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-ssl",
    "x-forwarded-by",
    "x-forwarded",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-rewrite-uri",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-http-host-override",
    "x-backend-host",
    "x-server-name",
    "x-url-scheme",
    "x-scheme",
    "x-proto",
    "x-port",
    "x-base-url",
    "x-script-name",
    "x-proxy-url",
    "x-request-uri",
    "x-wap-profile",
    "x-arbitrary",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-remote-user",
    "x-originating-ip",
    "x-custom-ip-authorization",
    "x-user",
    "x-user-id",
    "x-auth-user",
    "x-auth-token",
    "x-api-key",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-session-id",
    "x-tenant-id",
    "x-device",
    "x-debug",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-access-token",
    "x-forwarded-groups",
    "x-ms-client-principal",
    "x-amzn-trace-id",
    "x-amz-cf-id",
    "x-goog-iap-jwt-assertion",
    "x-goog-authenticated-user-email",
    "x-azure-clientip",
    "x-azure-fdid",
    "x-appengine-country",
    "x-appengine-user-ip",
    "x-vercel-ip-country",
    "x-vercel-id",
    "x-nf-client-connection-ip",
    "x-envoy-original-path",
    "x-envoy-external-address",
    "x-request-id",
    "x-correlation-id",
    "x-b3-traceid",
    "traceparent",
    "tracestate",
    "baggage",
    "cf-connecting-ip",
    "cf-ipcountry",
    "cf-visitor",
    "cf-ray",
    "cdn-loop",
    "fastly-client-ip",
    "fastly-ff",
    "true-client-ip",
    "client-ip",
    "wl-proxy-client-ip",
    "proxy-client-ip",
    "proxy-host",
    "proxy-connection",
    "proxy-authorization",
    "surrogate-capability",
    "via",
    "from",
    "referer",
    "origin",
    "user-agent",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-datetime",
    "cache-control",
    "pragma",
    "dnt",
    "sec-gpc",
    "save-data",
    "downlink",
    "ect",
    "rtt",
    "dpr",
    "width",
    "viewport-width",
    "device-memory",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-ch-prefers-color-scheme",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-purpose",
    "purpose",
    "upgrade-insecure-requests",
    "content-type",
    "content-length",
    "content-language",
    "content-encoding",
    "content-md5",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "expect",
    "max-forwards",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "cookie",
    "cookie2",
    "x-nextjs-data",
    "x-middleware-prefetch",
    "x-middleware-subrequest",
    "x-middleware-rewrite",
    "x-prerender-revalidate",
    "x-matched-path",
    "rsc",
    "next-router-state-tree",
    "next-action",
    "x-sveltekit-action",
    "x-inertia",
    "hx-request",
    "x-requested-with",
    "x-pjax",
    "turbo-frame",
    "x-edge-isr-refill",
    "x-edge-isr-debug",
    "x-edge-isr-mode",
    "x-edge-isr-tags",
];

fn echoing(position: Position, isr: &Isr, policy: Policy) -> Site {
    place(position, isr, "/echo/{n}", policy, (), any(echo))
}

fn memory() -> Isr {
    Isr::builder().build().unwrap()
}

#[tokio::test]
async fn p23_d01_no_unkeyed_header_reaches_the_handler() {
    // The canary bites: without the layer the handler tells it.
    let bare = site(Router::new().route("/echo/{n}", any(echo)));
    assert!(get_with(&bare, "/echo/0", &[("x-forwarded-host", CANARY)]).await.text().contains(CANARY));
    assert!(UNKEYED.len() >= 120);
    for position in POSITIONS {
        let site = echoing(position, &memory(), Policy::new().cookies(Cookies::Ignore));
        for (n, &name) in UNKEYED.iter().enumerate() {
            let path = format!("/echo/{n}");
            let poisoned = get_with(&site, &path, &[(name, CANARY)]).await;
            assert!(poisoned.cache_status().contains(";stored"), "{name}: {}", poisoned.cache_status());
            assert!(!poisoned.text().contains(CANARY), "{position:?} {name}: {}", poisoned.text());
            let clean = get_with(&site, &path, &[]).await;
            assert!(clean.is_fresh_hit(), "{position:?} {name}: {}", clean.cache_status());
            assert_eq!(clean.body, poisoned.body, "{position:?} {name}");
        }
        // All at once, and nothing but the host remains.
        let all: Vec<_> = UNKEYED.iter().map(|&name| (name, CANARY)).collect();
        let seen = get_with(&site, "/echo/all", &all).await;
        assert_eq!(
            seen.text(),
            "GET /echo/all HTTP/1.1\nhost: www.example.com\noriginal /echo/all\nuser None\nbody \n",
            "{position:?}"
        );
    }
}

#[tokio::test]
async fn p23_neither_query_nor_body_nor_extensions_nor_the_form_of_the_url_reach_the_handler() {
    for position in POSITIONS {
        let site = echoing(position, &memory(), Policy::new().query(["page", "sort"]));
        let outer =
            axum::middleware::from_fn(|mut request: Request, next: axum::middleware::Next| async move {
                let name = request.headers().get("x-login").map(|name| name.to_str().unwrap().to_owned());
                if let Some(name) = name {
                    request.extensions_mut().insert(User(name));
                }
                next.run(request).await
            });
        let site = edge_isr_stories::site(Router::new().fallback_service(site).layer(outer));
        let request =
            ask("/echo/1?utm=canary&sort=a&page=2&page=1&SORT=canary#canary").header("x-login", CANARY);
        let seen = send(&site, request.body(Body::from(CANARY)).unwrap()).await;
        let expected = "GET /echo/1?page=2&page=1&sort=a HTTP/1.1\nhost: www.example.com\noriginal /echo/1?page=2&page=1&sort=a\nuser None\nbody \n";
        assert_eq!(seen.text(), expected, "{position:?}");
        // HTTP/2 has the whole URL and no `Host`, and a version of its own.
        let request = Request::get("http://WWW.example.com:80/echo/1?sort=a&page=2&page=1&z")
            .version(http::Version::HTTP_2);
        let second = send(&site, request.body(Body::empty()).unwrap()).await;
        assert!(second.is_fresh_hit(), "{position:?}: {}", second.cache_status());
        let request = Request::get("http://www.example.com/echo/2?page=1").version(http::Version::HTTP_2);
        let third = send(&site, request.body(Body::empty()).unwrap()).await;
        let expected =
            "GET /echo/2?page=1 HTTP/1.1\nhost: www.example.com\noriginal /echo/2?page=1\nuser None\nbody \n";
        assert_eq!(third.text(), expected, "{position:?}");
    }
}

#[tokio::test]
async fn p23_head_renders_what_get_renders() {
    for position in POSITIONS {
        let site = echoing(position, &memory(), Policy::new());
        let head = call(&site, "HEAD", "/echo/1").await;
        assert!(head.body.is_empty());
        let get = get_with(&site, "/echo/1", &[]).await;
        assert!(get.is_fresh_hit(), "{position:?}: {}", get.cache_status());
        assert!(get.text().starts_with("GET "));
    }
}

#[tokio::test]
async fn p23_declared_headers_arrive_normalized_and_separate_pages() {
    for position in POSITIONS {
        let site = echoing(position, &memory(), Policy::new().vary(["accept-language", "x-theme"]));
        let german =
            get_with(&site, "/echo/1", &[("accept-language", "EN;q=0.5 , de"), ("x-theme", " dark ")]).await;
        assert!(german.text().contains("\naccept-language: de,en;q=0.5\n"), "{}", german.text());
        assert!(german.text().contains("\nx-theme: dark\n"), "{}", german.text());
        let again = [
            ("accept-language", "de"),
            ("accept-language", "en;q=0.5"),
            ("x-theme", "dark"),
            ("x-y", CANARY),
        ];
        assert!(get_with(&site, "/echo/1", &again).await.is_fresh_hit());
        for other in
            [&[][..], &[("x-theme", "")], &[("x-theme", "dark")], &[("accept-language", "de,en;q=0.5")]]
        {
            let own = get_with(&site, "/echo/1", other).await;
            assert!(!own.is_hit(), "{other:?}");
            assert_eq!(
                own.text().contains("x-theme"),
                other.iter().any(|(name, _)| *name == "x-theme"),
                "{other:?}"
            );
        }
    }
}

#[derive(Clone)]
struct Locale(&'static str);

#[tokio::test]
async fn p23_v09_only_listed_extensions_reach_the_handler() {
    async fn show(locale: Option<Extension<Locale>>, user: Option<Extension<User>>) -> String {
        format!(
            "{:?} {:?}",
            locale.map(|Extension(Locale(name))| name),
            user.map(|Extension(User(name))| name)
        )
    }
    let isr = memory();
    let pages = || get(show);
    let listed = IsrLayer::new(&isr).extension::<Locale>();
    let around = IsrLayer::around(&isr).route("/c", Policy::new(), ()).extension::<Locale>().build().unwrap();
    let inside =
        Router::new().route("/a", pages().layer(IsrLayer::new(&isr))).route("/b", pages().layer(listed));
    for (site, path, expected) in [
        (site(inside.clone()), "/a", "None None"),
        (site(inside), "/b", "Some(\"de\") None"),
        (site(around.wrap(Router::new().route("/c", pages()))), "/c", "Some(\"de\") None"),
    ] {
        let request = ask(path).extension(Locale("de")).extension(User("eve".to_owned()));
        let answer = send(&site, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.text(), expected, "{path}");
        assert!(get_with(&site, path, &[]).await.is_fresh_hit());
    }
}

/// Requests that bypass under a policy, with the reason.
fn credentials() -> Vec<(Policy, &'static str, &'static str, Reason)> {
    let on = lasting().cookies(Cookies::bypass_on(["session"]));
    vec![
        (lasting(), "authorization", "Bearer x", Reason::Authorization),
        (lasting().cookies(Cookies::Ignore), "authorization", "", Reason::Authorization),
        (lasting(), "cookie", "a=b", Reason::Cookie),
        (lasting(), "cookie", "edge-isr-receipt=00; a=b", Reason::Cookie),
        (lasting(), "cookie", "a", Reason::Cookie),
        (on, "cookie", "a=b;session=1", Reason::Cookie),
        (lasting(), "upgrade", "websocket", Reason::Upgrade),
        (lasting().bypass_when(|parts| parts.headers.contains_key("x-me")), "x-me", "1", Reason::Policy),
    ]
}

#[tokio::test]
async fn p24_v01_v02_credentials_neither_read_nor_store_nor_join() {
    for position in POSITIONS {
        for (policy, name, value, reason) in credentials() {
            let Story { isr, page, site, .. } = Story::with(position, policy, |builder| builder);
            page.answers(|version| {
                ([("cache-control", "public, max-age=600")], format!("v{version}")).into_response()
            });
            let case = format!("{position:?} {name}: {value}");
            // Stores nothing.
            let first = get_with(&site, "/pages/1", &[(name, value)]).await;
            assert_eq!(
                first.cache_status(),
                format!("edge-isr;fwd=bypass;detail={}", reason.as_str()),
                "{case}"
            );
            assert_eq!(isr.stats().count(reason), 1, "{case}");
            // What stands there is not read, and not replaced.
            assert_eq!(get_with(&site, "/pages/1", &[]).await.text(), "v1", "{case}");
            page.commit(2);
            assert_eq!(get_with(&site, "/pages/1", &[(name, value)]).await.text(), "v2", "{case}");
            let third = get_with(&site, "/pages/1", &[]).await;
            assert_eq!((third.text(), third.is_fresh_hit()), ("v1", true), "{case}");
            assert_eq!(page.renders(), 3, "{case}");
            // Neither joins a public flight nor is joined by the public.
            page.gated(true);
            let public = begun({
                let site = site.clone();
                async move { get_with(&site, "/pages/2", &[]).await }
            })
            .await;
            page.gate().arrival().await;
            let (own, header) = (site.clone(), [(name, value)]);
            let private = begun(async move { get_with(&own, "/pages/2", &header).await }).await;
            page.gate().arrival().await;
            let (own, header) = (site.clone(), [(name, value)]);
            let private_first = begun(async move { get_with(&own, "/pages/3", &header).await }).await;
            page.gate().arrival().await;
            let then_public = begun({
                let site = site.clone();
                async move { get_with(&site, "/pages/3", &[]).await }
            })
            .await;
            page.gate().arrival().await;
            page.gate().open(4);
            for (answer, is_public) in [
                (public.await, true),
                (private.await, false),
                (private_first.await, false),
                (then_public.await, true),
            ] {
                assert_eq!(
                    answer.cache_status().contains(";stored"),
                    is_public,
                    "{case}: {}",
                    answer.cache_status()
                );
            }
        }
    }
}

#[tokio::test]
async fn p24_cookies_that_do_not_count_are_removed_before_the_handler() {
    for position in POSITIONS {
        for policy in
            [Policy::new().cookies(Cookies::Ignore), Policy::new().cookies(Cookies::bypass_on(["session"]))]
        {
            let site = echoing(position, &memory(), policy);
            let seen = get_with(&site, "/echo/1", &[("cookie", "sessions=canary; xsession=1")]).await;
            assert!(
                !seen.text().contains("cookie") && seen.cache_status().contains(";stored"),
                "{}",
                seen.text()
            );
            assert!(get_with(&site, "/echo/1", &[]).await.is_fresh_hit());
        }
        let site = echoing(position, &memory(), Policy::new());
        let seen = get_with(&site, "/echo/1", &[("cookie", "edge-isr-receipt=canary")]).await;
        assert!(
            !seen.text().contains("cookie") && seen.cache_status().contains(";stored"),
            "{}",
            seen.text()
        );
    }
}

fn is_draft(parts: &http::request::Parts) -> bool {
    parts.headers.get("x-preview").is_some_and(|value| value == "a secret")
}

const PREVIEW: &[(&str, &str)] = &[("x-preview", "a secret")];

async fn preview(isr: IsrContext, request: Request) -> Response {
    let audience = if isr.is_draft() { "draft" } else { "public" };
    let mut response = format!("{audience} {}", request.headers().contains_key("x-preview")).into_response();
    let headers = response.headers_mut();
    headers.insert("cdn-cache-control", "max-age=600".parse().unwrap());
    headers.insert("surrogate-control", "max-age=600".parse().unwrap());
    match request.uri().path() {
        "/page/missing" => *response.status_mut() = http::StatusCode::NOT_FOUND,
        "/page/broken" => *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR,
        "/page/vetoed" => drop(headers.insert("vary", "user-agent".parse().unwrap())),
        _ => return response,
    }
    response.headers_mut().insert("cache-control", "public, max-age=600".parse().unwrap());
    response
}

fn is_private(answer: &Answer) -> bool {
    let has_none = |name: &str| !answer.headers.contains_key(name);
    answer.header("cache-control") == "private, no-store"
        && has_none("cdn-cache-control")
        && has_none("surrogate-control")
}

#[tokio::test]
async fn p28_drafts_have_pages_of_their_own_that_leave_private() {
    for position in POSITIONS {
        let isr = memory();
        let site = place(position, &isr, "/page/{id}", lasting().draft(is_draft), (), get(preview));
        for first in [PREVIEW, &[]] {
            let path = if first.is_empty() { "/page/1" } else { "/page/2" };
            get_with(&site, path, first).await;
            for _ in 0..2 {
                let draft = get_with(&site, path, PREVIEW).await;
                assert_eq!(draft.text(), "draft false", "{position:?} {path}");
                assert!(is_private(&draft), "{position:?} {path}: {:?}", draft.headers);
                let public = get_with(&site, path, &[]).await;
                assert_eq!(public.text(), "public false", "{position:?} {path}");
                assert!(public.header("cache-control").starts_with("public,"), "{position:?} {path}");
            }
        }
        assert_eq!((isr.stats().renders, isr.stats().pages), (4, 4), "{position:?}");
        // A wrong secret is the public.
        assert_eq!(get_with(&site, "/page/1", &[("x-preview", "guess")]).await.text(), "public false");
        // Invalidated ones, and what is not stored, leave no less private.
        isr.graph().by_url("/page/1", edge_isr_axum::Mode::Soft).await.unwrap();
        let stale = get_with(&site, "/page/1", PREVIEW).await;
        assert!(stale.is_hit() && is_private(&stale), "{position:?}: {:?}", stale.headers);
        for path in ["/page/missing", "/page/broken", "/page/vetoed"] {
            let draft = get_with(&site, path, PREVIEW).await;
            assert!(draft.text().starts_with("draft"), "{path}");
            assert!(is_private(&draft), "{position:?} {path}: {:?}", draft.headers);
        }
    }
}

#[tokio::test]
async fn p28_c11_drafts_and_the_public_share_no_flight() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::with(position, lasting().draft(is_draft), |builder| builder);
        page.gated(true);
        let (one, two) = (site.clone(), site.clone());
        let public = begun(async move { get_with(&one, "/pages/1", &[]).await }).await;
        page.gate().arrival().await;
        let draft = begun(async move { get_with(&two, "/pages/1", PREVIEW).await }).await;
        page.gate().arrival().await;
        page.gate().open(2);
        assert!(!is_private(&public.await));
        assert!(is_private(&draft.await));
    }
}

#[tokio::test]
async fn v11_p35_key_tags_and_sequence_show_in_debug_mode_only() {
    for position in POSITIONS {
        for is_debug in [false, true] {
            let settings = |builder: edge_isr_axum::Builder| if is_debug { builder.debug() } else { builder };
            let Story { isr, page, site, .. } = Story::with(position, lasting(), settings);
            page.tags([tag("author", 7)]);
            isr.graph().revalidate_by_tags([tag("other", 1)]).await.unwrap();
            let miss = get_with(&site, "/pages/1?secret=1", &[]).await;
            let hit = get_with(&site, "/pages/1", &[]).await;
            isr.graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
            let stale = get_with(&site, "/pages/1", &[]).await;
            let seen = r#";key="www.example.com/pages/1";tags="author:7 page:1""#;
            for (answer, plain) in [
                (miss, "edge-isr;fwd=uri-miss;fwd-status=200;ttl=300;stored;detail=absent"),
                (hit, "edge-isr;hit;ttl=300"),
                (stale, "edge-isr;hit;ttl=-1;detail=invalidated"),
            ] {
                let status = answer.cache_status();
                match is_debug {
                    false => assert_eq!(status, plain, "{position:?}"),
                    true => {
                        assert_eq!(
                            status.replace(seen, "").replace(";seq=1", ""),
                            plain,
                            "{position:?}: {status}"
                        );
                        assert!(status.contains(seen) && status.contains(";seq=1"), "{position:?}: {status}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn p32_v13_no_secret_shows_in_debug_or_errors() {
    const SECRET: &str = "k3y-of-the-receipts";
    let builder = Isr::builder().receipt_key(SECRET).origins(["https://www.example.com"]);
    let mut shown = format!("{builder:?}");
    let isr = builder.build().unwrap();
    let layer = IsrLayer::new(&isr).policy(Policy::new().query(["token"]));
    let site =
        site(Router::new().route("/p/{id}", get(|| async { "page" }).layer(layer.clone())).layer(isr.edge()));
    let answer = get_with(&site, "/p/1?token=t0ken", &[]).await;
    assert!(answer.cache_status().contains("stored"));
    let receipt = isr.graph().revalidate_by_tags([tag("p", 1)]).await.unwrap();
    let cookie = receipt.cookie().to_str().unwrap().to_owned();
    let value = cookie.strip_prefix("edge-isr-receipt=").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.contains("; Secure") && cookie.contains("; HttpOnly"), "{cookie}");
    assert!(!answer.cache_status().contains("t0ken"));
    let not_a_url = isr.graph().by_url("not a url?token=t0ken", edge_isr_axum::Mode::Soft).await.unwrap_err();
    shown += &format!(
        "{isr:?} {layer:?} {:?} {receipt:?} {not_a_url} {not_a_url:?} {:?} {:?} {:?} {:?}",
        isr.graph(),
        isr.stats(),
        isr.health(),
        isr.edge(),
        Isr::builder().receipt_key("short").build().unwrap_err(),
    );
    for secret in [SECRET, "short", &*value, "t0ken", "107, 51, 121"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
