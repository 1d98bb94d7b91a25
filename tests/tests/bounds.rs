//! Every count and every size has a bound. At it a page is evicted or not stored, or a request waits; nothing
//! fails for it, and purging still works.

use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, Limits, Mode, Reason, WhenFull};
use edge_isr_core::store::MemoryPages;
use edge_isr_stories::*;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;

const S: Duration = Duration::from_secs(1);

fn limited(position: Position, policy: Policy, change: impl FnOnce(&mut Limits)) -> Story {
    Story::with(position, policy, |builder| {
        let mut limits = Limits::default();
        change(&mut limits);
        builder.limits(limits)
    })
}

/// A visitor over HTTP/1, who names a host and no scheme.
async fn named(story: &Story, host: &str) -> Answer {
    let request = http::Request::get("/pages/1").header("host", host);
    send(&story.site, request.body(Body::empty()).expect("a host of ours")).await
}

/// A leader at the gate and so many who follow it.
async fn crowd(story: &Story, followers: usize) -> Vec<tokio::task::JoinHandle<Answer>> {
    story.page.gated(true);
    let mut visitors = vec![tokio::spawn(story.begun("/pages/1").await)];
    story.page.gate().arrival().await;
    for _ in 0..followers {
        visitors.push(tokio::spawn(story.begun("/pages/1").await));
    }
    visitors
}

async fn answers(visitors: Vec<tokio::task::JoinHandle<Answer>>) -> Vec<Answer> {
    within(join_all(visitors)).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn p15_c19_waiters_are_capped_and_one_too_many_renders_for_itself() {
    for position in POSITIONS {
        let story = limited(position, lasting(), |limits| limits.waiters_per_key = 3);
        let mut visitors = crowd(&story, 3).await;
        for _ in 0..2 {
            let extra = tokio::spawn(story.begun("/pages/1").await);
            story.page.gate().arrival().await;
            visitors.push(extra);
        }
        assert_eq!(story.page.renders(), 3, "{position:?}");
        // A place that is given up is free again.
        visitors.remove(1).abort();
        tokio::task::yield_now().await;
        visitors.push(tokio::spawn(story.begun("/pages/1").await));
        story.page.gate().open(3);
        let answers = answers(visitors).await;
        assert!(answers.iter().all(|answer| answer.text() == "v1"), "{position:?}");
        assert_eq!(answers.iter().filter(|answer| answer.detail() == "busy").count(), 2, "{position:?}");
        assert_eq!((story.page.renders(), story.isr.stats().count(Reason::Busy)), (3, 2), "{position:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p13_p15_beyond_the_bound_on_renders_a_visitor_waits_and_then_renders_anyway_or_is_refused() {
    for position in POSITIONS {
        for when_full in [WhenFull::Render, WhenFull::Refuse] {
            let story = limited(position, lasting(), |limits| {
                (limits.renders, limits.collapse_wait, limits.when_full) = (1, 3 * S, when_full);
            });
            let mut first = crowd(&story, 0).await;
            story.page.gated(false);
            let since = Instant::now();
            let second = story.get("/pages/2").await;
            assert_eq!(since.elapsed().as_secs(), 3, "{position:?} {when_full:?}");
            match when_full {
                WhenFull::Render => assert_eq!(second.text(), "v1", "{position:?}"),
                WhenFull::Refuse => {
                    assert_eq!((second.status, &*second.detail()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
                    assert!(!second.header("retry-after").is_empty(), "{position:?}");
                }
            }
            story.page.gate().open(1);
            assert_eq!(within(first.remove(0)).await.unwrap().text(), "v1");
            let since = Instant::now();
            assert_eq!(story.get("/pages/3").await.text(), "v1", "{position:?}: there is room again");
            assert!(since.elapsed() < S);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p15_beyond_the_bound_on_renders_background_renders_queue_and_hits_are_unaffected() {
    let story = limited(Position::Inside, lasting(), |limits| {
        (limits.renders, limits.collapse_wait) = (1, S);
    });
    story.get("/pages/2").await;
    let mut first = crowd(&story, 0).await;
    story.page.commit(2);
    story.invalidate(2, Mode::Soft).await;
    for _ in 0..10 {
        assert_eq!(story.get("/pages/2").await.text(), "v1");
    }
    // Long past what a visitor would wait.
    tokio::time::sleep(20 * S).await;
    assert_eq!(story.page.renders(), 2, "the refresh waits for its turn");
    story.page.gated(false);
    story.page.gate().open(1);
    within(first.remove(0)).await.unwrap();
    story.isr.idle().await;
    let fresh = story.get("/pages/2").await;
    assert!(fresh.is_fresh_hit() && fresh.text() == "v2");
    assert_eq!(story.page.renders(), 3);
}

#[tokio::test]
async fn p15_c22_a_visitor_who_reads_slowly_holds_neither_a_lock_nor_a_place() {
    for position in POSITIONS {
        let story = limited(position, lasting(), |limits| limits.renders = 1);
        let text = |version| format!("v{version}{}", "x".repeat(100_000));
        story.page.answers(move |version| html(text(version)));
        story.get("/pages/1").await;
        let slow = |path: &'static str| async {
            within(story.site.clone().oneshot(request(Method::GET, path))).await.unwrap()
        };
        let (hit, miss) = (slow("/pages/1").await, slow("/pages/2").await);
        story.page.answers(|_| {
            let frames =
                futures_util::stream::iter((0..3).map(|_| Ok::<_, std::convert::Infallible>("frame")));
            ([("cache-control", "private")], Body::from_stream(frames)).into_response()
        });
        let own = slow("/pages/3").await;
        story.page.answers(move |version| html(text(version)));
        story.page.commit(2);
        story.isr.graph().all(Mode::Hard).await.unwrap();
        for path in ["/pages/1", "/pages/2", "/pages/3", "/pages/4"] {
            assert_eq!(
                story.get(path).await.text(),
                text(2),
                "{position:?} {path}: rendered, though the first are unread"
            );
        }
        within(story.isr.idle()).await;
        for old in [hit, miss] {
            let body = old.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, text(1), "{position:?}: what began before goes on as it began");
        }
        assert_eq!(own.into_body().collect().await.unwrap().to_bytes(), "frameframeframe");
    }
}

#[tokio::test]
async fn p15_variants_of_a_url_are_capped() {
    for position in POSITIONS {
        let story = limited(position, lasting().vary(["x-look"]), |limits| limits.variants_per_url = 4);
        for n in 0..20 {
            let look = n.to_string();
            let answer = get_with(&story.site, "/pages/1", &[("x-look", &look)]).await;
            assert_eq!(answer.text(), "v1", "{position:?}: it is served");
            assert_eq!(
                answer.detail() == "variant-limit",
                n >= 4,
                "{position:?} {n}: {}",
                answer.cache_status()
            );
        }
        let stats = story.isr.stats();
        assert_eq!((stats.pages, stats.count(Reason::VariantLimit)), (4, 16), "{position:?}");
        assert!(get_with(&story.site, "/pages/1", &[("x-look", "3")]).await.is_fresh_hit());
        assert_eq!(get(&story.site, "/pages/2").await.text(), "v1");
        assert!(
            get(&story.site, "/pages/2").await.is_fresh_hit(),
            "{position:?}: another URL has room of its own"
        );
        story.page.commit(2);
        story.invalidate(1, Mode::Hard).await;
        let purged = get_with(&story.site, "/pages/1", &[("x-look", "3")]).await;
        assert_eq!(purged.text(), "v2", "{position:?}: purging still works at the bound");
    }
}

#[tokio::test]
async fn p15_hosts_are_capped_and_the_least_recently_used_one_makes_place() {
    let story = limited(Position::Around, lasting(), |limits| limits.hosts = 3);
    for n in 0..10 {
        let url = format!("http://h{n}.example/pages/1");
        assert_eq!(get_with(&story.site, &url, &[]).await.text(), "v1", "it is served");
    }
    assert_eq!(story.isr.stats().count(Reason::HostLimit), 7);
    let notes = story.isr.health().notes;
    let [note] = &*notes else { panic!("strangers fill the notes: {notes:?}") };
    assert_eq!((note.reason, &*note.subject, note.count), (Reason::HostLimit, "hosts", 7));
    assert!(note.advice.contains("origins"));
}

#[tokio::test]
async fn p15_strangers_hosts_displace_no_host_that_is_in_use_and_their_pages_go_with_their_place() {
    for position in POSITIONS {
        let story = limited(position, lasting(), |limits| limits.hosts = 3);
        let by_host = async |host: &str| named(&story, host).await;
        by_host("own.example").await;
        assert!(by_host("own.example").await.is_fresh_hit(), "{position:?}");
        for n in 0..20 {
            assert!(by_host(&format!("x{n}.example")).await.cache_status().contains(";stored"));
        }
        assert!(by_host("own.example").await.is_fresh_hit(), "{position:?}: it kept its place");
        assert!(by_host("x19.example").await.is_fresh_hit(), "{position:?}");
        let renders = story.page.renders();
        assert_eq!(by_host("x1.example").await.text(), "v1");
        assert_eq!(
            story.page.renders(),
            renders + 1,
            "{position:?}: the page of a host without a place is gone"
        );
        // One who came back has a page again.
        assert!(by_host("x1.example").await.is_fresh_hit(), "{position:?}");
        let late = by_host("late.example").await;
        assert_eq!((late.text(), &*late.detail()), ("v1", "host-limit"), "{position:?}");
        assert!(by_host("own.example").await.is_fresh_hit());
        story.clock.advance(61 * S);
        assert!(by_host("own.example").await.is_fresh_hit());
        assert!(
            by_host("late.example").await.cache_status().contains(";stored"),
            "{position:?}: others are idle"
        );
        story.page.commit(2);
        story.isr.graph().by_host("own.example", Mode::Hard).await.unwrap();
        assert_eq!(by_host("own.example").await.text(), "v2", "{position:?}: purging works");
    }
}

#[tokio::test]
async fn p15_variants_that_have_expired_make_room() {
    for position in POSITIONS {
        let story = limited(position, lasting().vary(["x-look"]), |limits| limits.variants_per_url = 2);
        let look = async |look: &str| get_with(&story.site, "/pages/1", &[("x-look", look)]).await;
        for name in ["a", "b"] {
            assert!(look(name).await.cache_status().contains(";stored"), "{position:?}");
        }
        assert_eq!(look("c").await.detail(), "variant-limit", "{position:?}");
        story.clock.advance(100 * 24 * 3600 * S);
        assert!(look("c").await.cache_status().contains(";stored"), "{position:?}");
        assert!(look("c").await.is_fresh_hit());
    }
}

/// Room for few pages of 100 KiB, and for four variants of a URL.
fn crowded(position: Position, settings: impl FnOnce(Builder) -> Builder) -> Story {
    let story = Story::with(position, lasting().vary(["x-look"]), |builder| {
        let mut limits = Limits::default();
        (limits.variants_per_url, limits.store_bytes, limits.body_bytes) = (4, 256 << 10, 128 << 10);
        settings(builder.limits(limits))
    });
    story.page.answers(|version| html(format!("v{version}{}", " ".repeat(100 << 10))));
    story
}

#[tokio::test]
async fn p15_x06_variants_that_a_second_tier_may_still_have_make_none() {
    let story = crowded(Position::Inside, |builder| builder.store(MemoryPages::new(64 << 20, 1 << 20)));
    for n in 0..6 {
        let answer = get_with(&story.site, "/pages/1", &[("x-look", &n.to_string())]).await;
        assert_eq!(answer.detail() == "variant-limit", n >= 4, "{n}: {}", answer.cache_status());
    }
    let plan = story.isr.graph().plan([tag("page", 1)], Mode::Soft).await.unwrap();
    assert_eq!(plan.variants, 4, "they come back without being bound, and stay listed");
}

#[tokio::test]
async fn p15_x06_variants_whose_pages_are_evicted_make_room() {
    for position in POSITIONS {
        let story = crowded(position, |builder| builder);
        let look = async |n: u32| get_with(&story.site, "/pages/1", &[("x-look", &n.to_string())]).await;
        for n in 0..20 {
            let answer = look(n).await;
            assert!(answer.cache_status().contains(";stored"), "{position:?} {n}: {}", answer.cache_status());
        }
        assert_eq!(story.isr.stats().count(Reason::VariantLimit), 0, "{position:?}");
        let plan = story.isr.graph().plan([tag("page", 1)], Mode::Soft).await.unwrap();
        assert_eq!((plan.pages, plan.variants), (1, 4), "{position:?}: the bound holds");
        story.page.commit(2);
        story.invalidate(1, Mode::Hard).await;
        for n in 0..20 {
            assert!(look(n).await.text().starts_with("v2"), "{position:?} {n}: whose row is gone, too");
        }
    }
}

#[tokio::test]
async fn p15_a_page_pays_for_a_head_that_no_other_has() {
    let weight = async |own: bool| {
        let story = limited(Position::Inside, lasting(), |limits| limits.store_bytes = 64 << 20);
        let number = std::sync::atomic::AtomicUsize::new(0);
        story.page.answers(move |version| {
            let number = number.fetch_add(usize::from(own), std::sync::atomic::Ordering::Relaxed);
            ([("x-request-id", format!("{number:032}"))], html(format!("v{version}"))).into_response()
        });
        for id in 0..100 {
            story.get(&format!("/pages/{id}")).await;
        }
        story.isr.stats().bytes
    };
    let (shared, own) = (weight(false).await, weight(true).await);
    assert!(own > shared + 99 * 2_000, "{shared} {own}");
}

#[tokio::test]
async fn p15_a_head_of_very_many_lines_is_served_and_not_stored() {
    for position in POSITIONS {
        let story = limited(position, lasting(), |limits| limits.head_bytes = 1 << 20);
        for status in [StatusCode::OK, StatusCode::BAD_GATEWAY] {
            story.page.answers(move |version| {
                let mut response = (status, html(format!("v{version}"))).into_response();
                for _ in 0..24_500 {
                    response.headers_mut().append("x-line", http::HeaderValue::from_static("1"));
                }
                response
            });
            let path = format!("/pages/{}", status.as_u16());
            let answer = story.get(&path).await;
            assert_eq!((answer.status, &*answer.detail()), (status, "head-too-large"), "{position:?}");
            assert_eq!(answer.text(), "v1");
        }
        assert_eq!(story.isr.stats().pages, 0, "{position:?}");
    }
}

#[tokio::test]
async fn b07_p04_a_host_with_its_schemes_port_is_purged_by_its_url_without() {
    for position in POSITIONS {
        let story = Story::at(position);
        for (port, url) in [("443", "https://h.example/pages/1"), ("80", "http://h.example/pages/1")] {
            let host = format!("h.example:{port}");
            let by_host = async || named(&story, &host).await;
            by_host().await;
            assert!(by_host().await.is_fresh_hit(), "{position:?}");
            story.isr.graph().by_url(url, Mode::Hard).await.unwrap();
            assert!(!by_host().await.is_fresh_hit(), "{position:?} {url}");
        }
    }
}

#[tokio::test]
async fn p15_under_a_flood_of_keys_the_bytes_stay_within_the_bound_and_purging_works() {
    for position in POSITIONS {
        let bound = 256 << 10;
        let story = limited(position, lasting(), |limits| {
            (limits.store_bytes, limits.body_bytes, limits.head_bytes) = (bound, 16 << 10, 4 << 10);
            (limits.index_rows, limits.marks) = (100, 100);
        });
        let body = "x".repeat(2 << 10);
        story.page.answers(move |version| html(format!("v{version} {body}")));
        for id in 0..2_000 {
            let answer = story.get(&format!("/pages/{id}")).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert!(story.isr.stats().bytes <= bound, "{position:?} {id}: {}", story.isr.stats().bytes);
        }
        let pages = story.isr.stats().pages;
        assert!((20..128).contains(&pages), "{position:?}: {pages} pages of 2 KiB in 256 KiB");
        story.page.commit(2);
        story.isr.graph().by_prefix("/pages", Mode::Hard).await.unwrap();
        for id in 0..2_000 {
            assert!(story.get(&format!("/pages/{id}")).await.text().starts_with("v2"), "{position:?} {id}");
        }
    }
}

#[tokio::test]
async fn p15_a_page_too_large_for_the_store_is_served_and_not_stored() {
    let story = limited(Position::Inside, lasting(), |limits| {
        (limits.store_bytes, limits.body_bytes) = (8 << 10, 1 << 20)
    });
    let body = "x".repeat(64 << 10);
    let text = body.clone();
    story.page.answers(move |_| html(text.clone()));
    for _ in 0..2 {
        let answer = story.get("/pages/1").await;
        assert_eq!((answer.text() == body, &*answer.detail()), (true, "store-refused"));
    }
    assert_eq!(story.isr.stats().pages, 0);
}
