//! What caches in front are told where it is easily too much or too little: for a stranger's request, and at a shutdown.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::collections::BTreeSet;
use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{Connector, Mode, Purge, PurgeLimits, PurgeState, Result, Stage};
use edge_isr_core::testing::RecordingConnector;
use edge_isr_stories::*;
use tokio::time::Instant;

const S: Duration = Duration::from_secs(1);

/// One that takes a while to confirm.
#[derive(Debug, Clone)]
struct Slow(RecordingConnector, Duration);

#[async_trait::async_trait]
impl Connector for Slow {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn limits(&self) -> PurgeLimits {
        self.0.limits()
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        tokio::time::sleep(self.1).await;
        self.0.purge(purge).await
    }
}

#[tokio::test(start_paused = true)]
async fn p21_p22_at_shutdown_what_waits_for_no_render_in_the_air_is_purged_at_once() {
    let recording = RecordingConnector::default();
    let story = Story::behind(&recording, |builder| {
        let mut limits = prompt();
        limits.worker_renders = 1;
        builder.limits(limits)
    });
    let worker = story.worker().await;
    for id in 1..=3 {
        story.get(&format!("/pages/{id}")).await;
    }
    story.page.gated(true);
    let slow = story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    let others = [story.invalidate(2, Mode::Soft).await, story.invalidate(3, Mode::Soft).await];
    // The first is taken up, and has no room to be rendered; the second is asked for as it ends.
    tokio::time::sleep(S).await;
    let others = [others[0].clone(), others[1].clone(), story.invalidate(3, Mode::Soft).await];
    let isr = story.isr.clone();
    let shutdown = begun(async move { isr.shutdown(30 * S).await }).await;
    tokio::time::sleep(S).await;
    assert!(others.iter().all(|receipt| receipt.purges() == confirmed()), "{others:?}");
    assert_eq!(slow.purges(), pending(), "its new page may still land");
    story.page.gate().open(1);
    within(shutdown).await;
    within(worker).await.unwrap();
    assert_eq!((slow.purges(), slow.progress().rendered), (confirmed(), 1));
    let told: Vec<Tag> = recording.seen().into_iter().flat_map(|purge| purge.tags).collect();
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 3, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn p21_p22_at_the_deadline_of_a_shutdown_what_hangs_on_a_render_is_still_purged() {
    for (takes, outcome) in
        [(S / 2, PurgeState::Confirmed), (2 * S, PurgeState::Failed("it was broken off".to_owned()))]
    {
        let recording = RecordingConnector::default();
        let slow = Slow(recording.clone(), takes);
        let story = Story::with(Position::Inside, lasting(), |builder| builder.connector(slow));
        let worker = story.worker().await;
        story.get("/pages/1").await;
        story.page.gated(true);
        let receipt = story.invalidate(1, Mode::Soft).await;
        story.page.gate().arrival().await;
        let since = Instant::now();
        story.isr.shutdown(S).await;
        assert!(
            since.elapsed() < 2 * S + S / 10,
            "a second after the deadline it ends: {:?}",
            since.elapsed()
        );
        within(worker).await.unwrap();
        assert_eq!(receipt.purges(), [("recording", outcome.clone())]);
        assert_eq!(recording.seen().len(), usize::from(outcome == PurgeState::Confirmed));
    }
}

#[tokio::test(start_paused = true)]
async fn p21_p22_a_shutdown_whose_deadline_is_sooner_than_the_second_purge_makes_it_then() {
    for works in [true, false] {
        let recording = RecordingConnector::default();
        let story = Story::behind(&recording, |builder| builder);
        let _worker = if works { Some(story.worker().await) } else { None };
        story.get("/pages/1").await;
        let receipt = story.invalidate(1, Mode::Hard).await;
        if works {
            receipt.wait(Stage::Rendered, S).await;
        }
        let since = Instant::now();
        story.isr.shutdown(S).await;
        assert!(since.elapsed() < S + S / 10, "{:?}", since.elapsed());
        assert_eq!(
            (recording.seen().len(), receipt.progress().has_reached(Stage::Purged)),
            (2, true),
            "{works}"
        );
    }
}

const TAGS: PurgeLimits = PurgeLimits { tags: 100, urls: 0, bytes: 16 << 10, rate: None };
const URLS: PurgeLimits = PurgeLimits { tags: 0, urls: 100, ..TAGS };
const NEITHER: PurgeLimits = PurgeLimits { tags: 0, ..TAGS };

async fn requested(story: &Story, target: &str) {
    story.isr.invalidate_urls("www.example.com", &[target], Mode::Soft).await.unwrap();
    within(story.isr.idle()).await;
}

fn urls(urls: impl IntoIterator<Item = &'static str>) -> Purge {
    Purge { urls: urls.into_iter().map(str::to_owned).collect(), ..Purge::default() }
}

#[tokio::test(start_paused = true)]
async fn p29_a_strangers_request_never_purges_more_than_the_page_of_its_url() {
    for (limits, works) in
        [TAGS, URLS, NEITHER].into_iter().flat_map(|limits| [(limits, false), (limits, true)])
    {
        for rows in [100, 4] {
            let recording = RecordingConnector::with_limits(limits);
            let story = Story::behind(&recording, |builder| {
                let mut limits = prompt();
                limits.index_rows = rows;
                builder.limits(limits)
            });
            story.list(7).await;
            let _worker = if works { Some(story.worker().await) } else { None };
            requested(&story, "/login").await;
            let both = urls(["http://www.example.com/login", "https://www.example.com/login"]);
            let asked = if limits == URLS && rows == 4 { vec![both] } else { Vec::new() };
            assert_eq!(recording.seen(), asked, "nobody's page: {limits:?} {rows} {works}");
            requested(&story, "/pages/6").await;
            let seen = recording.seen().split_off(asked.len());
            let state = story.isr.graph().receipts(1)[0].purges()[0].1.clone();
            let case = format!("{limits:?} {rows} {works}");
            if limits == NEITHER {
                assert_eq!(seen, [], "{case}");
                assert!(matches!(state, PurgeState::Failed(why) if why.contains("neither")), "{case}");
                continue;
            }
            assert_eq!((seen.len(), seen[0].everything), (1, false), "{case}");
            if limits == URLS {
                assert!(seen[0].urls.contains(&"http://www.example.com/pages/6".to_owned()), "{case}");
                assert!(seen[0].urls.iter().all(|url| url.ends_with("/pages/6")), "{case}");
            } else {
                let own = Purge { tags: vec![tag("page", 6)], ..Purge::default() };
                assert_eq!(seen, [own], "of its tags the one that no other page has: {case}");
            }
            // One that knows no URLs may have another page of this one, which is in no list.
            let is_whole = limits == URLS || rows == 100;
            assert_eq!(state == PurgeState::Confirmed, is_whole, "{case}: {state:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p22_p29_a_page_that_has_other_tags_by_then_is_purged_by_those_it_had_when_the_request_came() {
    let recording = RecordingConnector::with_limits(TAGS);
    let story = Story::behind(&recording, |builder| builder);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    // Rendered anew it has one that no other page has either, and that caches in front never heard of.
    story.page.tags([Tag::named("comment")]);
    requested(&story, "/pages/1").await;
    let said: BTreeSet<Tag> = recording.seen().into_iter().flat_map(|purge| purge.tags).collect();
    assert!(said.contains(&tag("page", 1)), "{said:?}");
    assert!(recording.seen().iter().all(|purge| !purge.everything));
}

#[tokio::test(start_paused = true)]
async fn p22_p29_a_cache_that_knows_tags_alone_confirms_beside_one_that_knows_urls_alone() {
    let (by_url, by_tag) = (RecordingConnector::with_limits(URLS), RecordingConnector::with_limits(TAGS));
    let told = by_tag.clone();
    let story = Story::behind(&by_url, |builder| builder.connector(told));
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    requested(&story, "/pages/1").await;
    assert_eq!(by_url.seen(), [urls(["http://www.example.com/pages/1"])]);
    assert_eq!(by_tag.seen(), [Purge { tags: vec![tag("page", 1)], ..Purge::default() }]);
    let both = [confirmed(), confirmed()].concat();
    assert_eq!(story.isr.graph().receipts(1)[0].purges(), both, "the URL that one is told says nothing more");
}

#[tokio::test(start_paused = true)]
async fn p22_p29_with_a_worker_a_request_for_nobodys_page_does_not_wait_for_caches_in_front() {
    let recording = RecordingConnector::with_limits(URLS);
    let slow = Slow(recording.clone(), 2 * S);
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.index_rows = 4;
        builder.limits(limits).connector(slow)
    });
    story.list(7).await;
    for (works, waited) in [(false, 2 * S), (true, Duration::ZERO)] {
        let worker = if works { Some(story.worker().await) } else { None };
        let since = Instant::now();
        story.isr.invalidate_urls("www.example.com", &["/login"], Mode::Soft).await.unwrap();
        assert_eq!(since.elapsed(), waited, "with a worker: {works}");
        within(story.isr.idle()).await;
        let all = recording.seen();
        assert!(all.iter().flat_map(|purge| &purge.urls).all(|url| url.ends_with("/login")), "{all:?}");
        assert_eq!(all.len(), 1 + usize::from(works), "it is told all the same");
        drop(worker);
    }
}

#[tokio::test(start_paused = true)]
async fn p29_strangers_requests_for_any_number_of_urls_do_not_become_one_of_everything() {
    let recording = RecordingConnector::with_limits(TAGS);
    let story = Story::behind(&recording, |builder| builder);
    story.get("/pages/1").await;
    let _worker = story.worker().await;
    for n in 0..5_000 {
        story.isr.invalidate_urls("www.example.com", &[&*format!("/login/{n}")], Mode::Soft).await.unwrap();
    }
    within(story.isr.idle()).await;
    assert_eq!(recording.seen(), []);
    assert!(story.isr.health().is_good(), "{:?}", story.isr.health());
}

#[tokio::test(start_paused = true)]
async fn p22_what_the_application_invalidates_by_url_is_widened_for_caches_that_know_no_urls() {
    for limits in [TAGS, NEITHER] {
        let recording = RecordingConnector::with_limits(limits);
        let story = Story::behind(&recording, |builder| builder);
        story.get("/pages/1").await;
        let graph = story.isr.graph();
        let nothing = graph.by_url("/nobody", Mode::Soft).await.unwrap();
        // No list has the pages of an earlier life, which a cache in front may have.
        let everything = Purge { everything: true, ..Purge::default() };
        assert_eq!(
            (recording.seen(), nothing.purges()),
            (vec![everything.clone()], confirmed()),
            "{limits:?}"
        );
        let _worker = story.worker().await;
        // The worker does not run between these, so they are one.
        let asked = graph.by_url("http://www.example.com/pages/1", Mode::Soft).await.unwrap();
        requested(&story, "/pages/1").await;
        assert_eq!(recording.seen(), [everything.clone(), everything], "{limits:?}");
        assert_eq!(asked.purges(), confirmed());
    }
}

#[tokio::test(start_paused = true)]
async fn p22_a_page_that_lost_its_tag_before_the_invalidation_is_purged_by_its_url() {
    for works in [false, true] {
        let (recording, knows_tags) = (RecordingConnector::with_limits(URLS), RecordingConnector::default());
        let told = knows_tags.clone();
        let story = Story::behind(&recording, |builder| builder.connector(told));
        let _worker = if works { Some(story.worker().await) } else { None };
        story.list(2).await;
        // The post is taken off the list, the page grows old, a visitor comes; only then the application says so.
        story.page.tags([]);
        story.clock.advance(301 * S);
        story.get("/pages/1").await;
        until(|| story.page.renders() == 3).await;
        within(story.isr.idle()).await;
        let own = Purge { mode: Mode::Hard, ..urls(["http://www.example.com/pages/1"]) };
        assert_eq!((recording.seen(), knows_tags.seen()), (vec![own], vec![]), "{works}");
        story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
        within(story.isr.idle()).await;
        assert_eq!(recording.seen()[1..], [urls(["http://www.example.com/pages/0"])], "{works}");
    }
}

#[tokio::test(start_paused = true)]
async fn p22_x06_a_variant_that_is_listed_no_more_is_purged_by_its_url() {
    let recording = RecordingConnector::with_limits(URLS);
    let story = Story::with(Position::Inside, lasting().vary(["x-look"]), |builder| {
        let mut limits = prompt();
        (limits.variants_per_url, limits.store_bytes, limits.body_bytes) = (1, 256 << 10, 128 << 10);
        builder.limits(limits).connector(recording.clone())
    });
    story.page.answers(|version| html(format!("v{version}{}", " ".repeat(100 << 10))));
    let look = async |path: &str, look: &str| get_with(&story.site, path, &[("x-look", look)]).await;
    look("/pages/1", "a").await;
    // Until there is no room for it.
    for id in 2..20 {
        look(&format!("/pages/{id}"), "a").await;
    }
    assert_eq!(recording.seen(), [], "an eviction is no news: the page stays listed");
    story.page.tags([]);
    let other = look("/pages/1", "b").await;
    assert!(other.cache_status().contains(";stored"), "{}", other.cache_status());
    within(story.isr.idle()).await;
    // A cache in front may still have the one whose tags nobody remembers now.
    let own = Purge { mode: Mode::Hard, ..urls(["http://www.example.com/pages/1"]) };
    assert_eq!(recording.seen(), [own]);
}

#[tokio::test(start_paused = true)]
async fn p22_a_page_that_lost_its_tag_is_purged_though_a_killed_worker_left_its_run() {
    let recording = RecordingConnector::with_limits(URLS);
    let story = Story::behind(&recording, |builder| builder);
    let worker = story.worker().await;
    story.list(2).await;
    story.page.gated(true);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    within(story.page.gate().arrivals(2)).await;
    worker.abort();
    story.page.gated(false);
    story.page.gate().open(2);
    tokio::time::sleep(6 * S).await;
    let told = recording.seen().len();
    assert!(told > 0, "what is left of it is told after a while");
    story.page.tags([]);
    story.clock.advance(301 * S);
    story.get("/pages/1").await;
    until(|| recording.seen().len() > told).await;
    let own = Purge { mode: Mode::Hard, ..urls(["http://www.example.com/pages/1"]) };
    assert_eq!(recording.seen()[told..], [own]);
}

#[tokio::test(start_paused = true)]
async fn p22_the_second_purge_says_what_the_first_said_where_no_worker_runs() {
    let recording = RecordingConnector::with_limits(URLS);
    let story = Story::behind(&recording, |builder| builder);
    story.list(1).await;
    story.page.tags([]);
    story.isr.graph().expire_by_tags([Tag::named("list")]).await.unwrap();
    let own = Purge { mode: Mode::Hard, ..urls(["http://www.example.com/pages/0"]) };
    assert_eq!(recording.seen(), std::slice::from_ref(&own), "at once");
    story.get("/pages/0").await;
    tokio::time::sleep(S).await;
    assert_eq!(recording.seen().len(), 2, "for the tag that it lost");
    within(story.isr.idle()).await;
    assert_eq!(recording.seen(), [own.clone(), own.clone(), own], "and after the settle time");
}
