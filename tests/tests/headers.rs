//! What leaves: age, validators, conditions, ranges, `HEAD`, `Cache-Status`, tag headers, no freshness for
//! what was invalidated.
#![allow(
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "a helper that can't go on fails its test, and its cases are tables"
)]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Mode, TagHeader};
use edge_isr_stories::{
    Answer, POSITIONS, Position, Story, begun, call, exchange, get_with, html, lasting, place, send, serve,
    site,
};

const S: Duration = Duration::from_secs(1);

fn dated(version: u64) -> Response {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("etag", "\"own\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("date", "Mon, 07 Nov 1994 00:00:00 GMT"),
        ("content-location", "/pages/1"),
        ("cdn-cache-control", "max-age=60"),
    ];
    (headers, format!("v{version} 0123456789")).into_response()
}

#[tokio::test]
async fn age_counts_from_the_birth_and_cache_control_is_written_out() {
    let policy = || Policy::new().s_maxage(300 * S);
    for (policy, expected) in [
        (policy(), "public, max-age=0, s-maxage=300"),
        (policy().browser_max_age(9 * S), "public, max-age=9, s-maxage=300"),
        (
            policy().stale_while_revalidate(3600 * S),
            "public, max-age=0, s-maxage=300, stale-while-revalidate=3600",
        ),
        (
            policy().stale_while_revalidate(S).stale_if_error(2 * S),
            "public, max-age=0, s-maxage=300, stale-while-revalidate=1, stale-if-error=2",
        ),
    ] {
        for position in POSITIONS {
            let Story { clock, page, site, .. } = Story::with(position, policy.clone(), |builder| builder);
            page.answers(|_| {
                ([("age", "99"), ("expires", "0"), ("cache-control", "max-age=7")], "x").into_response()
            });
            for age in [0, 1, 298] {
                let answer = get_with(&site, "/pages/1", &[]).await;
                assert_eq!(answer.header("age"), (if age == 298 { 299 } else { age }).to_string());
                assert_eq!(answer.header("cache-control"), expected, "{position:?}");
                assert!(!answer.headers.contains_key("expires"), "{position:?}");
                clock.advance(if age == 1 { 298 * S } else { S });
            }
        }
    }
}

#[tokio::test]
async fn a_lifetime_that_the_handler_sets_is_what_leaves() {
    async fn short(isr: IsrContext) -> &'static str {
        isr.lifetime(9 * S);
        isr.lifetime(20 * S);
        "short"
    }
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let site = place(position, &isr, "/short", lasting(), (), get(short));
        let answer = get_with(&site, "/short", &[]).await;
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=0, s-maxage=9, stale-while-revalidate=3600"
        );
        assert!(answer.cache_status().contains(";ttl=9;"), "{}", answer.cache_status());
    }
}

#[tokio::test]
async fn a_lifetime_without_end_leaves_as_the_longest_that_caches_understand() {
    async fn endless(isr: IsrContext) -> &'static str {
        isr.lifetime(Duration::MAX);
        "endless"
    }
    let isr = Isr::builder().build().unwrap();
    let site = place(Position::Around, &isr, "/endless", lasting(), (), get(endless));
    let answer = get_with(&site, "/endless", &[]).await;
    let longest = "public, max-age=0, s-maxage=2147483647, stale-while-revalidate=3600";
    assert_eq!(answer.header("cache-control"), longest);
    assert!(answer.cache_status().contains(";stored"), "{}", answer.cache_status());
}

#[tokio::test]
async fn etags_are_the_handlers_own_or_made_from_the_content() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        let made = |answer: &Answer| answer.header("etag");
        let one = get_with(&site, "/pages/1", &[]).await;
        assert!(made(&one).starts_with('"') && made(&one).len() == 24, "{}", made(&one));
        assert_eq!(made(&get_with(&site, "/pages/1", &[]).await), made(&one));
        assert_eq!(made(&get_with(&site, "/pages/2", &[]).await), made(&one), "the same content");
        page.commit(2);
        assert_ne!(made(&get_with(&site, "/pages/3", &[]).await), made(&one), "other content");
        page.answers(dated);
        assert_eq!(made(&get_with(&site, "/pages/4", &[]).await), "\"own\"");
    }
}

#[tokio::test]
async fn d27_conditions_are_answered_from_the_page() {
    let modified = "if-modified-since";
    let same = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-none-match", "\"own\"")], 304),
        (&[("if-none-match", "W/\"own\"")], 304),
        (&[("if-none-match", "\"x\", W/\"own\" , \"y\"")], 304),
        (&[("if-none-match", "\"x\""), ("if-none-match", "\"own\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-none-match", "own")], 200),
        (&[("if-none-match", "\"own")], 200),
        (&[("if-none-match", "")], 200),
        (&[(modified, same)], 304),
        (&[(modified, "Sun, 06 Nov 1994 08:49:38 GMT")], 304),
        (&[(modified, "Sun, 06 Nov 1994 08:49:36 GMT")], 200),
        (&[(modified, "yesterday")], 200),
        (&[(modified, same), ("if-none-match", "\"other\"")], 200),
        (&[(modified, "Sun, 06 Nov 1994 00:00:00 GMT"), ("if-none-match", "\"own\"")], 304),
        (&[("if-match", "\"other\"")], 200),
        (&[("range", "bytes=0-0"), ("if-none-match", "\"own\"")], 304),
    ];
    for position in POSITIONS {
        for is_cold in [true, false] {
            for (headers, status) in cases {
                let Story { page, site, .. } =
                    Story::with(position, lasting().vary(["x-a"]), |builder| builder);
                page.answers(dated);
                if !is_cold {
                    get_with(&site, "/pages/1", &[]).await;
                }
                let answer = get_with(&site, "/pages/1", headers).await;
                let case = format!("{position:?} {is_cold} {headers:?}");
                let expected = if headers.iter().any(|(name, _)| *name == "range") && *status == 200 {
                    206
                } else {
                    *status
                };
                assert_eq!(answer.status.as_u16(), expected, "{case}");
                assert_eq!(answer.body.is_empty(), *status == 304, "{case}");
                // RFC 9110 §15.4.5.
                for (name, value) in [
                    ("etag", "\"own\""),
                    ("date", "Mon, 07 Nov 1994 00:00:00 GMT"),
                    ("content-location", "/pages/1"),
                    ("vary", "x-a"),
                    ("cache-control", "public, max-age=0, s-maxage=300, stale-while-revalidate=3600"),
                    ("cdn-cache-control", "max-age=60"),
                    ("age", "0"),
                ] {
                    assert_eq!(answer.header(name), value, "{case}");
                }
                assert_eq!(answer.header("content-type").is_empty(), *status == 304, "{case}");
                assert_eq!(page.renders(), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn d15_single_ranges_are_answered_from_the_page() {
    // "v1 0123456789" has 13 bytes.
    let cases: &[(&[(&str, &str)], u16, &str, &str)] = &[
        (&[("range", "bytes=0-0")], 206, "v", "bytes 0-0/13"),
        (&[("range", "bytes=11-")], 206, "89", "bytes 11-12/13"),
        (&[("range", "bytes=-2")], 206, "89", "bytes 11-12/13"),
        (&[("range", "bytes=11-99")], 206, "89", "bytes 11-12/13"),
        (&[("range", "bytes=13-")], 416, "", "bytes */13"),
        (&[("range", "bytes=-0")], 416, "", "bytes */13"),
        (&[("range", "bytes=99999999999999999999-")], 416, "", "bytes */13"),
        (&[("range", "bytes=0-0,2-2")], 200, "v1 0123456789", ""),
        (&[("range", "bytes=3-2")], 200, "v1 0123456789", ""),
        (&[("range", "lines=0-0")], 200, "v1 0123456789", ""),
        (&[("range", "bytes=0-0"), ("if-range", "\"own\"")], 206, "v", "bytes 0-0/13"),
        (&[("range", "bytes=0-0"), ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")], 206, "v", "bytes 0-0/13"),
        (&[("range", "bytes=0-0"), ("if-range", "W/\"own\"")], 200, "v1 0123456789", ""),
        (&[("range", "bytes=0-0"), ("if-range", "\"old\"")], 200, "v1 0123456789", ""),
        (&[("range", "bytes=0-0"), ("if-range", "Sun, 06 Nov 1994 08:49:38 GMT")], 200, "v1 0123456789", ""),
    ];
    for position in POSITIONS {
        for is_cold in [true, false] {
            for (headers, status, body, range) in cases {
                let Story { page, site, .. } = Story::at(position);
                page.answers(dated);
                if !is_cold {
                    get_with(&site, "/pages/1", &[]).await;
                }
                let case = format!("{position:?} {is_cold} {headers:?}");
                let part = get_with(&site, "/pages/1", headers).await;
                assert_eq!((part.status.as_u16(), part.text()), (*status, *body), "{case}");
                assert_eq!(part.header("content-range"), *range, "{case}");
                assert_eq!(part.header("content-length"), body.len().to_string(), "{case}");
                assert_eq!(part.header("etag"), "\"own\"", "{case}");
                let whole = get_with(&site, "/pages/1", &[]).await;
                assert_eq!(
                    (whole.status.as_u16(), whole.text()),
                    (200, "v1 0123456789"),
                    "{case}: never stored"
                );
                assert!(whole.is_fresh_hit(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.answers(dated);
        let cold = call(&site, "HEAD", "/pages/1").await;
        let get = get_with(&site, "/pages/1", &[]).await;
        let warm = call(&site, "HEAD", "/pages/1").await;
        assert!(cold.body.is_empty() && warm.body.is_empty());
        assert_eq!(warm.headers, get.headers, "{position:?}");
        assert_eq!((&*warm.header("content-length"), warm.status.as_u16()), ("13", 200));
        for (name, value) in &get.headers {
            assert!(name == "cache-status" || cold.headers.get(name) == Some(value), "{position:?} {name}");
        }
        assert_eq!(page.renders(), 1, "{position:?}: HEAD fills what GET reads");
        let ranged = send(
            &site,
            edge_isr_stories::ask("/pages/1")
                .method("HEAD")
                .header("range", "bytes=0-0")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
        assert_eq!((ranged.status.as_u16(), &*ranged.header("content-length")), (200, "13"), "{position:?}");
    }
}

#[tokio::test]
async fn p35_cache_status_says_what_happened_in_one_member() {
    for position in POSITIONS {
        let Story { isr, clock, page, site } =
            Story::with(position, lasting(), |builder| builder.name("front"));
        let status =
            async |headers: &[(&str, &str)]| get_with(&site, "/pages/1", headers).await.cache_status();
        assert_eq!(status(&[]).await, "front;fwd=uri-miss;fwd-status=200;ttl=300;stored;detail=absent");
        clock.advance(10 * S);
        assert_eq!(status(&[]).await, "front;hit;ttl=290");
        assert_eq!(status(&[("if-none-match", "*")]).await, "front;hit;ttl=290");
        clock.advance(295 * S);
        assert_eq!(status(&[]).await, "front;hit;ttl=-5;detail=aged", "{position:?}");
        isr.idle().await;
        assert_eq!(status(&[]).await, "front;hit;ttl=300");
        isr.graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
        assert_eq!(status(&[]).await, "front;hit;ttl=-1;detail=invalidated");
        isr.idle().await;
        isr.graph().expire_by_tags([tag("page", 1)]).await.unwrap();
        assert_eq!(status(&[]).await, "front;fwd=miss;fwd-status=200;ttl=300;stored;detail=dead");
        clock.advance(4000 * S);
        assert_eq!(status(&[]).await, "front;fwd=stale;fwd-status=200;ttl=300;stored;detail=expired");
        assert_eq!(status(&[("authorization", "x")]).await, "front;fwd=bypass;detail=authorization");
        assert_eq!(call(&site, "POST", "/pages/1").await.cache_status(), "front;fwd=method;detail=method");
        isr.idle().await;
        isr.graph().expire_by_tags([tag("page", 1)]).await.unwrap();
        page.gated(true);
        let ask = || {
            let site = site.clone();
            async move { get_with(&site, "/pages/1", &[]).await }
        };
        let (lead, follow) = (begun(ask()).await, begun(ask()).await);
        page.gate().arrival().await;
        page.gate().open(1);
        assert_eq!(lead.await.cache_status(), "front;fwd=miss;fwd-status=200;ttl=300;stored;detail=dead");
        let follow = follow.await.cache_status();
        assert!(follow.contains(";collapsed") && follow.starts_with("front;fwd="), "{follow}");
        // Every word is a counter's, too.
        for word in ["hit", "aged", "invalidated", "dead", "expired", "absent", "authorization", "method"] {
            assert!(isr.stats().iter().any(|(reason, count)| reason.as_str() == word && count > 0), "{word}");
        }
    }
}

#[tokio::test]
async fn p35_a_page_rendered_alone_says_that_it_is_stored() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.answers(|_| ([("cache-control", "private")], "x").into_response());
        get_with(&site, "/pages/1", &[]).await;
        page.answers(|_| html("now for all"));
        let passed = get_with(&site, "/pages/1", &[]).await;
        assert_eq!(passed.cache_status(), "edge-isr;fwd=uri-miss;fwd-status=200;ttl=300;stored;detail=pass");
        assert!(get_with(&site, "/pages/1", &[]).await.is_fresh_hit(), "{position:?}");
    }
}

#[tokio::test]
async fn cache_status_of_nearer_caches_is_kept_before_ours() {
    for position in POSITIONS {
        for status in [200_u16, 503] {
            let Story { page, site, .. } = Story::at(position);
            page.answers(move |version| {
                let mut response = dated(version);
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                for value in ["deep;hit", "middle;fwd=miss"] {
                    response.headers_mut().append("cache-status", value.parse().unwrap());
                }
                response.headers_mut().insert("age", "77".parse().unwrap());
                response
            });
            for headers in [&[][..], &[], &[("if-none-match", "*")]] {
                let answer = get_with(&site, "/pages/1", headers).await;
                let said = answer.cache_status();
                assert!(
                    said.starts_with("deep;hit, middle;fwd=miss, edge-isr;"),
                    "{position:?} {status}: {said}"
                );
                assert_eq!(answer.header("etag"), "\"own\"", "{position:?} {status}");
            }
            let vetoed = {
                page.answers(|_| {
                    ([("cache-status", "deep;hit"), ("set-cookie", "a=b")], "x").into_response()
                });
                get_with(&site, "/pages/2", &[]).await
            };
            assert_eq!(
                vetoed.cache_status(),
                "deep;hit, edge-isr;fwd=uri-miss;fwd-status=200;detail=set-cookie"
            );
        }
    }
}

#[tokio::test]
async fn p10_what_was_invalidated_leaves_without_freshness_for_any_cache() {
    let fields = [
        "cdn-cache-control",
        "surrogate-control",
        "cloudflare-cdn-cache-control",
        "netlify-cdn-cache-control",
    ];
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        page.answers(move |version| {
            let mut response = dated(version);
            for field in fields {
                response.headers_mut().insert(field, "max-age=3600".parse().unwrap());
            }
            response.headers_mut().insert("expires", "Fri, 01 Jan 2100 00:00:00 GMT".parse().unwrap());
            response
        });
        get_with(&site, "/pages/1", &[]).await;
        let fresh = get_with(&site, "/pages/1", &[]).await;
        assert!(fields.iter().all(|field| fresh.header(field) == "max-age=3600"));
        page.gated(true);
        isr.graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
        for (headers, status) in [
            (&[][..], 200),
            (&[("if-none-match", "*")], 304),
            (&[("range", "bytes=0-0")], 206),
            (&[("range", "bytes=99-")], 416),
        ] {
            for method in ["GET", "HEAD"] {
                let mut request = edge_isr_stories::ask("/pages/1").method(method);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let stale = send(&site, request.body(Body::empty()).unwrap()).await;
                let expected = if method == "HEAD" && status != 304 { 200 } else { status };
                assert_eq!(stale.status.as_u16(), expected, "{position:?} {method} {headers:?}");
                assert_eq!(stale.detail(), "invalidated");
                assert!(stale.is_zero_downstream(), "{position:?} {headers:?}");
                assert!(!stale.headers.contains_key("expires"));
                for field in fields {
                    assert_eq!(
                        stale.header(field),
                        "max-age=0, must-revalidate",
                        "{position:?} {status} {field}"
                    );
                }
            }
        }
        page.gate().open(10);
    }
}

#[tokio::test]
async fn tag_headers_list_tags_with_their_ancestors() {
    for position in POSITIONS {
        for headers in [
            vec![TagHeader::SurrogateKey],
            vec![TagHeader::CacheTag],
            vec![TagHeader::SurrogateKey, TagHeader::CacheTag],
            vec![],
        ] {
            let settings = |builder: edge_isr_axum::Builder| {
                headers.iter().fold(builder, |builder, header| builder.tag_header(*header))
            };
            let Story { page, site, .. } = Story::with(position, lasting(), settings);
            page.tags([tag("shop:post", "A b"), Tag::named("front")]);
            for conditions in [&[][..], &[], &[("if-none-match", "*")]] {
                let answer = get_with(&site, "/pages/1", conditions).await;
                let expected = |header, separator: &str| match headers.contains(&header) {
                    true => {
                        ["front", "page", "page:1", "shop", "shop:post", "shop:post:a%20b"].join(separator)
                    }
                    false => String::new(),
                };
                assert_eq!(
                    answer.header("surrogate-key"),
                    expected(TagHeader::SurrogateKey, " "),
                    "{position:?}"
                );
                assert_eq!(answer.header("cache-tag"), expected(TagHeader::CacheTag, ","), "{position:?}");
            }
        }
    }
}

#[tokio::test]
async fn b04_a_tag_header_too_long_for_a_cdn_takes_the_freshness_for_it() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } =
            Story::with(position, lasting(), |builder| builder.tag_header(TagHeader::CacheTag));
        page.tags((0..240).map(|n| tag("long", format!("{n}{}", "x".repeat(200)))));
        page.answers(|_| ([("cdn-cache-control", "max-age=600")], "x").into_response());
        for _ in 0..2 {
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert!(answer.is_zero_downstream(), "{position:?}: {:?}", answer.headers);
            assert_eq!(answer.header("cdn-cache-control"), "max-age=0, must-revalidate");
            assert!(!answer.headers.contains_key("cache-tag"));
        }
        assert_eq!(isr.stats().hits(), 1, "here it is cached all the same");
        assert!(
            isr.health()
                .notes
                .iter()
                .any(|note| note.reason.as_str() == "too-many-tags" && note.subject == "/pages/{id}")
        );
    }
}

#[tokio::test]
async fn b14_fields_of_the_connection_go_and_all_others_stay_byte_for_byte() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.answers(|_| {
            let mut response = html("x");
            let headers = response.headers_mut();
            for (name, value) in [
                ("connection", &b"close, X-Foo"[..]),
                ("connection", b"x-bar"),
                ("x-foo", b"1"),
                ("x-bar", b"1"),
                ("keep-alive", b"timeout=5"),
                ("proxy-authenticate", b"Basic"),
                ("te", b"trailers"),
                ("trailer", b"x-sum"),
                ("transfer-encoding", b"chunked"),
                ("upgrade", b"h2c"),
                ("x-multi", b"1"),
                ("link", b"</a>; rel=preload"),
                ("x-multi", b"2, 3"),
                ("link", b"</b>; rel=preload"),
                ("x-bytes", b"caf\xe9 \xff\x80"),
                ("x-empty", b""),
                ("content-security-policy", b"default-src 'self'; report-uri /\"x\""),
            ] {
                headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
            }
            response
        });
        for _ in 0..2 {
            let answer = get_with(&site, "/pages/1", &[]).await;
            for name in [
                "connection",
                "x-foo",
                "x-bar",
                "keep-alive",
                "proxy-authenticate",
                "te",
                "trailer",
                "transfer-encoding",
                "upgrade",
            ] {
                assert!(!answer.headers.contains_key(name), "{position:?} {name}");
            }
            let lines =
                |name| answer.headers.get_all(name).iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
            assert_eq!(lines("x-multi"), [&b"1"[..], b"2, 3"], "{position:?}");
            assert_eq!(lines("link"), [b"</a>; rel=preload", b"</b>; rel=preload"], "{position:?}");
            assert_eq!(lines("x-bytes"), [b"caf\xe9 \xff\x80"], "{position:?}");
            assert_eq!(lines("x-empty"), [b""], "{position:?}");
            assert_eq!(answer.header("content-security-policy"), "default-src 'self'; report-uri /\"x\"");
        }
    }
}

#[tokio::test]
async fn b14_trailers_are_no_part_of_the_page() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.answers(|_| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", "1".parse().unwrap());
            let frames = [
                Ok::<_, std::io::Error>(http_body::Frame::data(bytes::Bytes::from("a"))),
                Ok(http_body::Frame::trailers(trailers)),
            ];
            let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
            Response::new(Body::new(body))
        });
        for _ in 0..2 {
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert_eq!((answer.text(), &*answer.header("content-length")), ("a", "1"), "{position:?}");
            assert!(!answer.headers.contains_key("x-sum"));
        }
    }
}

#[tokio::test]
async fn b14_a_value_longer_than_64_kib_is_not_cut() {
    let mut limits = edge_isr_axum::Limits::default();
    limits.head_bytes = 1 << 20;
    for position in POSITIONS {
        let Story { page, site, .. } = Story::with(position, lasting(), |builder| builder.limits(limits));
        page.answers(|_| ([("link", "x".repeat(70_000)), ("etag", "\"e\"".to_owned())], "x").into_response());
        for _ in 0..2 {
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert_eq!(
                (answer.header("link").len(), &*answer.header("etag")),
                (70_000, "\"e\""),
                "{position:?}"
            );
        }
    }
}

#[tokio::test]
async fn d24_declared_dimensions_are_named_in_vary() {
    for position in POSITIONS {
        for (own, expected) in [
            (None, "accept-language, x-theme"),
            (Some("Accept-Encoding"), "Accept-Encoding, accept-language, x-theme"),
            (Some("X-THEME , Accept-Language"), "X-THEME , Accept-Language"),
            (Some("accept-language"), "accept-language, x-theme"),
        ] {
            let policy = lasting().vary(["accept-language", "x-theme"]);
            let Story { page, site, .. } = Story::with(position, policy, |builder| builder);
            page.answers(move |_| {
                let mut response = html("x");
                if let Some(own) = own {
                    response.headers_mut().insert("vary", own.parse().unwrap());
                }
                response
            });
            for headers in [&[][..], &[], &[("if-none-match", "*")]] {
                assert_eq!(
                    get_with(&site, "/pages/1", headers).await.header("vary"),
                    expected,
                    "{position:?}"
                );
            }
        }
        // Without dimensions there is nothing to name.
        let Story { site, .. } = Story::at(position);
        assert!(!get_with(&site, "/pages/1", &[]).await.headers.contains_key("vary"));
    }
}

#[tokio::test]
async fn d27_each_variant_has_its_own_etag() {
    let isr = Isr::builder().build().unwrap();
    let echo = get(edge_isr_stories::echo).layer(IsrLayer::new(&isr).policy(lasting().vary(["x-theme"])));
    let site = site(Router::new().route("/", echo));
    let light = get_with(&site, "/", &[("x-theme", "light")]).await.header("etag");
    let dark = get_with(&site, "/", &[("x-theme", "dark")]).await.header("etag");
    assert_ne!(light, dark);
    let other = get_with(&site, "/", &[("x-theme", "dark"), ("if-none-match", &light)]).await;
    assert_eq!((other.status.as_u16(), other.header("etag")), (200, dark));
}

#[tokio::test]
async fn on_the_wire_hits_304_and_head_are_framed_right() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        let address = serve(site).await;
        let ask = async |method: &str, extra: &str| {
            let bytes = format!(
                "{method} /pages/1 HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n{extra}\r\n"
            );
            exchange(address, bytes.as_bytes()).await
        };
        let has = |answer: &str, line: &str| answer.to_ascii_lowercase().lines().any(|own| own == line);
        let cold = ask("GET", "").await;
        assert!(cold.starts_with("HTTP/1.1 200") && cold.ends_with("\r\n\r\nv1"), "{cold}");
        let hit = ask("GET", "").await;
        assert!(
            has(&hit, "cache-status: edge-isr;hit;ttl=299")
                || has(&hit, "cache-status: edge-isr;hit;ttl=300"),
            "{hit}"
        );
        assert!(has(&hit, "content-length: 2") && hit.ends_with("\r\n\r\nv1"), "{hit}");
        assert!(hit.to_ascii_lowercase().contains("\r\ndate: "), "{hit}");
        let head = ask("HEAD", "").await;
        assert!(has(&head, "content-length: 2") && head.ends_with("\r\n\r\n"), "{head}");
        let not_modified = ask("GET", "if-none-match: *\r\n").await;
        assert!(
            not_modified.starts_with("HTTP/1.1 304") && not_modified.ends_with("\r\n\r\n"),
            "{not_modified}"
        );
        for name in ["etag", "cache-control", "date", "age", "cache-status"] {
            assert!(
                not_modified.to_ascii_lowercase().contains(&format!("\r\n{name}: ")),
                "{name}: {not_modified}"
            );
        }
        let part = ask("GET", "range: bytes=1-1\r\n").await;
        assert!(part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\n1"), "{part}");
        assert_eq!(page.renders(), 1);
    }
}

#[tokio::test]
async fn d23_the_body_of_a_request_that_is_answered_from_the_cache_is_never_read_as_a_request() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        get_with(&site, "/pages/1", &[]).await;
        let address = serve(site).await;
        let smuggled = "GET /pages/smuggled HTTP/1.1\r\nhost: www.example.com\r\n\r\n";
        let last = "GET /pages/1 HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n\r\n";
        let whole = format!(
            "GET /pages/1 HTTP/1.1\r\nhost: www.example.com\r\ncontent-length: {}\r\n\r\n{smuggled}{last}",
            smuggled.len()
        );
        let chunked = format!(
            "GET /pages/1 HTTP/1.1\r\nhost: www.example.com\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n{last}",
            smuggled.len()
        );
        for bytes in [whole, chunked] {
            let answers = exchange(address, bytes.as_bytes()).await;
            let count = answers.matches("HTTP/1.1 200").count();
            // Either the rest is answered in its turn, or the connection is closed.
            assert!((1..=2).contains(&count), "{position:?}: {answers}");
            assert_eq!(answers.matches("HTTP/1.1").count(), count, "{position:?}: {answers}");
            assert!(!answers.contains("fwd="), "{position:?}: {answers}");
        }
        assert_eq!(page.renders(), 1, "{position:?}: /pages/smuggled was never asked for");
        // What never comes is not waited for.
        let unfinished = "GET /pages/1 HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\ncontent-length: 5\r\n\r\n";
        assert!(exchange(address, unfinished.as_bytes()).await.contains("edge-isr;hit"), "{position:?}");
    }
}

#[tokio::test]
async fn a_soft_mark_on_one_page_leaves_the_others_headers_alone() {
    for position in POSITIONS {
        let story = Story::at(position);
        for path in ["/pages/1", "/pages/2"] {
            story.get(path).await;
        }
        story.invalidate(1, Mode::Soft).await;
        let other = story.get("/pages/2").await;
        assert!(other.is_fresh_hit() && !other.is_zero_downstream(), "{position:?}");
    }
}
