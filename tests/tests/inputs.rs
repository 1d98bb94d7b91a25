//! Bad input: tags, URLs, hosts, headers, settings. The page is served; what can't be right is not stored, and
//! the reason has a name.
#![allow(
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "a helper that can't go on fails its test, and its cases are tables"
)]

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Path, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Limits, Mode, Reason, TagError, TagHeader};
use edge_isr_stories::{
    POSITIONS, Position, Site, Story, ask, echo, exchange, get_with, html, lasting, place, send, serve, site,
};
use http::{HeaderValue, Uri};

/// Ids that mean something elsewhere: in headers, in Redis, in Lua, in HTML, in logs, in our own syntax.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "*",
    "a b",
    "a,b",
    "a:b",
    "A",
    "a\r\nset-cookie: x=1",
    "a\0b",
    "\x1b[31m",
    "~all",
    "{a}",
    "a}:epoch",
    "a\"b",
    "a\\b",
    "a;hit",
    "%",
    "%61",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{212a}",
    "k",
    "\u{202e}evil",
    "\u{1f980}",
    "<img src=x onerror=alert(1)>",
    "'; return redis.call('flushall') --",
    "${jndi:ldap://x}",
    "../..",
];

#[tokio::test]
async fn b01_b04_p31_r27_any_id_makes_an_inert_tag_of_its_own() {
    let mut seen = BTreeMap::new();
    for position in POSITIONS {
        let settings = |builder: edge_isr_axum::Builder| {
            builder.debug().tag_header(TagHeader::SurrogateKey).tag_header(TagHeader::CacheTag)
        };
        let story = Story::with(position, Policy::new(), settings);
        for (n, id) in HOSTILE.iter().enumerate() {
            let own = tag("thing", id);
            if let Some(other) = seen.insert((position == Position::Inside, own.clone()), *id) {
                // Letters differ by case only, and then they are the same tag on purpose.
                assert!(other.eq_ignore_ascii_case(id), "{id:?} and {other:?}");
            }
            story.page.tags([own.clone()]);
            let path = format!("/pages/{n}");
            for _ in 0..2 {
                let answer = story.get(&path).await;
                let inert = |text: &str| {
                    text.bytes().all(
                        |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-' | b'%' | b':'),
                    )
                };
                assert!(answer.header("surrogate-key").split(' ').all(inert), "{id:?}: {answer:?}");
                assert!(answer.header("cache-tag").split(',').all(inert), "{id:?}: {answer:?}");
                assert!(!answer.headers.contains_key("set-cookie"));
                assert_eq!(answer.headers.get_all("cache-status").iter().count(), 1, "{id:?}");
                let status = answer.cache_status();
                assert!(status.contains(&format!("tags=\"page:{n} {own}\"")), "{id:?}: {status}");
            }
            assert!(story.get(&path).await.is_hit(), "{id:?}");
            story.isr.graph().expire_by_tags([own]).await.unwrap();
            assert!(!story.get(&path).await.is_hit(), "{position:?} {id:?}: it can be invalidated");
        }
    }
}

#[test]
fn b01_text_from_outside_is_folded_or_refused_and_never_cut() {
    for (text, expected) in [
        ("", Err(TagError::Empty)),
        (":", Err(TagError::Empty)),
        ("a:", Err(TagError::Empty)),
        ("a\0", Err(TagError::Control)),
        ("a\r\nb", Err(TagError::Control)),
        ("~all", Err(TagError::Reserved)),
        ("Post:42", Ok("post:42")),
        ("a b,c", Ok("a%20b%2cc")),
        ("\u{202e}x", Ok("%e2%80%aex")),
        ("*", Ok("%2a")),
        ("{x}", Ok("%7bx%7d")),
    ] {
        assert_eq!(Tag::parse(text).as_ref().map(Tag::as_str).map_err(|error| *error), expected, "{text:?}");
    }
    assert_eq!(Tag::parse(&"x".repeat(257)), Err(TagError::TooLong));
    assert!(Tag::parse(&"x".repeat(256)).is_ok());
    let (long, longer) = (tag("post", "x".repeat(10 << 20)), tag("post", "x".repeat((10 << 20) + 1)));
    assert!(long.as_str().len() <= 256 && longer.as_str().len() <= 256);
    assert_ne!(long, longer);
}

#[tokio::test]
async fn b02_a_page_with_too_many_tags_is_served_and_not_stored() {
    for position in POSITIONS {
        // The path's tag is one of them.
        for (count, is_stored) in [(255, true), (256, false), (10_000, false)] {
            let story = Story::at(position);
            story.page.tags((0..count).map(|n| tag("t", n)));
            let answer = story.get("/pages/1").await;
            assert_eq!(answer.text(), "v1");
            assert_eq!(answer.cache_status().contains(";stored"), is_stored, "{position:?} {count}");
            assert_eq!(answer.detail() == "too-many-tags", !is_stored, "{position:?} {count}");
            assert_eq!(story.isr.stats().count(Reason::TooManyTags), u64::from(!is_stored));
        }
    }
}

async fn tell(
    matched: Option<MatchedPath>,
    Path(params): Path<Vec<(String, String)>>,
    request: Request,
) -> String {
    format!("{:?} {params:?} {}", matched.map(|matched| matched.as_str().to_owned()), request.uri().path())
}

fn routes(wrap: impl Fn(axum::routing::MethodRouter) -> axum::routing::MethodRouter) -> Router {
    let mut router = Router::new();
    for pattern in ["/", "/posts/{id}", "/posts/new", "/posts/{id}/edit", "/files/{*path}", "/{lang}"] {
        router = router.route(pattern, wrap(get(tell)));
    }
    router
}

fn cached_routes(position: Position, isr: &Isr) -> Site {
    let policy = || lasting().query(["page"]);
    match position {
        Position::Inside => site(routes(|pages| pages.layer(IsrLayer::new(isr).policy(policy())))),
        Position::Around => {
            let around = IsrLayer::around(isr)
                .route("/", policy(), ())
                .route("/posts/{id}", policy(), path_tag("post:{id}"))
                .route("/posts/{id}/edit", policy(), ())
                .route("/files/{*path}", policy(), path_tag("file:{path}"))
                .route("/{lang}", policy(), ())
                .pass("/posts/new");
            site(around.build().unwrap().wrap(routes(|pages| pages)))
        }
    }
}

#[tokio::test]
async fn b06_p27_d26_any_url_is_answered_as_without_the_cache_and_no_two_share_a_page() {
    let bare = site(routes(|pages| pages));
    let targets = [
        "/",
        "//",
        "/.",
        "/..",
        "/posts/1",
        "/posts/1/",
        "//posts/1",
        "/posts//1",
        "/posts/%31",
        "/posts/%2f",
        "/posts/1%2fedit",
        "/posts/1/edit",
        "/posts/%2e%2e",
        "/posts/..",
        "/posts/../posts/1",
        "/posts/new",
        "/posts/NEW",
        "/posts/new?page=1",
        "/posts/%00",
        "/posts/%0d%0a",
        "/posts/%ff",
        "/posts/%f0%9f%a6%80",
        "/posts/caf%C3%A9",
        "/posts/cafe%CC%81",
        "/posts/%E2%84%AA",
        "/posts/k",
        "/posts/K",
        "/posts/1;x",
        "/posts/1;x=y",
        "/posts/%3b",
        "/posts/%3f",
        "/posts/?",
        "/posts/1?page=1",
        "/posts/1?page=",
        "/posts/1?page",
        "/posts/1?",
        "/posts/1?page=1&page=2",
        "/posts/1?page=2&page=1",
        "/posts/1?page=%31",
        "/posts/1?page=1%26page=2",
        "/posts/{id}",
        "/posts/%7Bid%7D",
        "/posts/*",
        "/posts/~all",
        "/files/a",
        "/files/a/b",
        "/files/a%2fb",
        "/files//",
        "/files/",
        "/files",
        "/files/../posts/1",
        "/files/a?page=1",
        "/files/a%3fpage=1",
        "/de",
        "/DE",
        "/d%65",
        "/@",
        "/a@b",
        "/a:b",
        "/x:80",
        "/'",
        "/\"",
        "/<b>",
        "/a|b",
        "/[a]",
    ];
    let long = format!("/posts/{}", "x".repeat(9000));
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let site = cached_routes(position, &isr);
        let mut bodies: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut hits = 0;
        for target in targets.iter().copied().chain([&*long]) {
            if target.parse::<Uri>().is_err() {
                continue;
            }
            let expected = get_with(&bare, target, &[]).await;
            for round in 0..2 {
                let answer = get_with(&site, target, &[]).await;
                assert_eq!(
                    (answer.status, &answer.body),
                    (expected.status, &expected.body),
                    "{position:?} {target}"
                );
                hits += usize::from(round == 1 && answer.is_fresh_hit());
            }
            bodies.entry(expected.text().to_owned()).or_default().push(target);
        }
        assert!(hits > 40, "{position:?}: {hits} of these are pages");
        let passed = get_with(&site, "/posts/new", &[]).await.cache_status();
        assert_eq!(
            passed.is_empty(),
            position == Position::Around,
            "an exception passes untouched: {passed}"
        );
        assert_eq!(get_with(&site, &long, &[]).await.detail(), "key-too-long", "{position:?}");
    }
}

#[tokio::test]
async fn b06_raw_request_targets_on_the_wire_are_answered_as_without_the_cache() {
    let targets: &[&[u8]] = &[
        b"/posts/1",
        b"http://www.example.com/posts/1",
        b"http://WWW.EXAMPLE.COM:80/posts/1",
        b"https://www.example.com/posts/1",
        b"http://evil.example/posts/1",
        b"http://user:pw@www.example.com/posts/1",
        b"//evil.example/posts/1",
        b"/\\evil.example/posts/1",
        b"\\posts\\1",
        b"/posts/1#fragment",
        b"/posts/\xff\xfe",
        b"/posts/\xc3\xa9",
        b"/posts/%",
        b"/posts/%zz",
        b"/posts/a\tb",
        b"/posts/\x01",
        b"*",
        b"",
        b"posts/1",
        b"www.example.com:80",
        b"ftp://www.example.com/posts/1",
        b"http:///posts/1",
        b"http://[::1]/posts/1",
        b"http://[::g]/posts/1",
        b"/?page=<script>",
        b"/?\"",
    ];
    let mut first = Vec::new();
    for position in [None, Some(Position::Inside), Some(Position::Around)] {
        let isr = Isr::builder().build().unwrap();
        let address = match position {
            None => serve(site(routes(|pages| pages))).await,
            Some(position) => serve(cached_routes(position, &isr)).await,
        };
        let mut told = Vec::new();
        for target in targets {
            for host in ["www.example.com", "WWW.example.com:80"] {
                let mut bytes = b"GET ".to_vec();
                bytes.extend_from_slice(target);
                bytes.extend_from_slice(
                    format!(" HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes(),
                );
                let answer = exchange(address, &bytes).await;
                let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
                let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                told.push((String::from_utf8_lossy(target).into_owned(), status, body));
            }
        }
        match position {
            None => first = told,
            Some(position) => {
                assert_eq!(first, told, "{position:?}");
                assert!(isr.stats().hits() > 5, "{position:?}");
            }
        }
    }
    assert!(first.iter().filter(|(_, status, _)| status == "200").count() > 10);
}

#[tokio::test]
async fn b06_absolute_urls_never_fill_the_page_of_another_host() {
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let site = place(position, &isr, "/echo", lasting(), (), get(echo));
        let request = Request::get("http://evil.example/echo").header("host", "www.example.com");
        let evil = send(&site, request.body(Body::empty()).unwrap()).await;
        assert!(
            evil.text().contains("host: evil.example\n") && !evil.text().contains("www."),
            "{}",
            evil.text()
        );
        let own = get_with(&site, "/echo", &[]).await;
        assert!(own.text().contains("host: www.example.com\n") && !own.is_hit(), "{position:?}");
    }
}

async fn by_host(site: &Site, hosts: &[&[u8]]) -> edge_isr_stories::Answer {
    let mut request = Request::get("/pages/1");
    for host in hosts {
        request = request.header("host", HeaderValue::from_bytes(host).unwrap());
    }
    send(site, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn b07_hosts_have_one_spelling_and_what_is_none_bypasses() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        by_host(&site, &[b"www.example.com"]).await;
        for same in [
            "WWW.Example.COM",
            "www.example.com.",
            "www.example.com:80",
            "WWW.example.com.:80",
            "www.example.com:",
        ] {
            assert!(by_host(&site, &[same.as_bytes()]).await.is_fresh_hit(), "{position:?} {same}");
        }
        assert_eq!(page.renders(), 1);
        let bad: [&[&[u8]]; 12] = [
            &[],
            &[b""],
            &[b"www.example.com", b"www.example.com"],
            &[b"www.example.com", b"evil.example"],
            &[b"a b"],
            &[b"user@www.example.com"],
            &[b"www.example.com/x"],
            &[b"www.example.com:080"],
            &[b"www.example.com:x"],
            &[b"caf\xe9.example"],
            &[b"[::1"],
            &[b"a\"b"],
        ];
        for host in bad {
            let answer = by_host(&site, host).await;
            assert_eq!(
                (answer.text(), &*answer.cache_status()),
                ("v1", "edge-isr;fwd=bypass;detail=bad-host"),
                "{host:?}"
            );
        }
        assert_eq!((isr.stats().pages, isr.stats().count(Reason::BadHost)), (1, 12), "{position:?}");
        for other in ["[::1]:3000", "127.0.0.1", "localhost:3000", "www.example.com:8080"] {
            assert!(by_host(&site, &[other.as_bytes()]).await.cache_status().contains(";stored"), "{other}");
        }
    }
}

#[tokio::test]
async fn d05_b07_only_listed_origins_have_pages_under_one_spelling() {
    for position in POSITIONS {
        let origins = ["https://www.example.com", "http://plain.example:8080/"];
        let Story { isr, page, site, .. } =
            Story::with(position, lasting(), |builder| builder.origins(origins));
        by_host(&site, &[b"www.example.com"]).await;
        for same in ["WWW.example.com", "www.example.com:443", "www.example.com."] {
            let answer = by_host(&site, &[same.as_bytes()]).await;
            assert!(answer.is_fresh_hit(), "{position:?} {same}: {}", answer.cache_status());
        }
        assert!(by_host(&site, &[b"plain.example:8080"]).await.cache_status().contains(";stored"));
        page.commit(2);
        for other in [
            "evil.example",
            "www.example.com:8443",
            "plain.example",
            "plain.example:80",
            "example.com",
            "a.www.example.com",
        ] {
            let answer = by_host(&site, &[other.as_bytes()]).await;
            assert_eq!((answer.text(), &*answer.detail()), ("v2", "unknown-host"), "{position:?} {other}");
        }
        let answer = by_host(&site, &[b"www.example.com"]).await;
        assert_eq!((answer.text(), isr.stats().pages), ("v1", 2), "{position:?}");
        // A listed host has the scheme it is listed with, whatever the request says.
        let request = Request::get("http://www.example.com/pages/1").body(Body::empty()).unwrap();
        assert!(send(&site, request).await.is_fresh_hit(), "{position:?}");
        let urls = isr.graph().urls_for(&tag("page", 1), None, 10).await.unwrap().urls;
        assert!(urls.contains(&"https://www.example.com/pages/1".to_owned()), "{urls:?}");
        // And what changes is invalidated under every spelling, too.
        let request =
            Request::post("/pages/1").header("host", "WWW.example.com:443").body(Body::empty()).unwrap();
        send(&site, request).await;
    }
}

#[tokio::test]
async fn b09_b10_v06_any_doubt_about_cache_control_means_not_stored() {
    let lines: &[&[&str]] = &[
        &["private"],
        &["Private"],
        &["private=\"\""],
        &["private=\" a\""],
        &["private=\"x"],
        &["public, private"],
        &["public", "no-store"],
        &["no-cache = \"x\""],
        &["NO-CACHE"],
        &["no-cache=x"],
        &["no-store=1"],
        &[",,no-store,,"],
        &["\tno-store\t"],
        &["max-age=60;no-store"],
        &["public no-store"],
        &["max-age=-1"],
        &["max-age=1.5"],
        &["max-age=1abc"],
        &["max-age="],
        &["max-age"],
        &["s-maxage=\"x\""],
        &["max-age=60, max-age=x"],
        &["="],
        &["a=\"\\"],
        &["\"no-store\""],
        &["no-store\""],
    ];
    for position in POSITIONS {
        for lines in lines {
            let Story { isr, page, site, .. } = Story::at(position);
            page.answers(move |_| {
                let mut response = html("x");
                for line in *lines {
                    response.headers_mut().append("cache-control", line.parse().unwrap());
                }
                response
            });
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert!(!answer.cache_status().contains(";stored"), "{position:?} {lines:?}");
            assert!(
                ["private", "no-store", "no-cache", "bad-cache-control"].contains(&&*answer.detail()),
                "{lines:?}"
            );
            assert_eq!(isr.stats().pages, 0);
        }
        // What says nothing against it does not keep a page out; the policy's lifetime counts.
        for line in [
            "",
            "public",
            "max-age=0",
            "max-age=99999999999999999999",
            "x=\"no-store\", immutable",
            "must-revalidate",
            "s-maxage=\"60\"",
        ] {
            let Story { page, site, .. } = Story::at(position);
            page.answers(move |_| ([("cache-control", line)], "x").into_response());
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert!(
                answer.cache_status().contains(";ttl=300;stored"),
                "{position:?} {line:?}: {}",
                answer.cache_status()
            );
        }
    }
}

#[tokio::test]
async fn b11_only_declared_dimensions_may_vary() {
    let many = (0..500).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(", ");
    for position in POSITIONS {
        for (vary, detail) in [
            (&*many, "vary-undeclared"),
            ("accept-language, x-reflected", "vary-undeclared"),
            ("a b", "vary-undeclared"),
            ("accept-language;q=1", "vary-undeclared"),
            ("*, accept-language", "vary-star"),
            ("Accept-Language,*", "vary-star"),
            ("Accept-LANGUAGE , , accept-encoding", "absent"),
        ] {
            let vary = vary.to_owned();
            let Story { page, site, .. } =
                Story::with(position, lasting().vary(["accept-language"]), |builder| builder);
            page.answers(move |_| ([("vary", vary.clone())], "x").into_response());
            assert_eq!(get_with(&site, "/pages/1", &[]).await.detail(), detail, "{position:?}");
        }
    }
}

#[tokio::test]
async fn x10_b02_too_large_heads_and_bodies_are_served_whole_and_not_stored() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::with(position, lasting(), |builder| {
            let mut limits = Limits::default();
            limits.body_bytes = 1000;
            builder.limits(limits)
        });
        page.answers(|_| {
            let mut response = html("x");
            for n in 0..1000 {
                let name = http::HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
                response.headers_mut().insert(name, "x".repeat(1000).parse().unwrap());
            }
            response
        });
        let answer = get_with(&site, "/pages/1", &[]).await;
        assert_eq!(
            (&*answer.detail(), answer.header("x-999").len()),
            ("head-too-large", 1000),
            "{position:?}"
        );
        for (len, is_stored) in [(1000, true), (1001, false), (1_000_000, false)] {
            page.answers(move |_| {
                let frames = (0..len).map(|_| Ok::<_, std::io::Error>("x"));
                Response::new(Body::from_stream(futures_util::stream::iter(frames.collect::<Vec<_>>())))
            });
            let path = format!("/pages/{len}");
            let answer = get_with(&site, &path, &[]).await;
            assert_eq!(answer.body.len(), len, "{position:?}");
            assert_eq!(answer.detail() == "too-large", !is_stored, "{position:?} {len}");
            assert_eq!(get_with(&site, &path, &[]).await.is_fresh_hit(), is_stored);
        }
        assert_eq!(isr.stats().pages, 1);
    }
}

#[tokio::test]
async fn d17_a_body_that_is_not_what_its_length_says_is_not_stored() {
    for position in POSITIONS {
        for length in ["3", "1", "0", "x", "-2", "2, 2", "99999999999999999999999"] {
            let Story { isr, page, site, .. } = Story::at(position);
            page.answers(move |_| {
                let mut response =
                    Response::new(Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(
                        "ab",
                    )])));
                response.headers_mut().insert("content-length", length.parse().unwrap());
                response
            });
            let answer = get_with(&site, "/pages/1", &[]).await;
            assert_eq!((&*answer.detail(), isr.stats().pages), ("truncated", 0), "{position:?} {length}");
        }
    }
}

#[tokio::test]
async fn p31_urls_stay_inert_in_debug_output_and_lists() {
    for position in POSITIONS {
        let Story { isr, site, .. } =
            Story::with(position, lasting().query(["q"]), |builder| builder.debug());
        for target in [
            "/pages/\"x\"",
            "/pages/%0d%0aset-cookie:x",
            "/pages/*",
            "/pages/a;hit,evil",
            "/pages/1?q=\"a\"",
            "/pages/1?q=%22,x;y='z'",
        ] {
            if target.parse::<Uri>().is_err() {
                continue;
            }
            for _ in 0..2 {
                let answer = get_with(&site, target, &[]).await;
                let status = answer.cache_status();
                assert_eq!(answer.headers.get_all("cache-status").iter().count(), 1, "{target}");
                assert!(!answer.headers.contains_key("set-cookie"));
                let escaped = target.replace('\\', "\\\\").replace('"', "\\\"");
                assert!(status.contains(&format!("key=\"www.example.com{escaped}\"")), "{target}: {status}");
            }
            isr.graph().by_url(target, Mode::Hard).await.unwrap();
            assert!(!get_with(&site, target, &[]).await.is_hit(), "{position:?} {target}");
        }
    }
}

#[tokio::test]
async fn b_declared_headers_that_cannot_stand_in_a_key_bypass() {
    for position in POSITIONS {
        let Story { isr, site, .. } = Story::with(position, lasting().vary(["x-v"]), |builder| builder);
        for value in [&b"\xff"[..], b"caf\xc3\xa9"] {
            let request = ask("/pages/1").header("x-v", HeaderValue::from_bytes(value).unwrap());
            let answer = send(&site, request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.text(), &*answer.detail()), ("v1", "bad-header"), "{position:?}");
        }
        let long = "x".repeat(9000);
        assert_eq!(
            get_with(&site, "/pages/1", &[("x-v", &long)]).await.detail(),
            "key-too-long",
            "{position:?}"
        );
        assert_eq!(isr.stats().pages, 0);
    }
}

#[tokio::test]
async fn c10_requests_without_a_key_are_never_collapsed() {
    for position in POSITIONS {
        let Story { page, site, .. } = Story::at(position);
        page.gated(true);
        let mut waiting = Vec::new();
        for path in [format!("/pages/{}", "a".repeat(9000)), format!("/pages/{}", "b".repeat(9000))] {
            for _ in 0..2 {
                let (site, path) = (site.clone(), path.clone());
                waiting.push(edge_isr_stories::begun(async move { get_with(&site, &path, &[]).await }).await);
                page.gate().arrival().await;
            }
        }
        page.gate().open(4);
        for answer in waiting {
            assert_eq!(answer.await.detail(), "key-too-long", "{position:?}");
        }
        assert_eq!(page.renders(), 4);
    }
}
