//! Compressed pages: made once and in the background, chosen as requests prefer, and never anything but the page.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test, and its cases are tables")]

use std::io::Read;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Coding, Compression, Mode};
use edge_isr_core::testing::Twin;
use edge_isr_stories::{Answer, Gateway, HTML, POSITIONS, Position, Said, Story, get_with, lasting, until};
use http::StatusCode;
use tokio::runtime::{Builder, Runtime};

const BROWSER: &str = "gzip, deflate, br, zstd";

/// Text of a version, long enough to be worth it.
fn text(version: u64) -> String {
    (0..200).map(|n| format!("<p>version {version}, paragraph {n}</p>\n")).collect()
}

fn tagged(version: u64) -> Response {
    ([("content-type", HTML), ("etag", "\"own\"")], text(version)).into_response()
}

fn with(position: Position, compression: Compression, answers: fn(u64) -> Response) -> Story {
    let story = Story::with(position, lasting(), |builder| builder.compression(compression));
    story.page.answers(answers);
    story
}

/// A story whose pages are [`tagged`].
fn story(position: Position) -> Story {
    with(position, Compression::new(), tagged)
}

async fn ask(story: &Story, accepts: &str) -> Answer {
    get_with(&story.site, "/pages/1", &[("accept-encoding", accepts)]).await
}

/// Has the page made in the coding that such a request likes best.
async fn make(story: &Story, accepts: &str) -> Answer {
    ask(story, accepts).await;
    story.isr.idle().await;
    ask(story, accepts).await
}

async fn make_all(story: &Story) {
    for coding in Coding::ALL {
        assert_eq!(make(story, coding.as_str()).await.header("content-encoding"), coding.as_str());
    }
}

/// The body as a browser reads it.
fn read(answer: &Answer) -> String {
    let (coded, mut text) = (&*answer.body, String::new());
    match answer.header("content-encoding").as_str() {
        "" => return answer.text().to_owned(),
        "br" => brotli::Decompressor::new(coded, 4096).read_to_string(&mut text),
        "zstd" => zstd::stream::read::Decoder::new(coded).unwrap().read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(coded).read_to_string(&mut text),
        other => panic!("nobody asked for {other}"),
    }
    .unwrap();
    text
}

#[tokio::test]
async fn the_first_who_asks_gets_the_page_as_it_is_and_later_ones_what_was_made_of_it_once() {
    for position in POSITIONS {
        let story = story(position);
        let first = ask(&story, BROWSER).await;
        assert_eq!(
            (first.header("content-encoding"), first.text()),
            (String::new(), &*text(1)),
            "{position:?}"
        );
        assert_eq!(first.header("vary"), "accept-encoding", "{position:?}: it is one of several");
        story.isr.idle().await;
        for _ in 0..3 {
            let hit = ask(&story, BROWSER).await;
            assert!(hit.is_fresh_hit() && read(&hit) == text(1), "{position:?}: {hit:?}");
            assert_eq!(hit.header("content-encoding"), "br", "{position:?}");
            assert_eq!(hit.header("content-length"), hit.body.len().to_string(), "{position:?}");
            assert!(hit.body.len() < text(1).len() / 4, "{position:?}: {}", hit.body.len());
            for same in ["vary", "cache-control", "content-type", "cache-status", "age"] {
                let plain = ask(&story, "identity").await;
                assert_eq!(hit.header(same), plain.header(same), "{position:?} {same}");
            }
        }
        story.isr.idle().await;
        assert_eq!((story.page.renders(), story.isr.stats().coded), (1, 1), "{position:?}");
    }
}

#[tokio::test]
async fn rfc_9110_12_5_3_of_what_is_there_each_gets_what_it_likes_best() {
    for position in POSITIONS {
        let story = story(position);
        make_all(&story).await;
        for (accepts, expected) in [
            (BROWSER, "br"),
            ("gzip, deflate", "gzip"),
            ("zstd, gzip", "zstd"),
            ("br;q=0.8, gzip;q=0.9", "gzip"),
            ("br;q=0.5, identity", ""),
            ("*", "br"),
            ("br;q=0, *;q=0.1", "zstd"),
            ("x-gzip", "gzip"),
            ("identity;q=0, gzip", "gzip"),
            ("*;q=0", ""),
            ("deflate", ""),
            ("", ""),
            ("br;q=nonsense", ""),
        ] {
            let answer = ask(&story, accepts).await;
            assert_eq!(answer.header("content-encoding"), expected, "{position:?} {accepts:?}");
            assert_eq!(
                (read(&answer), answer.header("vary")),
                (text(1), "accept-encoding".into()),
                "{accepts:?}"
            );
        }
        let plain = story.get("/pages/1").await;
        assert_eq!((plain.header("content-encoding"), plain.text()), (String::new(), &*text(1)));
        let lines = [("accept-encoding", "deflate"), ("accept-encoding", "zstd")];
        let answer = get_with(&story.site, "/pages/1", &lines).await;
        assert_eq!(answer.header("content-encoding"), "zstd", "{position:?}: two lines are one list");
        assert_eq!((story.page.renders(), story.isr.stats().coded), (1, 3), "{position:?}");
    }
}

#[tokio::test]
async fn while_the_best_is_made_the_second_best_serves() {
    let story = story(Position::Around);
    make(&story, "gzip").await;
    assert_eq!(ask(&story, BROWSER).await.header("content-encoding"), "gzip");
    story.isr.idle().await;
    assert_eq!(ask(&story, BROWSER).await.header("content-encoding"), "br");
}

#[tokio::test]
async fn what_is_not_to_be_coded_or_gains_nothing_by_it_is_left_alone() {
    fn answer(headers: &[(&'static str, &'static str)], body: impl Into<axum::body::Body>) -> Response {
        let mut response = Response::new(body.into());
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    }
    let mut word = 1_u64;
    let noise = |_| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 56) as u8
    };
    let noise: Vec<u8> = (0..5_000).map(noise).collect();
    let html = ("content-type", HTML);
    type Answers = Box<dyn Fn() -> Response + Send + Sync>;
    let cases: Vec<(&str, bool, Answers)> = vec![
        ("short", false, Box::new(move || answer(&[html], "x".repeat(859)))),
        ("a picture", false, Box::new(|| answer(&[("content-type", "image/png")], text(1)))),
        ("of no kind", false, Box::new(|| answer(&[], text(1)))),
        ("coded", false, Box::new(move || answer(&[html, ("content-encoding", "gzip")], text(1)))),
        (
            "no-transform",
            false,
            Box::new(move || answer(&[html, ("cache-control", "no-transform")], text(1))),
        ),
        ("digest", false, Box::new(move || answer(&[html, ("repr-digest", "sha-256=:AA==:")], text(1)))),
        // It says so only once it was tried.
        ("noise", true, Box::new(move || answer(&[html], noise.clone()))),
    ];
    for (case, varies, page) in cases {
        let story = story(Position::Around);
        story.page.answers(move |_| page());
        let plain = story.get("/pages/1").await;
        for accepts in [BROWSER, "gzip", "zstd", BROWSER] {
            let answer = ask(&story, accepts).await;
            story.isr.idle().await;
            assert!(answer.body == plain.body, "{case}");
            for same in ["content-encoding", "etag", "content-length", "vary"] {
                assert_eq!(answer.header(same), plain.header(same), "{case}: {same}");
            }
        }
        assert_eq!(plain.header("vary"), if varies { "accept-encoding" } else { "" }, "{case}");
        assert_eq!(story.isr.stats().coded, 0, "{case}");
    }
}

#[tokio::test]
async fn p27_vary_names_it_once_and_beside_the_declared_dimensions() {
    for (own, declared, expected) in [
        (None, None, "accept-encoding"),
        (Some("Accept-Encoding"), None, "Accept-Encoding"),
        (None, Some("x-theme"), "x-theme, accept-encoding"),
        (Some("x-theme"), Some("x-theme"), "x-theme, accept-encoding"),
    ] {
        let policy = declared.into_iter().fold(lasting(), |policy, name| policy.vary([name]));
        let story = Story::with(Position::Inside, policy, |builder| builder);
        story.page.answers(move |version| {
            let mut response = tagged(version);
            own.map(|own| response.headers_mut().insert("vary", own.parse().unwrap()));
            response
        });
        let (plain, coded) = (story.get("/pages/1").await, make(&story, "gzip").await);
        assert_eq!((plain.header("vary"), coded.header("vary")), (expected.into(), expected.into()));
    }
}

#[tokio::test]
async fn rfc_9110_13_1_conditions_are_compared_with_the_form_that_is_sent() {
    for position in POSITIONS {
        let story = story(position);
        make_all(&story).await;
        let tag =
            |coding: &str| if coding.is_empty() { "\"own\"".to_owned() } else { format!("\"own-{coding}\"") };
        let forms = ["", "br", "zstd", "gzip"];
        for sent in forms {
            for known in forms {
                let headers = [("accept-encoding", sent), ("if-none-match", &tag(known))];
                let answer = get_with(&story.site, "/pages/1", &headers).await;
                let case = format!("{position:?}: {known:?} is known, {sent:?} is sent");
                assert_eq!(answer.status == StatusCode::NOT_MODIFIED, sent == known, "{case}");
                assert_eq!(
                    (answer.header("etag"), answer.header("vary")),
                    (tag(sent), "accept-encoding".into())
                );
                match answer.status {
                    StatusCode::NOT_MODIFIED => assert!(answer.body.is_empty(), "{case}"),
                    _ => {
                        assert_eq!((read(&answer), answer.header("content-encoding")), (text(1), sent.into()))
                    }
                }
            }
            let list = format!("\"x\", W/{}", tag(sent));
            for known in ["*", &list] {
                let headers = [("accept-encoding", sent), ("if-none-match", known)];
                let answer = get_with(&story.site, "/pages/1", &headers).await;
                assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{position:?} {sent} {known}");
            }
        }
        assert_eq!(story.page.renders(), 1, "{position:?}");
    }
}

#[tokio::test]
async fn a_weak_tag_stays_weak_and_a_page_without_one_of_its_own_has_a_strong_one() {
    for (own, expected) in [(Some("W/\"a\""), "W/\"a-gzip\""), (Some("odd"), "odd-gzip"), (None, "")] {
        let story = story(Position::Around);
        story.page.answers(move |version| {
            let mut response = tagged(version);
            match own {
                Some(own) => drop(response.headers_mut().insert("etag", own.parse().unwrap())),
                None => drop(response.headers_mut().remove("etag")),
            }
            response
        });
        let plain = story.get("/pages/1").await.header("etag");
        let coded = make(&story, "gzip").await.header("etag");
        assert_ne!(coded, plain);
        match own {
            Some(_) => assert_eq!(coded, expected),
            None => assert_eq!(coded, plain.strip_suffix('"').unwrap().to_owned() + "-gzip\""),
        }
    }
}

#[tokio::test]
async fn d15_ranges_are_of_the_page_as_it_is_and_heads_as_of_what_a_get_would_send() {
    for position in POSITIONS {
        let story = story(position);
        make_all(&story).await;
        let with = [("accept-encoding", BROWSER), ("range", "bytes=0-9")];
        let part = get_with(&story.site, "/pages/1", &with).await;
        assert_eq!((part.status, part.text()), (StatusCode::PARTIAL_CONTENT, &text(1)[..10]), "{position:?}");
        assert_eq!((part.header("content-encoding"), part.header("etag")), (String::new(), "\"own\"".into()));
        assert_eq!(part.header("content-range"), format!("bytes 0-9/{}", text(1).len()));
        // Who has a part of the coded form must not put one of another behind it.
        let with = [with[0], with[1], ("if-range", "\"own-br\"")];
        let whole = get_with(&story.site, "/pages/1", &with).await;
        assert_eq!((whole.status, whole.text()), (StatusCode::OK, &*text(1)), "{position:?}");
        let head = edge_isr_stories::send(&story.site, {
            let ask = edge_isr_stories::ask("/pages/1").method("HEAD").header("accept-encoding", BROWSER);
            ask.body(axum::body::Body::empty()).unwrap()
        })
        .await;
        let get = ask(&story, BROWSER).await;
        assert!(head.body.is_empty(), "{position:?}");
        for same in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
            assert_eq!(head.header(same), get.header(same), "{position:?} {same}");
        }
    }
}

#[tokio::test]
async fn after_a_new_render_the_coding_starts_anew_and_until_then_what_is_stale_is_served_coded() {
    for position in POSITIONS {
        let story = story(position);
        make_all(&story).await;
        story.page.commit(2);
        story.page.gated(true);
        story.invalidate(1, Mode::Soft).await;
        let stale = ask(&story, BROWSER).await;
        assert_eq!((read(&stale), stale.header("content-encoding")), (text(1), "br".into()), "{position:?}");
        assert!(stale.is_zero_downstream() && stale.detail() == "invalidated", "{position:?}");
        story.page.gate().open(1);
        story.isr.idle().await;
        let fresh = ask(&story, BROWSER).await;
        assert_eq!(
            (read(&fresh), fresh.header("content-encoding")),
            (text(2), String::new()),
            "{position:?}"
        );
        story.isr.idle().await;
        let coded = ask(&story, BROWSER).await;
        assert_eq!((read(&coded), coded.header("content-encoding")), (text(2), "br".into()), "{position:?}");
        assert_eq!(story.isr.stats().pages, 1, "{position:?}");
    }
}

#[tokio::test]
async fn p09_no_coded_byte_of_a_page_leaves_after_it_was_expired() {
    for position in POSITIONS {
        let story = story(position);
        make_all(&story).await;
        story.page.commit(2);
        story.invalidate(1, Mode::Hard).await;
        for accepts in ["br", "gzip", "zstd", ""] {
            assert_eq!(read(&ask(&story, accepts).await), text(2), "{position:?} {accepts}");
        }
    }
}

#[tokio::test]
async fn p19_the_page_that_stands_in_for_a_failed_render_does_so_in_its_coded_form() {
    let policy = lasting().stale_if_error(Duration::from_secs(86_400));
    let story = Story::with(Position::Inside, policy, |builder| builder);
    story.page.answers(tagged);
    make_all(&story).await;
    story.clock.advance(Duration::from_secs(4_000));
    story.page.answers(edge_isr_stories::fails);
    let stand_in = ask(&story, BROWSER).await;
    assert_eq!((read(&stand_in), stand_in.header("content-encoding")), (text(1), "br".into()));
    assert_eq!(stand_in.detail(), "stale-if-error");
}

/// A runtime whose one thread for such work is taken until the gate is opened: what was begun waits behind it.
fn gated() -> (Runtime, std::sync::mpsc::Sender<()>) {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (open, closed) = std::sync::mpsc::channel();
    runtime.spawn_blocking(move || closed.recv());
    (runtime, open)
}

/// A coding that was begun on one version ends after the next was stored: the version that a browser reads then, and
/// how many forms were made.
fn overtaken(twin: Option<Twin>) -> (u64, u64) {
    let (runtime, open) = gated();
    runtime.block_on(async {
        let story = Story::with(Position::Around, lasting(), |builder| match twin {
            Some(twin) => builder.twin(twin),
            None => builder,
        });
        story.page.answers(tagged);
        ask(&story, BROWSER).await;
        story.page.commit(2);
        story.invalidate(1, Mode::Soft).await;
        ask(&story, "").await;
        until(|| story.isr.stats().stored == 2).await;
        open.send(()).unwrap();
        story.isr.idle().await;
        let coded = story.isr.stats().coded;
        let shown = read(&ask(&story, BROWSER).await);
        let version = [1, 2].into_iter().find(|version| shown == text(*version));
        (version.expect("one of the two"), coded)
    })
}

#[test]
fn p01_a_coded_page_of_an_older_render_never_takes_the_place_of_a_newer_one() {
    assert_eq!(overtaken(None), (2, 0));
}

#[test]
fn p01_must_fail_twin_a_coded_page_that_takes_the_place_of_whatever_stands_there() {
    assert_eq!(overtaken(Some(Twin::CodeOverNewer)), (1, 1));
}

#[test]
fn p15_as_many_pages_are_coded_at_once_as_may_and_the_others_when_they_are_asked_for_again() {
    let (runtime, open) = gated();
    runtime.block_on(async {
        let story = with(Position::Around, Compression::new().at_once(2), tagged);
        let ask = |id: u32| {
            let (site, path) = (story.site.clone(), format!("/pages/{id}"));
            async move { get_with(&site, &path, &[("accept-encoding", BROWSER)]).await }
        };
        for id in [1, 2, 3, 1, 2, 3] {
            assert_eq!(ask(id).await.header("content-encoding"), "", "{id}");
        }
        open.send(()).unwrap();
        story.isr.idle().await;
        for (id, coding) in [(1, "br"), (2, "br"), (3, "")] {
            assert_eq!(ask(id).await.header("content-encoding"), coding, "{id}");
        }
        story.isr.idle().await;
        assert_eq!((ask(3).await.header("content-encoding"), story.isr.stats().coded), ("br".into(), 3));
    });
}

#[test]
fn p21_a_shutdown_waits_for_no_coding_that_has_not_begun_and_begins_none() {
    let (runtime, open) = gated();
    runtime.block_on(async {
        let story = story(Position::Around);
        ask(&story, BROWSER).await;
        let closing = tokio::spawn({
            let isr = story.isr.clone();
            async move { isr.shutdown(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        open.send(()).unwrap();
        edge_isr_stories::within(closing).await.unwrap();
        assert_eq!(read(&ask(&story, "gzip").await), text(1), "hits go on");
        story.isr.idle().await;
        assert_eq!(story.isr.stats().coded, 0);
    });
}

#[tokio::test]
async fn p03_a_tag_that_comes_too_late_kills_the_page_in_all_its_forms() {
    for position in POSITIONS {
        let (late, isr) = (edge_isr_stories::Gate::default(), Isr::builder().build().unwrap());
        let renders = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let handler = axum::routing::get({
            let (late, renders) = (late.clone(), std::sync::Arc::clone(&renders));
            move |isr: IsrContext| async move {
                tokio::spawn(async move {
                    late.pass().await;
                    isr.add_tags([Tag::named("late")]);
                    late.pass().await;
                });
                tagged(1 + renders.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
            }
        });
        let site = edge_isr_stories::place(position, &isr, "/pages/{id}", lasting(), (), handler);
        let ask = || get_with(&site, "/pages/1", &[("accept-encoding", "br")]);
        ask().await;
        isr.idle().await;
        assert_eq!(ask().await.header("content-encoding"), "br", "{position:?}");
        late.arrival().await;
        late.open(1);
        late.arrival().await;
        let anew = ask().await;
        assert_eq!((read(&anew), anew.is_hit()), (text(2), false), "{position:?}");
    }
}

#[tokio::test]
async fn p15_coded_forms_count_as_their_pages_bytes_and_go_with_them() {
    let story = with(Position::Around, Compression::new(), tagged);
    let bytes = || usize::try_from(story.isr.stats().bytes).unwrap();
    story.get("/pages/1").await;
    let (mut before, mut added) = (bytes(), 0);
    for coding in Coding::ALL {
        let coded = make(&story, coding.as_str()).await;
        let more = bytes() - before;
        assert!((coded.body.len()..coded.body.len() + 6_000).contains(&more), "{coding:?}: {more}");
        (before, added) = (bytes(), added + more);
    }
    story.page.commit(2);
    story.invalidate(1, Mode::Hard).await;
    story.get("/pages/1").await;
    assert!(bytes() < before - added + 6_000, "{} of {before}", bytes());
}

#[tokio::test]
async fn p15_the_store_stays_within_its_bound_with_all_forms_of_all_pages() {
    let mut limits = edge_isr_stories::prompt();
    (limits.store_bytes, limits.body_bytes, limits.head_bytes) = (1 << 20, 64 << 10, 4 << 10);
    let story = Story::with(Position::Around, lasting(), |builder| builder.limits(limits));
    story.page.answers(tagged);
    for id in 0..200 {
        for coding in Coding::ALL {
            let headers = [("accept-encoding", coding.as_str())];
            get_with(&story.site, &format!("/pages/{id}"), &headers).await;
            story.isr.idle().await;
            assert!(story.isr.stats().bytes <= limits.store_bytes, "{id} {coding:?}");
        }
    }
    let stats = story.isr.stats();
    assert!(stats.pages < 200 && stats.coded > 200, "{stats:?}");
}

#[tokio::test]
async fn a_long_body_is_coded_and_sent_in_parts_too() {
    let long =
        || (0..40_000).map(|n: u32| format!("{n} {:x}\n", n.wrapping_mul(2_654_435_761))).collect::<String>();
    let story = story(Position::Around);
    story.page.answers(move |_| ([("content-type", "text/plain")], long().repeat(3)).into_response());
    let coded = make(&story, "gzip").await;
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert!(read(&coded) == long().repeat(3));
    assert!(story.get("/pages/1").await.text() == long().repeat(3));
}

#[tokio::test]
async fn what_is_off_leaves_no_trace() {
    let off = with(Position::Around, Compression::off(), tagged);
    make(&off, BROWSER).await;
    let plain = ask(&off, BROWSER).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (String::new(), String::new()));
    let some = with(Position::Around, Compression::new().codings([Coding::Gzip]), tagged);
    assert_eq!(make(&some, BROWSER).await.header("content-encoding"), "gzip");
    assert_eq!(make(&some, "br").await.header("content-encoding"), "");
    let long = with(Position::Around, Compression::new().least_bytes(1 << 20), tagged);
    assert_eq!(make(&long, BROWSER).await.header("content-encoding"), "");
    for (at_once, is_good) in [(0, false), (1, true), (1 << 16, true), (1 << 17, false)] {
        let built = Isr::builder().compression(Compression::new().at_once(at_once)).build();
        assert_eq!(built.is_ok(), is_good);
        assert!(is_good || built.unwrap_err().to_string().contains("compression.at_once"));
    }
}

#[test]
fn without_a_runtime_hits_are_served_as_they_are() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let story = story(Position::Around);
    runtime.block_on(story.get("/pages/1"));
    let mut hit = Box::pin(ask(&story, BROWSER));
    // The stories' own patience needs timers.
    let hit = {
        let _timers = runtime.enter();
        futures_util::FutureExt::now_or_never(&mut hit)
    };
    assert_eq!(hit.unwrap().text(), text(1));
}

#[tokio::test]
async fn an_origin_is_not_told_of_codings_and_what_comes_coded_stays_as_it_is() {
    let gateway = Gateway::new();
    let html = [("cache-control", "max-age=60"), ("content-type", HTML), ("etag", "\"o\"")];
    gateway.says("/a", Said::ok(&[&html[..], &[("vary", "Accept-Encoding")]].concat()).body(&text(7)));
    gateway.says("/b", Said::ok(&[&html[..], &[("content-encoding", "br")]].concat()).body(&text(8)));
    let ask = |path| gateway.get_with(path, &[("accept-encoding", BROWSER)]);
    assert_eq!(ask("/a").await.text(), text(7));
    let coded = ask("/a").await;
    assert_eq!((coded.header("content-encoding"), read(&coded)), ("br".into(), text(7)));
    assert_eq!((coded.header("vary"), coded.header("etag")), ("Accept-Encoding".into(), "\"o-br\"".into()));
    assert_eq!(gateway.get_with("/a", &[("accept-encoding", "gzip")]).await.text(), text(7));
    assert_eq!(gateway.asked(), 1, "one page for all");
    assert!(!gateway.seen()[0].headers.contains_key("accept-encoding"));
    for _ in 0..2 {
        let kept = ask("/b").await;
        assert_eq!((kept.header("content-encoding"), kept.text()), ("br".into(), &*text(8)));
        assert_eq!((kept.header("etag"), kept.header("vary")), ("\"o\"".into(), String::new()));
    }
    // What is unchanged is still one page for all, though it says now that it has several forms.
    gateway.clock.advance(Duration::from_secs(61));
    gateway.says("/a", Said::with(304, &[("cache-control", "max-age=60"), ("etag", "\"o\"")]));
    let unchanged = ask("/a").await;
    assert_eq!((unchanged.header("content-encoding"), read(&unchanged)), ("br".into(), text(7)));
    assert_eq!(gateway.seen()[2].headers["if-none-match"], "\"o\"");
    assert_eq!(read(&ask("/a").await), text(7));
    assert_eq!(gateway.get("/a").await.text(), text(7));
    assert_eq!(gateway.asked(), 3);
}
