//! What invalidations do to pages that stand there, and what leaves meanwhile.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Limits, Mode, Reason};
use edge_isr_core::clock::Clock;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page as StoredPage;
use edge_isr_core::store::{MemoryPages, Put};
use edge_isr_core::testing::Twin;
use edge_isr_core::{Loss, PageStore};
use edge_isr_stories::*;
use futures_util::future::join_all;
use http::{Method, StatusCode};

const MODES: [Mode; 2] = [Mode::Soft, Mode::Hard];
const S: Duration = Duration::from_secs(1);

fn named_build(position: Position) -> Story {
    Story::with(position, lasting(), |builder| builder.build_id(BuildId::Named("b1".to_owned())))
}

/// Every way to name `/pages/1`.
const SELECTORS: [&str; 12] = [
    "tag",
    "ancestor",
    "late tag",
    "url",
    "own url",
    "prefix",
    "own prefix",
    "itself as prefix",
    "host",
    "route",
    "build",
    "everything",
];

async fn select(story: &Story, how: &str, mode: Mode) -> Receipt {
    let graph = story.isr.graph();
    let tags = |tag: Tag| async move {
        match mode {
            Mode::Soft => graph.revalidate_by_tags([tag]).await,
            Mode::Hard => graph.expire_by_tags([tag]).await,
        }
    };
    let graph = story.isr.graph();
    let done = match how {
        "tag" => tags(tag("page", 1)).await,
        "ancestor" => tags(Tag::named("page")).await,
        "late tag" => tags(tag("late", 1)).await,
        "url" => graph.by_url("/pages/1", mode).await,
        "own url" => graph.by_url("http://WWW.example.com:80/pages/1", mode).await,
        "prefix" => graph.by_prefix("/pages", mode).await,
        "own prefix" => graph.by_prefix("http://www.example.com/pages/", mode).await,
        "itself as prefix" => graph.by_prefix("/pages/1", mode).await,
        "host" => graph.by_host("www.Example.com", mode).await,
        "route" => graph.by_route("/pages/{id}", mode).await,
        "build" => graph.by_build("b1", mode).await,
        "everything" => graph.all(mode).await,
        // What must not touch `/pages/1`.
        "other tag" => tags(tag("page", 11)).await,
        "part of a tag" => tags(Tag::named("pag")).await,
        "tag below" => tags(Tag::named("page:1:comments")).await,
        "other url" => graph.by_url("/pages/11", mode).await,
        "url above" => graph.by_url("/pages", mode).await,
        "other host's url" => graph.by_url("http://example.com/pages/1", mode).await,
        "other port's url" => graph.by_url("http://www.example.com:8080/pages/1", mode).await,
        "part of a segment" => graph.by_prefix("/page", mode).await,
        "prefix below" => graph.by_prefix("/pages/1/comments", mode).await,
        "other host" => graph.by_host("example.com", mode).await,
        "other route" => graph.by_route("/pages/{slug}", mode).await,
        "other build" => graph.by_build("b", mode).await,
        other => panic!("{other}?"),
    };
    done.unwrap()
}

#[tokio::test]
async fn p09_r22_soft_serves_the_old_page_while_one_render_runs_by_every_selector() {
    for position in POSITIONS {
        for how in SELECTORS {
            let story = named_build(position);
            story.page.tags([tag("late", 1)]);
            story.get("/pages/1").await;
            assert!(story.get("/pages/1").await.is_fresh_hit());
            story.page.commit(2);
            story.page.gated(true);
            select(&story, how, Mode::Soft).await;
            for _ in 0..20 {
                let stale = story.get("/pages/1").await;
                assert_eq!((stale.text(), &*stale.detail()), ("v1", "invalidated"), "{position:?} {how}");
                assert!(stale.is_hit() && stale.is_zero_downstream(), "{position:?} {how}");
            }
            story.page.gate().arrival().await;
            story.page.gate().open(1);
            story.isr.idle().await;
            let fresh = story.get("/pages/1").await;
            assert!(
                fresh.is_fresh_hit() && fresh.text() == "v2",
                "{position:?} {how} {}",
                fresh.cache_status()
            );
            assert_eq!(story.page.renders(), 2, "{position:?} {how}");
        }
    }
}

#[tokio::test]
async fn p09_r22_hard_gives_out_no_old_byte_by_every_selector() {
    for position in POSITIONS {
        for how in SELECTORS {
            let story = named_build(position);
            story.page.tags([tag("late", 1)]);
            story.get("/pages/1").await;
            assert!(story.get("/pages/1").await.is_fresh_hit());
            story.page.commit(2);
            select(&story, how, Mode::Hard).await;
            let next = story.get("/pages/1").await;
            assert_eq!((next.text(), &*next.detail()), ("v2", "dead"), "{position:?} {how}");
            assert!(story.get("/pages/1").await.is_fresh_hit(), "{position:?} {how}");
        }
    }
}

#[tokio::test]
async fn p01_r22_a_render_in_flight_is_overtaken_by_every_selector() {
    for how in SELECTORS {
        for mode in MODES {
            let story = named_build(Position::Inside);
            story.page.tags([tag("late", 1)]);
            story.page.gated(true);
            let first = story.begun("/pages/1").await;
            story.page.gate().arrival().await;
            story.page.gated(false);
            story.page.commit(2);
            select(&story, how, mode).await;
            story.page.gate().open(1);
            let first = first.await;
            match mode {
                Mode::Soft => assert!(first.text() == "v1" && first.is_zero_downstream(), "{how}"),
                Mode::Hard => assert_eq!(first.text(), "v2", "{how}"),
            }
            let next = story.get("/pages/1").await;
            assert!(
                next.text() == "v2" || !next.is_fresh_hit() && next.is_zero_downstream(),
                "{how} {mode:?}"
            );
            story.isr.idle().await;
            let last = story.get("/pages/1").await;
            assert!(last.is_fresh_hit() && last.text() == "v2", "{how} {mode:?}: {}", last.cache_status());
        }
    }
}

#[tokio::test]
async fn r22_what_does_not_name_a_page_leaves_it_alone() {
    let near_misses = [
        "other tag",
        "part of a tag",
        "tag below",
        "other url",
        "url above",
        "other host's url",
        "other port's url",
        "part of a segment",
        "prefix below",
        "other host",
        "other route",
        "other build",
    ];
    for mode in MODES {
        let story = named_build(Position::Around);
        story.get("/pages/1").await;
        for how in near_misses {
            select(&story, how, mode).await;
            let kept = story.get("/pages/1").await;
            assert!(kept.is_fresh_hit(), "{how} {mode:?}: {}", kept.cache_status());
        }
        assert_eq!(story.page.renders(), 1);
    }
}

#[tokio::test]
async fn r22_a_url_covers_its_queries_and_a_query_only_itself() {
    let story = Story::with(Position::Inside, lasting().query(["page", "sort"]), |builder| builder);
    let urls = ["/pages/1", "/pages/1?page=2", "/pages/1?page=2&sort=a", "/pages/1?page=3"];
    let fresh = || async {
        join_all(urls.map(|url| story.get(url))).await.iter().map(Answer::is_fresh_hit).collect::<Vec<_>>()
    };
    let expire = |url: &'static str| async { story.isr.graph().by_url(url, Mode::Hard).await.unwrap() };
    fresh().await;
    assert_eq!(fresh().await, [true; 4]);
    expire("/pages/1?utm=x&page=2").await;
    assert_eq!(fresh().await, [true, false, true, true], "an undeclared parameter does not count");
    expire("/pages/1?sort=a&page=2").await;
    assert_eq!(fresh().await, [true, true, false, true], "nor does the order");
    expire("http://www.example.com/pages/1").await;
    assert_eq!(fresh().await, [false; 4]);
}

#[tokio::test]
async fn p07_ok_means_applied_and_receipts_are_numbered_in_order() {
    let story = Story::at(Position::Inside);
    let mut last = 0;
    for n in 0..50_u64 {
        story.get("/pages/1").await;
        assert!(story.get("/pages/1").await.is_fresh_hit());
        let receipt = story.invalidate(1, if n % 2 == 0 { Mode::Soft } else { Mode::Hard }).await;
        assert!(receipt.seq() > last, "{n}");
        last = receipt.seq();
        assert!(!story.get("/pages/1").await.is_fresh_hit(), "{n}");
        story.isr.idle().await;
    }
    let receipts = join_all((0..100).map(|n| story.invalidate(n, Mode::Soft))).await;
    let numbers: std::collections::BTreeSet<u64> = receipts.iter().map(Receipt::seq).collect();
    assert_eq!(numbers.len(), 100, "each has a number of its own");
    assert!(receipts.iter().all(|receipt| receipt.incarnation() == receipts[0].incarnation()));
}

#[tokio::test]
async fn p07_a_receipt_tells_how_many_pages_it_knows_of() {
    let story = Story::at(Position::Inside);
    story.list(7).await;
    let graph = story.isr.graph();
    assert_eq!(graph.revalidate_by_tags([Tag::named("list")]).await.unwrap().urls(), Some(7));
    assert_eq!(graph.revalidate_by_tags([tag("page", 3)]).await.unwrap().urls(), Some(1));
    assert_eq!(graph.revalidate_by_tags([tag("page", 99)]).await.unwrap().urls(), Some(0));
    assert_eq!(graph.revalidate_by_tags([Tag::named("page")]).await.unwrap().urls(), None, "takes a walk");
}

#[tokio::test]
async fn p07_what_is_no_url_is_refused_and_changes_nothing() {
    let story = Story::at(Position::Inside);
    story.get("/pages/1").await;
    let graph = story.isr.graph();
    for bad in ["", "pages/1", "ftp://www.example.com/pages/1", "http://", "http://a b/pages/1"] {
        let error = graph.by_url(bad, Mode::Hard).await.expect_err(bad);
        assert!(!error.is_transient() && !error.is_queued(), "{bad}");
        graph.by_prefix(bad, Mode::Hard).await.expect_err(bad);
    }
    for bad in ["", "a b", "a/b"] {
        graph.by_host(bad, Mode::Hard).await.expect_err(bad);
    }
    assert!(story.get("/pages/1").await.is_fresh_hit());
}

/// Whether anything that was invalidated left as fresh for caches downstream: a stale hit, and the answer of
/// a render that was overtaken, to its leader and to its follower.
async fn leaves_fresh_downstream(story: &Story) -> Vec<bool> {
    story.page.gated(true);
    let leader = story.begun("/pages/1").await;
    story.page.gate().arrival().await;
    let follower = story.begun("/pages/1").await;
    story.page.gated(false);
    story.page.commit(2);
    story.invalidate(1, Mode::Soft).await;
    story.page.gate().open(1);
    let (leader, follower) = tokio::join!(leader, follower);
    let hit = story.get("/pages/1").await;
    assert!(hit.is_hit());
    let answers = [leader, follower, hit];
    assert!(answers.iter().all(|answer| answer.text() == "v1"));
    answers.iter().map(|answer| !answer.is_zero_downstream()).collect()
}

#[tokio::test]
async fn p10_what_was_invalidated_leaves_without_downstream_freshness() {
    for position in POSITIONS {
        assert_eq!(leaves_fresh_downstream(&Story::at(position)).await, [false; 3], "{position:?}");
        let twin = Story::with(position, lasting(), |builder| builder.twin(Twin::FreshDownstream));
        assert_eq!(leaves_fresh_downstream(&twin).await, [true; 3], "{position:?}: the test can't tell");
    }
}

#[tokio::test]
async fn p10_every_field_that_a_cdn_reads_is_rewritten() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.page.answers(|version| {
            let fields = [
                ("cdn-cache-control", "max-age=600"),
                ("surrogate-control", "max-age=600"),
                ("expires", "0"),
            ];
            (fields, html(format!("v{version}"))).into_response()
        });
        let first = story.get("/pages/1").await;
        assert_eq!(
            first.header("cdn-cache-control"),
            "max-age=600",
            "{position:?}: it may say so while fresh"
        );
        story.page.commit(2);
        story.invalidate(1, Mode::Soft).await;
        let stale = story.get("/pages/1").await;
        assert_eq!(stale.text(), "v1");
        assert!(stale.is_zero_downstream(), "{position:?}");
        for field in ["cdn-cache-control", "surrogate-control"] {
            assert!(
                stale.header(field).contains("max-age=0"),
                "{position:?} {field}: {}",
                stale.header(field)
            );
        }
        assert!(!stale.headers.contains_key("expires"));
    }
}

#[tokio::test]
async fn p10_a_page_that_only_aged_out_leaves_with_a_truthful_age() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.get("/pages/1").await;
        story.clock.advance(299 * S);
        let young = story.get("/pages/1").await;
        assert!(young.is_fresh_hit(), "{position:?}");
        assert_eq!(young.header("age"), "299");
        story.clock.advance(S);
        story.page.gated(true);
        let aged = story.get("/pages/1").await;
        story.page.gate().arrival().await;
        assert_eq!(
            (aged.text(), &*aged.detail(), &*aged.header("age")),
            ("v1", "aged", "300"),
            "{position:?}"
        );
        let control = aged.header("cache-control");
        assert!(
            control.contains("s-maxage=300") && control.contains("stale-while-revalidate=3600"),
            "{control}"
        );
        story.clock.advance(3600 * S);
        let gone = story.begun("/pages/1").await;
        story.page.commit(2);
        story.page.gate().open(2);
        assert_eq!(
            gone.await.text(),
            "v1",
            "{position:?}: nothing was invalidated, so what the refresh read is current"
        );
        assert_eq!(
            story.page.renders(),
            2,
            "{position:?}: past its windows the visitor waits for the one refresh"
        );
    }
}

#[tokio::test]
async fn p09_the_stale_window_of_an_invalidated_page_counts_from_its_birth() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.get("/pages/1").await;
        story.clock.advance(3899 * S);
        story.page.commit(2);
        story.page.gated(true);
        story.invalidate(1, Mode::Soft).await;
        let stale = story.get("/pages/1").await;
        assert_eq!((stale.text(), &*stale.detail()), ("v1", "invalidated"), "{position:?}");
        story.clock.advance(S);
        let waits = story.begun("/pages/1").await;
        story.page.gate().open(1);
        assert_eq!(waits.await.text(), "v2", "{position:?}");
    }
}

#[tokio::test]
async fn p09_without_a_stale_window_a_visitor_after_a_soft_invalidation_never_gets_the_old_page() {
    for position in POSITIONS {
        let story = Story::with(position, Policy::new(), |builder| builder);
        story.page.gated(true);
        let before = story.begun("/pages/1").await;
        story.page.gate().arrival().await;
        story.page.commit(2);
        story.invalidate(1, Mode::Soft).await;
        let after = story.begun("/pages/1").await;
        story.page.gated(false);
        story.page.gate().open(2);
        let (before, after) = tokio::join!(before, after);
        assert_eq!((before.text(), after.text()), ("v1", "v2"), "{position:?}");
        assert!(before.is_zero_downstream(), "{position:?}");
        assert_eq!(story.page.renders(), 2, "{position:?}");
    }
}

fn panics(_: u64) -> Response {
    panic!("told to")
}

fn on_error() -> Policy {
    Policy::new().s_maxage(300 * S).stale_if_error(600 * S)
}

#[tokio::test]
async fn p19_stale_if_error_is_opt_in_bounded_and_marked() {
    for position in POSITIONS {
        for broken in [fails, panics] {
            let story = Story::with(position, on_error(), |builder| builder);
            story.get("/pages/1").await;
            story.page.answers(broken);
            story.clock.advance(899 * S);
            let stand_in = story.get("/pages/1").await;
            assert_eq!((stand_in.status, stand_in.text()), (StatusCode::OK, "v1"), "{position:?}");
            assert_eq!(
                (&*stand_in.detail(), &*stand_in.header("age")),
                ("stale-if-error", "899"),
                "{position:?}"
            );
            assert_eq!(story.isr.stats().count(Reason::StaleIfError), 1);
        }
        let story = Story::with(position, on_error(), |builder| builder);
        story.get("/pages/1").await;
        story.page.answers(fails);
        story.clock.advance(900 * S);
        assert_eq!(
            story.get("/pages/1").await.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{position:?}: bounded"
        );
        let story = Story::with(position, Policy::new(), |builder| builder);
        story.get("/pages/1").await;
        story.page.answers(fails);
        story.clock.advance(300 * S);
        assert_eq!(
            story.get("/pages/1").await.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{position:?}: opt-in"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p19_a_render_that_takes_too_long_is_a_failure_too() {
    for position in POSITIONS {
        let story = Story::with(position, on_error(), |builder| {
            let mut limits = Limits::default();
            limits.render_timeout = 4 * S;
            builder.limits(limits)
        });
        story.get("/pages/1").await;
        story.clock.advance(301 * S);
        story.page.gated(true);
        let since = tokio::time::Instant::now();
        let stand_in = story.get("/pages/1").await;
        assert_eq!(since.elapsed().as_secs(), 4, "{position:?}");
        assert_eq!((stand_in.text(), &*stand_in.detail()), ("v1", "stale-if-error"), "{position:?}");
    }
}

#[tokio::test]
async fn p19_followers_of_a_failed_render_get_the_stand_in_too() {
    for position in POSITIONS {
        let story = Story::with(position, on_error(), |builder| builder);
        story.get("/pages/1").await;
        story.clock.advance(301 * S);
        story.page.answers(fails);
        story.page.gated(true);
        let mut visitors = Vec::new();
        for _ in 0..10 {
            visitors.push(story.begun("/pages/1").await);
        }
        story.page.gate().arrival().await;
        story.page.gate().open(1);
        for answer in within(join_all(visitors)).await {
            assert_eq!((answer.text(), &*answer.detail()), ("v1", "stale-if-error"), "{position:?}");
        }
        assert_eq!(story.page.renders(), 2);
    }
}

#[tokio::test]
async fn p19_r28_after_a_hard_mark_no_failure_brings_the_old_page_back() {
    for position in POSITIONS {
        for broken in [fails, panics] {
            let policy = on_error().stale_while_revalidate(3600 * S);
            let story = Story::with(position, policy, |builder| builder);
            story.get("/pages/1").await;
            story.page.answers(broken);
            story.invalidate(1, Mode::Soft).await;
            let stale = story.get("/pages/1").await;
            assert_eq!((stale.text(), &*stale.detail()), ("v1", "invalidated"), "{position:?}");
            story.isr.idle().await;
            assert_eq!(story.page.renders(), 2, "the refresh failed");
            let kept = story.get("/pages/1").await;
            assert_eq!(kept.text(), "v1", "{position:?}: the last good page is kept");
            story.isr.idle().await;
            story.page.answers(fails);
            story.invalidate(1, Mode::Hard).await;
            for _ in 0..3 {
                let none = story.get("/pages/1").await;
                assert_eq!(
                    none.status,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "{position:?} {}",
                    none.cache_status()
                );
                assert!(!none.text().contains("v1"));
            }
        }
    }
}

#[tokio::test]
async fn p19_r28_a_hard_mark_that_comes_while_the_render_fails_counts() {
    for position in POSITIONS {
        let story = Story::with(position, on_error(), |builder| builder);
        story.get("/pages/1").await;
        story.clock.advance(301 * S);
        story.page.answers(fails);
        story.page.gated(true);
        let visitor = story.begun("/pages/1").await;
        story.page.gate().arrival().await;
        story.invalidate(1, Mode::Hard).await;
        story.page.gate().open(1);
        assert_eq!(visitor.await.status, StatusCode::INTERNAL_SERVER_ERROR, "{position:?}");
    }
}

#[tokio::test]
async fn p10_p19_a_stand_in_for_an_invalidated_page_leaves_without_downstream_freshness() {
    let story = Story::with(Position::Inside, on_error(), |builder| builder);
    story.get("/pages/1").await;
    story.page.answers(fails);
    story.invalidate(1, Mode::Soft).await;
    let stand_in = story.get("/pages/1").await;
    assert_eq!((stand_in.text(), &*stand_in.detail()), ("v1", "stale-if-error"));
    assert!(stand_in.is_zero_downstream(), "{}", stand_in.header("cache-control"));
}

#[tokio::test]
async fn p04_a_dead_page_stays_dead_whatever_the_clock_does() {
    let story = Story::with(Position::Inside, on_error().stale_while_revalidate(3600 * S), |builder| builder);
    story.get("/pages/1").await;
    story.invalidate(1, Mode::Hard).await;
    story.page.answers(fails);
    for back in [0, 60, 86_400, 864_000] {
        story.clock.set_wall(story.clock.wall() - back * S);
        let answer = story.get("/pages/1").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.cache_status());
    }
}

/// A page store that outlives the process.
#[derive(Debug, Clone)]
struct Shelf(Arc<MemoryPages>, Arc<std::sync::atomic::AtomicUsize>);

#[async_trait::async_trait]
impl PageStore for Shelf {
    async fn get(&self, key: &CacheKey) -> edge_isr_axum::Result<Option<Arc<StoredPage>>> {
        let found = self.0.peek(key);
        self.1.fetch_add(usize::from(found.is_some()), std::sync::atomic::Ordering::SeqCst);
        Ok(found)
    }

    async fn put(&self, key: &CacheKey, page: Arc<StoredPage>) -> edge_isr_axum::Result<Put> {
        Ok(self.0.keep(key, page))
    }

    async fn remove(&self, keys: &[CacheKey]) -> edge_isr_axum::Result<()> {
        keys.iter().for_each(|key| self.0.remove_up_to(key, u64::MAX));
        Ok(())
    }
}

#[tokio::test]
async fn p04_pages_that_outlive_the_marks_are_not_trusted_again() {
    for loss in [Loss::Miss, Loss::Revalidate] {
        let shelf = Shelf(Arc::new(MemoryPages::new(1 << 20, 1 << 16)), Arc::default());
        let life = || {
            let shelf = shelf.clone();
            Story::with(Position::Inside, lasting().loss(loss), |builder| builder.store(shelf))
        };
        let before = life();
        before.get("/pages/1").await;
        before.isr.idle().await;
        until(|| shelf.0.len() == 1).await;
        before.invalidate(1, Mode::Hard).await;
        // The process ends; its marks are gone, the page is not.
        let after = life();
        after.page.commit(2);
        let first = after.get("/pages/1").await;
        assert_eq!(shelf.1.load(std::sync::atomic::Ordering::SeqCst), 1, "the old page was found");
        assert_eq!((first.text(), first.is_hit()), ("v2", false), "{loss:?}: {}", first.cache_status());
        assert_eq!(after.page.renders(), 1, "{loss:?}");
        after.isr.idle().await;
        let next = after.get("/pages/1").await;
        assert!(next.is_fresh_hit() && next.text() == "v2", "{loss:?}: {}", next.cache_status());
    }
}

#[tokio::test]
async fn p04_p15_an_evicted_page_is_rendered_and_never_worse_than_that() {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = Limits::default();
        (limits.store_bytes, limits.body_bytes, limits.head_bytes) = (128 << 10, 8 << 10, 4 << 10);
        builder.limits(limits)
    });
    let body = "x".repeat(4 << 10);
    story.page.answers(move |version| html(format!("v{version} {body}")));
    story.get("/pages/0").await;
    story.page.commit(2);
    story.invalidate(0, Mode::Hard).await;
    for id in 1..500 {
        story.get(&format!("/pages/{id}")).await;
        assert!(story.isr.stats().bytes <= 128 << 10);
    }
    let again = story.get("/pages/0").await;
    assert!(again.text().starts_with("v2"), "{}", again.cache_status());
    let pages = story.isr.stats().pages;
    assert!((1..40).contains(&pages), "{pages} pages of 4 KiB in 128 KiB");
}

#[tokio::test]
async fn r27_tags_whose_texts_would_run_together_are_marked_apart() {
    let apart = [
        tag("a", "b:c"),
        tag("a:b", "c"),
        tag("ab", "c"),
        tag("a", "bc"),
        tag("a", "b%3ac"),
        tag("post", 4),
        tag("post", 42),
        tag("k", "k"),
        tag("k", "\u{212a}"),
        tag("e", "\u{e9}"),
        tag("e", "e\u{301}"),
        tag("s", "a b"),
        tag("s", "a%20b"),
    ];
    let story = Story::at(Position::Inside);
    for (id, tag) in apart.iter().enumerate() {
        story.page.tags([tag.clone()]);
        story.get(&format!("/pages/{id}")).await;
    }
    for (id, tag) in apart.iter().enumerate() {
        story.isr.graph().expire_by_tags([tag.clone()]).await.unwrap();
        for (other_id, other) in apart.iter().enumerate() {
            story.page.tags([other.clone()]);
            let answer = story.get(&format!("/pages/{other_id}")).await;
            assert_eq!(answer.is_fresh_hit(), other_id != id, "{tag:?} and {other:?}");
        }
    }
    assert_eq!(tag("Post", 1), tag("post", 1), "case is folded by the one rule, for pages and marks alike");
}

#[tokio::test]
async fn r15_what_the_index_has_lost_is_invalidated_all_the_same() {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = Limits::default();
        limits.index_rows = 1;
        builder.limits(limits)
    });
    story.page.tags([Tag::named("list")]);
    let paths = ["/pages/1", "/pages/2", "/pages/3"];
    for path in paths {
        story.get(path).await;
    }
    let listed = story.isr.graph().urls_for(&Tag::named("list"), None, 10).await.unwrap();
    assert_eq!((listed.urls.len(), listed.is_complete), (1, false), "it lost rows and says so");
    assert_eq!(story.isr.stats().count(Reason::IndexFull), 2);
    for path in paths {
        assert!(story.get(path).await.is_fresh_hit());
    }
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    for path in paths {
        assert_eq!(story.get(path).await.detail(), "invalidated");
    }
}

#[tokio::test]
async fn r16_a_page_that_replaces_another_keeps_its_rows_and_takes_new_tags() {
    for mode in MODES {
        let story = Story::at(Position::Inside);
        let urls = |tag: Tag| {
            let graph = story.isr.graph();
            async move { graph.urls_for(&tag, None, 10).await.unwrap().urls }
        };
        story.page.tags([Tag::named("list"), Tag::named("old")]);
        story.get("/pages/1").await;
        for _ in 0..5 {
            story.page.tags([Tag::named("list"), Tag::named("new")]);
            story.invalidate(1, mode).await;
            story.get("/pages/1").await;
            story.isr.idle().await;
            assert_eq!(urls(Tag::named("list")).await, ["http://www.example.com/pages/1"]);
            assert_eq!(urls(Tag::named("new")).await, ["http://www.example.com/pages/1"]);
            assert!(urls(Tag::named("old")).await.is_empty(), "binding replaces");
        }
        story.isr.graph().revalidate_by_tags([Tag::named("old")]).await.unwrap();
        assert!(story.get("/pages/1").await.is_fresh_hit(), "a tag it carries no more does not concern it");
        story.isr.graph().revalidate_by_tags([Tag::named("new")]).await.unwrap();
        assert!(!story.get("/pages/1").await.is_fresh_hit());
    }
}

#[tokio::test]
async fn p09_a_receipt_makes_soft_marks_count_as_hard_for_its_bearer_and_nobody_else() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.get("/pages/1").await;
        story.get("/pages/2").await;
        story.page.commit(2);
        story.page.gated(true);
        let receipt = story.invalidate(1, Mode::Soft).await;
        let bearer = |path: &str| {
            let mut request = request(Method::GET, path);
            let cookie = receipt.cookie().to_str().unwrap().split(';').next().unwrap().parse().unwrap();
            request.headers_mut().insert("cookie", cookie);
            let site = story.site.clone();
            async move { send(&site, request).await }
        };
        assert!(bearer("/pages/2").await.is_fresh_hit(), "{position:?}: fresh pages are untouched");
        assert_eq!(story.get("/pages/1").await.text(), "v1", "{position:?}: everybody else");
        let own = begun(bearer("/pages/1")).await;
        story.page.gate().open(1);
        let own = own.await;
        assert_eq!((own.text(), &*own.detail()), ("v2", "receipt"), "{position:?}");
        assert_eq!(story.page.renders(), 3, "{position:?}: the refresh that ran was new enough to join");
        story.clock.advance(61 * S);
        story.page.gated(false);
        story.invalidate(1, Mode::Soft).await;
        assert_eq!(bearer("/pages/1").await.detail(), "invalidated", "{position:?}: a receipt expires");
        story.isr.idle().await;
    }
}
