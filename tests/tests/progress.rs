//! A receipt tells how far its invalidation has come: marked, rendered n of m, purged.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{Mode, Stage};
use edge_isr_core::testing::RecordingConnector;
use edge_isr_stories::*;
use futures_util::FutureExt;

const S: Duration = Duration::from_secs(1);

async fn listed(story: &Story, pages: u64) -> Tag {
    let list = Tag::named("list");
    story.page.tags([list.clone()]);
    for id in 0..pages {
        story.get(&format!("/pages/{id}")).await;
    }
    list
}

#[tokio::test]
async fn p06_a_receipt_counts_page_by_page_and_who_waits_for_a_stage_is_told() {
    let story = Story::at(Position::Inside);
    let list = listed(&story, 5).await;
    let _worker = story.worker().await;
    story.page.gated(true);
    let receipt = story.isr.graph().revalidate_by_tags([list]).await.unwrap();
    assert_eq!((receipt.progress().stage(), receipt.progress().pages), (Stage::Marked, None));
    story.page.gate().arrivals(5).await;
    let waiting = {
        let receipt = receipt.clone();
        begun(async move { receipt.wait(Stage::Rendered, 30 * S).await }).await
    };
    for done in 1..=5 {
        assert_eq!((receipt.progress().pages, receipt.progress().rendered), (Some(5), done - 1));
        assert_eq!(receipt.progress().stage(), Stage::Marked);
        story.page.gate().open(1);
        until(|| receipt.progress().rendered == done).await;
    }
    let progress = within(waiting).await;
    assert_eq!((progress.rendered, progress.left), (5, 0));
    assert!(progress.has_reached(Stage::Rendered));
    let again = receipt.wait(Stage::Rendered, Duration::ZERO).now_or_never();
    assert!(again.is_some(), "who comes late waits for nothing");
}

#[tokio::test]
async fn p06_a_page_that_a_visitor_had_rendered_before_its_turn_is_no_page_to_be_rendered() {
    const PAGES: u64 = 300;
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.worker_renders = 1;
        builder.limits(limits)
    });
    let list = listed(&story, PAGES).await;
    // The first is visited least, and comes when there is room for the last in the queue.
    for id in 1..PAGES {
        story.get(&format!("/pages/{id}")).await;
    }
    let _worker = story.worker().await;
    story.page.gated(true);
    let receipt = story.isr.graph().revalidate_by_tags([list]).await.unwrap();
    story.page.gate().arrival().await;
    story.page.gated(false);
    assert_eq!(receipt.progress().pages, Some(PAGES as usize));
    assert_eq!(story.get("/pages/0").await.detail(), "invalidated");
    until(|| story.isr.stats().stored == PAGES + 1).await;
    assert!(story.get("/pages/0").await.is_fresh_hit());
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    let progress = receipt.progress();
    assert_eq!((progress.pages, progress.rendered, progress.left), (Some(299), 299, 0));
    assert_eq!(story.page.renders() as u64, 2 * PAGES);
}

#[tokio::test(start_paused = true)]
async fn p06_a_wait_ends_with_its_time_and_pages_that_fail_are_counted_as_left() {
    let story = Story::at(Position::Around);
    let list = listed(&story, 4).await;
    let _worker = story.worker().await;
    story.page.answers(|version| if version == 2 { panic!("a bug") } else { html(format!("v{version}")) });
    story.page.commit(2);
    let receipt = story.isr.graph().revalidate_by_tags([list]).await.unwrap();
    let since = tokio::time::Instant::now();
    let progress = receipt.wait(Stage::Rendered, 3 * S).await;
    assert_eq!((since.elapsed(), progress.stage()), (3 * S, Stage::Marked));
    story.pass(200 * S, S).await;
    let progress = receipt.progress();
    assert_eq!((progress.pages, progress.rendered, progress.left), (Some(4), 0, 4));
    assert!(progress.has_reached(Stage::Rendered), "nobody is at work on it any more");
    // The next invalidation brings the dead back.
    assert_eq!(story.isr.dead_letters(9).await.len(), 4);
    story.page.commit(3);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    within(story.isr.idle()).await;
    assert_eq!(story.isr.dead_letters(9).await.len(), 0);
    for id in 0..4 {
        assert_eq!(story.get(&format!("/pages/{id}")).await.text(), "v3");
    }
}

#[tokio::test(start_paused = true)]
async fn p06_where_there_is_no_page_nobody_waits_for_its_render() {
    let story = Story::at(Position::Inside);
    let _worker = story.worker().await;
    for url in ["/pages/1", "/nowhere"] {
        let receipt = story.isr.graph().by_url(url, Mode::Soft).await.unwrap();
        let since = tokio::time::Instant::now();
        let progress = receipt.wait(Stage::Rendered, 30 * S).await;
        assert_eq!((progress.pages, since.elapsed() < S), (Some(0), true), "{url}");
    }
}

#[tokio::test]
async fn p06_invalidations_of_the_same_that_wait_together_share_their_progress_and_are_listed_apart() {
    let story = Story::at(Position::Inside);
    let list = listed(&story, 3).await;
    let _worker = story.worker().await;
    let graph = story.isr.graph();
    // The worker does not run between these.
    let one = graph.revalidate_by_tags([list.clone()]).await.unwrap();
    let two = graph.revalidate_by_tags([list]).await.unwrap();
    within(story.isr.idle()).await;
    for receipt in [&one, &two] {
        assert_eq!((receipt.progress().pages, receipt.progress().rendered), (Some(3), 3));
    }
    assert_eq!(story.page.renders(), 6);
    let seqs: Vec<u64> = graph.receipts(9).iter().map(|receipt| receipt.seq()).collect();
    assert_eq!(seqs, [two.seq(), one.seq()]);
    assert_eq!(graph.receipt(one.seq()).unwrap().seq(), one.seq());
    assert!(graph.receipt(two.seq() + 1).is_none());
}

#[tokio::test(start_paused = true)]
async fn p21_at_shutdown_receipts_settle_and_caches_in_front_are_told_of_what_is_left() {
    let recording = RecordingConnector::default();
    let connector = recording.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.worker_renders = 2;
        builder.limits(limits).connector(connector)
    });
    let list = listed(&story, 10).await;
    let worker = story.worker().await;
    story.page.gated(true);
    let receipt = story.isr.graph().revalidate_by_tags([list.clone()]).await.unwrap();
    story.page.gate().arrivals(2).await;
    let late = story.invalidate(9, Mode::Soft).await;
    let isr = story.isr.clone();
    let shutdown = begun(async move { isr.shutdown(30 * S).await }).await;
    assert!(recording.seen().is_empty());
    story.page.gate().open(2);
    within(shutdown).await;
    within(worker).await.unwrap();
    let progress = receipt.progress();
    assert_eq!((progress.pages, progress.rendered, progress.left), (Some(10), 2, 8));
    assert_eq!(progress.stage(), Stage::Purged);
    assert_eq!(late.progress().stage(), Stage::Purged, "also one that nobody had taken up");
    let told: Vec<Tag> = recording.seen().into_iter().flat_map(|purge| purge.tags).collect();
    assert!(told.contains(&list) && told.contains(&tag("page", 9)), "{told:?}");
    assert_eq!(story.page.renders(), 12, "no render began after it");
}

#[tokio::test(start_paused = true)]
async fn p07_p22_a_hard_invalidation_is_purged_when_its_second_purge_is_and_one_of_nothing_at_once() {
    let cache = RecordingConnector::default();
    let told = cache.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| builder.connector(told));
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.gated(true);
    let receipt = story.invalidate(1, Mode::Hard).await;
    assert_eq!((receipt.progress().stage(), cache.seen().len()), (Stage::Marked, 1));
    story.page.gate().arrival().await;
    story.page.gate().open(1);
    let purged = receipt.wait(Stage::Purged, 60 * S).await;
    assert_eq!((purged.stage(), purged.rendered, cache.seen().len()), (Stage::Purged, 1, 2));
    let nothing = story.isr.graph().expire_by_tags([]).await.unwrap();
    assert_eq!((nothing.progress().stage(), cache.seen().len()), (Stage::Purged, 2));
}
