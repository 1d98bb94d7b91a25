//! Caches in front are told to forget: in the right order, within their limits, and nothing is called
//! confirmed that was not.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{Connector, Limits, Mode, Purge, PurgeLimits, PurgeState, Reason, Result, Stage};
use edge_isr_core::testing::RecordingConnector;
use edge_isr_stories::*;
use tokio::time::Instant;

const S: Duration = Duration::from_secs(1);

/// A cache in front that, told to forget, asks for the page again at once.
#[derive(Debug, Clone, Default)]
struct Refetching {
    site: Arc<OnceLock<Site>>,
    got: Arc<Mutex<Vec<(Mode, Answer)>>>,
}

#[async_trait::async_trait]
impl Connector for Refetching {
    fn name(&self) -> &'static str {
        "refetching"
    }

    fn limits(&self) -> PurgeLimits {
        PurgeLimits::default()
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        let answer = get(self.site.get().expect("put there before"), "/pages/1").await;
        self.got.lock().unwrap().push((purge.mode, answer));
        Ok(())
    }
}

/// One that never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait::async_trait]
impl Connector for Hanging {
    fn name(&self) -> &'static str {
        "hanging"
    }

    fn limits(&self) -> PurgeLimits {
        PurgeLimits::default()
    }

    async fn purge(&self, _: &Purge) -> Result<()> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn p22_a_soft_purge_follows_the_new_page() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.gated(true);
    let receipt = story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    assert_eq!(receipt.purges(), pending());
    assert!(recording.seen().is_empty(), "not while the old page is all there is");
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    assert_eq!(
        recording.seen(),
        [Purge { mode: Mode::Soft, tags: vec![tag("page", 1)], ..Purge::default() }]
    );
    assert_eq!(receipt.purges(), confirmed());
}

#[tokio::test(start_paused = true)]
async fn p22_a_hard_purge_comes_at_once_and_again_after_what_was_in_flight_has_settled() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    let since = Instant::now();
    let receipt = story.invalidate(1, Mode::Hard).await;
    assert_eq!((recording.seen().len(), receipt.purges()), (1, confirmed()));
    assert!(since.elapsed() < S);
    within(story.isr.idle()).await;
    assert_eq!(since.elapsed().as_secs(), 2, "the settle time");
    let purge = Purge { mode: Mode::Hard, tags: vec![tag("page", 1)], ..Purge::default() };
    assert_eq!(recording.seen(), [purge.clone(), purge]);
}

#[tokio::test(start_paused = true)]
async fn p10_p22_a_cache_that_asks_right_after_its_purge_gets_the_new_page() {
    for position in POSITIONS {
        let cdn = Refetching::default();
        let story = Story::with(position, lasting(), |builder| builder.connector(cdn.clone()));
        cdn.site.set(story.site.clone()).unwrap();
        let _worker = story.worker().await;
        story.get("/pages/1").await;
        for (version, mode, times) in [(2, Mode::Soft, 1), (3, Mode::Hard, 2)] {
            story.page.commit(version);
            story.invalidate(1, mode).await;
            within(story.isr.idle()).await;
            let got = std::mem::take(&mut *cdn.got.lock().unwrap());
            assert_eq!(got.len(), times, "{position:?} {mode:?}");
            for (said, answer) in got {
                assert_eq!((said, answer.text()), (mode, &*format!("v{version}")), "{position:?}");
                assert!(!answer.is_zero_downstream(), "{position:?}: it may keep this one");
            }
        }
    }
}

#[tokio::test]
async fn p22_without_a_worker_purges_are_sent_at_once_and_the_operator_is_told() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    story.get("/pages/1").await;
    let soft = story.invalidate(1, Mode::Soft).await;
    assert_eq!((recording.seen().len(), soft.purges()), (1, confirmed()));
    let health = story.isr.health();
    assert!(
        health.notes.iter().any(|note| note.subject == "worker" && note.advice.contains("isr.worker(app)"))
    );
    let counted = |reason| story.isr.stats().count(reason);
    assert_eq!((counted(Reason::PurgeEarly), counted(Reason::PurgeFailed)), (1, 0), "none failed");
    let stale = story.get("/pages/1").await;
    assert!(stale.is_zero_downstream(), "what the cache fetches now, it can't keep");
    let hard = story.invalidate(1, Mode::Hard).await;
    assert_eq!((recording.seen().len(), hard.purges()), (2, confirmed()));
}

#[tokio::test(start_paused = true)]
async fn p07_p22_what_was_not_confirmed_is_in_the_receipt_and_counted() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    recording.set_failing(true);
    let receipt = story.invalidate(1, Mode::Hard).await;
    let [("recording", PurgeState::Retrying(why))] = &receipt.purges()[..] else { panic!("{receipt:?}") };
    assert!(why.contains("told to fail"), "{why}");
    let counted = |reason| story.isr.stats().count(reason);
    assert_eq!(
        (counted(Reason::PurgeFailed), counted(Reason::PurgeRetried)),
        (0, 1),
        "it is not given up yet"
    );
    assert_eq!(story.get("/pages/1").await.text(), "v1");
    recording.set_failing(false);
    within(story.isr.idle()).await;
    assert_eq!(receipt.purges(), confirmed(), "another attempt was, and the second purge");
    recording.set_failing(true);
    let receipt = story.invalidate(1, Mode::Hard).await;
    story.isr.idle().await;
    let [("recording", PurgeState::Failed(why))] = &receipt.purges()[..] else { panic!("{receipt:?}") };
    assert!(why.contains("told to fail"), "{why}");
    assert_eq!(story.isr.stats().count(Reason::PurgeFailed), 2, "both purges");
    let health = story.isr.health();
    assert!(
        health.notes.iter().any(|note| note.reason == Reason::PurgeFailed && note.subject == "recording")
    );
}

#[tokio::test(start_paused = true)]
async fn p07_p22_a_connector_that_never_answers_holds_nobody_up() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder.connector(Hanging));
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.commit(2);
    let since = Instant::now();
    let receipt = story.invalidate(1, Mode::Hard).await;
    assert_eq!(since.elapsed().as_secs(), 5, "limits.purge_wait");
    let hung = PurgeState::Retrying("no answer in time".to_owned());
    assert_eq!(receipt.purges(), [("recording", PurgeState::Confirmed), ("hanging", hung)]);
    receipt.wait(Stage::Rendered, 30 * S).await;
    let fresh = story.get("/pages/1").await;
    assert!(fresh.is_fresh_hit() && fresh.text() == "v2");
    story.isr.idle().await;
    let hung = PurgeState::Failed("no answer in time".to_owned());
    assert_eq!(receipt.purges(), [("recording", PurgeState::Confirmed), ("hanging", hung)]);
}

#[tokio::test(start_paused = true)]
async fn p07_an_invalidation_that_is_dropped_while_it_purges_has_marked() {
    let story = Story::with(Position::Inside, lasting(), |builder| builder.connector(Hanging));
    story.get("/pages/1").await;
    story.page.commit(2);
    let graph = story.isr.graph();
    drop(begun(async move { graph.expire_by_tags([tag("page", 1)]).await }).await);
    assert_eq!(story.get("/pages/1").await.text(), "v2");
}

#[tokio::test]
async fn p07_an_invalidation_that_was_never_polled_has_done_nothing() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    story.get("/pages/1").await;
    drop(story.isr.graph().expire_by_tags([tag("page", 1)]));
    assert!(story.get("/pages/1").await.is_fresh_hit() && recording.seen().is_empty());
}

#[tokio::test]
async fn p22_a_connector_never_gets_more_than_its_limits_in_one_call() {
    let recording =
        RecordingConnector::with_limits(PurgeLimits { tags: 2, urls: 3, ..PurgeLimits::default() });
    let story = Story::behind(&recording, |builder| builder);
    for id in 0..7 {
        story.get(&format!("/pages/{id}")).await;
    }
    let tags: Vec<Tag> = (0..5).map(|id| tag("page", id)).collect();
    story.isr.graph().revalidate_by_tags(tags.clone()).await.unwrap();
    let seen = recording.seen();
    assert!(seen.iter().all(|purge| purge.tags.len() <= 2 && purge.urls.is_empty() && !purge.everything));
    let told: BTreeSet<&Tag> = seen.iter().flat_map(|purge| &purge.tags).collect();
    assert_eq!((seen.len(), told), (3, tags.iter().collect()));
    story.isr.graph().by_prefix("/pages", Mode::Soft).await.unwrap();
    let seen = recording.seen().split_off(3);
    assert!(seen.iter().all(|purge| purge.tags.is_empty() && purge.urls.len() <= 3 && !purge.everything));
    let told: BTreeSet<&str> = seen.iter().flat_map(|purge| &purge.urls).map(String::as_str).collect();
    assert_eq!((seen.len(), told.len()), (3, 7), "our own tags mean nothing to it, so it gets URLs");
    assert!(told.contains("http://www.example.com/pages/6"));
}

#[tokio::test]
async fn p22_a_plan_says_what_is_then_done_and_does_nothing() {
    let limits = PurgeLimits { tags: 2, urls: 3, ..PurgeLimits::default() };
    let (tags, urls) = (
        RecordingConnector::with_limits(limits),
        RecordingConnector::with_limits(PurgeLimits { tags: 0, ..limits }),
    );
    let none = RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 0, ..limits });
    let story = Story::behind(&tags, |builder| builder.connector(urls.clone()).connector(none.clone()));
    story.list(7).await;
    let graph = story.isr.graph();
    let told = [Tag::named("list"), tag("page", 1), tag("nobody", 1)];
    let plan = graph.plan(told.clone(), Mode::Soft).await.unwrap();
    assert_eq!((plan.pages, plan.variants, plan.is_complete), (7, 7, true));
    assert!(story.get("/pages/1").await.is_fresh_hit());
    assert!([&tags, &urls, &none].iter().all(|connector| connector.seen().is_empty()));
    graph.revalidate_by_tags(told).await.unwrap();
    let seen: Vec<(usize, bool)> = [&tags, &urls, &none]
        .map(RecordingConnector::seen)
        .iter()
        .map(|seen| (seen.len(), seen.iter().any(|purge| purge.everything)))
        .collect();
    let planned: Vec<(usize, bool)> =
        plan.calls.iter().map(|planned| (planned.calls, planned.is_everything)).collect();
    assert_eq!((&planned, &seen), (&vec![(2, false), (3, false), (1, true)], &planned));
}

#[tokio::test]
async fn p22_a_plan_tells_pages_from_variants_and_says_when_it_does_not_know_all() {
    for rows in [100, 4] {
        let story = Story::with(Position::Inside, lasting().vary(["accept-language"]), |builder| {
            let mut limits = prompt();
            limits.index_rows = rows;
            builder.limits(limits)
        });
        story.page.tags([Tag::named("list")]);
        for (id, language) in [(1, "de"), (1, "en"), (2, "de"), (3, "de"), (3, "en")] {
            get_with(&story.site, &format!("/pages/{id}"), &[("accept-language", language)]).await;
        }
        let plan = story.isr.graph().plan([Tag::named("list")], Mode::Soft).await.unwrap();
        assert_eq!(plan.is_complete, rows == 100);
        assert!(rows < 100 || (plan.pages, plan.variants) == (3, 5), "{plan:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p22_a_plan_counts_both_purges_of_a_hard_invalidation() {
    let recording = RecordingConnector::with_limits(PurgeLimits { tags: 2, ..PurgeLimits::default() });
    let story = Story::behind(&recording, |builder| builder);
    let tags: Vec<Tag> = (0..5).map(|id| tag("page", id)).collect();
    let graph = story.isr.graph();
    let plan = graph.plan(tags.clone(), Mode::Hard).await.unwrap();
    graph.expire_by_tags(tags).await.unwrap();
    story.isr.idle().await;
    assert_eq!((plan.calls[0].calls, recording.seen().len()), (6, 6));
}

#[tokio::test]
async fn p22_a_cache_that_knows_no_tags_gets_urls_and_everything_where_the_list_is_not_whole() {
    for rows in [100, 4] {
        let recording =
            RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 3, ..PurgeLimits::default() });
        let story = Story::behind(&recording, |builder| {
            let mut limits = prompt();
            limits.index_rows = rows;
            builder.limits(limits)
        });
        story.list(7).await;
        story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
        let seen = recording.seen();
        if rows == 100 {
            let told: BTreeSet<&String> = seen.iter().flat_map(|purge| &purge.urls).collect();
            assert_eq!((seen.len(), told.len()), (3, 7));
            assert!(
                seen.iter().all(|purge| purge.tags.is_empty() && purge.urls.len() <= 3 && !purge.everything)
            );
        } else {
            assert_eq!(
                seen,
                [Purge { mode: Mode::Soft, everything: true, ..Purge::default() }],
                "widened, not shrunk"
            );
        }
    }
}

#[tokio::test]
async fn p22_what_can_be_said_neither_in_tags_nor_in_urls_is_purged_as_a_whole() {
    let everything = [Purge { mode: Mode::Hard, everything: true, ..Purge::default() }];
    for (limits, by_tag) in
        [(PurgeLimits { tags: 0, urls: 0, ..PurgeLimits::default() }, true), (PurgeLimits::default(), false)]
    {
        let recording = RecordingConnector::with_limits(limits);
        let story = Story::behind(&recording, |builder| builder);
        story.get("/pages/1").await;
        if by_tag {
            story.invalidate(1, Mode::Hard).await;
        } else {
            story.isr.graph().all(Mode::Hard).await.unwrap();
        }
        assert_eq!(recording.seen(), everything, "{limits:?}");
    }
}

#[tokio::test]
async fn p06_p22_of_a_burst_every_tag_is_purged_after_the_last_render() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    let _worker = story.worker().await;
    for id in 0..10 {
        story.get(&format!("/pages/{id}")).await;
    }
    let mut receipts = Vec::new();
    for n in 0..50 {
        story.page.commit(n + 2);
        receipts.push(story.invalidate(n % 10, Mode::Soft).await);
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    within(story.isr.idle()).await;
    assert!(receipts.iter().all(|receipt| receipt.purges() == confirmed()));
    let told: BTreeSet<Tag> = recording.seen().into_iter().flat_map(|purge| purge.tags).collect();
    assert_eq!(told.len(), 10);
    for id in 0..10 {
        assert!(story.get(&format!("/pages/{id}")).await.is_fresh_hit());
    }
}

#[tokio::test(start_paused = true)]
async fn p21_p22_at_shutdown_what_landed_is_purged_before_the_worker_returns() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    let worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.gated(true);
    let receipt = story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    let isr = story.isr.clone();
    let shutdown = begun(async move { isr.shutdown(10 * S).await }).await;
    story.page.gate().open(1);
    shutdown.await;
    within(worker).await.unwrap();
    assert_eq!(receipt.purges(), confirmed());
    assert_eq!(recording.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn p22_a_url_whose_page_lost_the_tag_in_its_new_render_is_purged_too() {
    for mode in [Mode::Soft, Mode::Hard] {
        let recording =
            RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 100, ..PurgeLimits::default() });
        let story = Story::behind(&recording, |builder| builder);
        let _worker = story.worker().await;
        story.page.tags([Tag::named("list")]);
        story.get("/pages/1").await;
        story.page.tags([]);
        match mode {
            Mode::Soft => story.isr.graph().revalidate_by_tags([Tag::named("list")]).await,
            Mode::Hard => story.isr.graph().expire_by_tags([Tag::named("list")]).await,
        }
        .unwrap();
        within(story.isr.idle()).await;
        let urls = vec!["http://www.example.com/pages/1".to_owned()];
        let purge = Purge { mode, urls, ..Purge::default() };
        assert_eq!(recording.seen().last(), Some(&purge), "{mode:?}");
        assert_eq!(recording.seen().len(), if mode == Mode::Hard { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn p22_a_url_whose_page_a_visitor_had_rendered_without_the_tag_before_quiet_is_purged_too() {
    let recording =
        RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 100, ..PurgeLimits::default() });
    let story = Story::behind(&recording, |builder| builder.limits(Limits::default()));
    let _worker = story.worker().await;
    story.page.tags([tag("list", 1)]);
    story.get("/pages/1").await;
    story.page.tags([]);
    story.page.commit(2);
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    assert_eq!(story.get("/pages/1").await.text(), "v1", "and its new page is rendered");
    until(|| story.page.renders() == 2 && receipt.progress().pages.is_none()).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(recording.seen().is_empty() && receipt.progress().pages.is_none(), "it waits for quiet");
    story.clock.advance(S);
    within(story.isr.idle()).await;
    let urls = vec!["http://www.example.com/pages/1".to_owned()];
    assert_eq!(recording.seen(), [Purge { mode: Mode::Soft, urls, ..Purge::default() }]);
    assert_eq!((receipt.progress().pages, receipt.purges()), (Some(0), confirmed()));
}

#[tokio::test]
async fn p15_p22_of_more_urls_than_are_kept_everything_is_purged() {
    let recording =
        RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 100, ..PurgeLimits::default() });
    let story = Story::behind(&recording, |builder| builder);
    story.list(10_001).await;
    let _worker = story.worker().await;
    story.page.tags([]);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    within(story.isr.idle()).await;
    assert_eq!(recording.seen(), [Purge { mode: Mode::Soft, everything: true, ..Purge::default() }]);
}

#[tokio::test(start_paused = true)]
async fn p06_p22_invalidations_of_the_same_that_wait_are_purged_together_and_every_receipt_is_settled() {
    for mode in [Mode::Soft, Mode::Hard] {
        let recording = RecordingConnector::default();
        let story = Story::behind(&recording, |builder| builder);
        let _worker = story.worker().await;
        story.get("/pages/1").await;
        story.page.gated(true);
        story.invalidate(1, mode).await;
        story.page.gate().arrival().await;
        // None of these is taken up before the last is pushed.
        let receipts = futures_util::future::join_all((0..500).map(|_| story.invalidate(1, mode))).await;
        story.page.gate().open(3);
        within(story.isr.idle()).await;
        assert!(receipts.iter().all(|receipt| receipt.purges() == confirmed()));
        let purges = recording.seen().len();
        assert!(purges <= if mode == Mode::Hard { 501 + 2 } else { 2 }, "{mode:?}: {purges}");
        assert!(recording.seen().iter().all(|purge| !purge.everything));
        assert!(story.get("/pages/1").await.is_fresh_hit());
    }
}

#[tokio::test(start_paused = true)]
async fn p15_p22_only_so_many_invalidations_are_under_way_at_once() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| {
        let mut limits = prompt();
        limits.tags_per_page = 400;
        builder.limits(limits)
    });
    let _worker = story.worker().await;
    story.page.tags((0..300).map(|n| tag("part", n)));
    story.get("/pages/1").await;
    story.page.gated(true);
    let mut receipts = Vec::new();
    for n in (0..300).chain([299; 10]) {
        receipts.push(story.isr.graph().revalidate_by_tags([tag("part", n)]).await.unwrap());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    story.page.gate().open(300);
    within(story.isr.idle()).await;
    let told: Vec<Tag> = recording.seen().into_iter().flat_map(|purge| purge.tags).collect();
    assert_eq!(told.len(), 300, "the last eleven were still waiting, so they were one");
    assert!(receipts.iter().all(|receipt| receipt.purges() == confirmed()));
}

#[tokio::test(start_paused = true)]
async fn p07_p22_who_hangs_up_on_an_invalidation_cancels_neither_its_purges_nor_its_renders() {
    for works in [true, false] {
        let recording = RecordingConnector::default();
        let story = Story::with(Position::Inside, lasting(), |builder| {
            builder.connector(Hanging).connector(recording.clone())
        });
        let _worker = if works { Some(story.worker().await) } else { None };
        story.get("/pages/1").await;
        story.page.commit(2);
        let graph = story.isr.graph();
        drop(begun(async move { graph.expire_by_tags([tag("page", 1)]).await }).await);
        story.isr.idle().await;
        assert_eq!(recording.seen().len(), 2, "at once and again, with a worker: {works}");
        let next = story.get("/pages/1").await;
        assert_eq!((next.text(), next.is_fresh_hit()), ("v2", works));
    }
}

#[tokio::test(start_paused = true)]
async fn p22_a_first_purge_that_ends_last_does_not_hide_what_the_second_said() {
    #[derive(Debug, Clone, Default)]
    struct SlowAtFirst(Arc<Mutex<u32>>);
    #[async_trait::async_trait]
    impl Connector for SlowAtFirst {
        fn name(&self) -> &'static str {
            "slow-at-first"
        }
        fn limits(&self) -> PurgeLimits {
            PurgeLimits::default()
        }
        async fn purge(&self, _: &Purge) -> Result<()> {
            let is_first = {
                let mut calls = self.0.lock().unwrap();
                *calls += 1;
                *calls == 1
            };
            if is_first { std::future::pending().await } else { Ok(()) }
        }
    }
    let story = Story::with(Position::Inside, lasting(), |builder| builder.connector(SlowAtFirst::default()));
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    let receipt = story.invalidate(1, Mode::Hard).await;
    within(story.isr.idle()).await;
    assert_eq!(receipt.purges(), [("slow-at-first", PurgeState::Confirmed)]);
}

#[tokio::test]
async fn p15_listing_urls_for_a_purge_leaves_the_thread_to_others() {
    let recording =
        RecordingConnector::with_limits(PurgeLimits { tags: 0, urls: 100, ..PurgeLimits::default() });
    let story = Story::behind(&recording, |builder| builder);
    for id in 0..2_000 {
        story.get(&format!("/pages/{id}")).await;
    }
    let graph = story.isr.graph();
    let purging = tokio::spawn(async move { graph.by_prefix("/nobody", Mode::Hard).await });
    let mut turns = 0;
    while !purging.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert!(turns > 10, "{turns}");
}

#[tokio::test(start_paused = true)]
async fn p22_a_hard_purge_comes_twice_without_a_worker_too() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| builder);
    story.get("/pages/1").await;
    story.invalidate(1, Mode::Hard).await;
    assert_eq!(recording.seen().len(), 1, "at once");
    story.isr.idle().await;
    assert_eq!(recording.seen().len(), 2, "and again after the settle time");
    assert!(story.isr.health().notes.iter().any(|note| note.subject == "worker"));
}
