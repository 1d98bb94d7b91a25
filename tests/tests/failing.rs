//! Pages that fail or hang cost few renders, and neither their last good page nor anybody else's turn.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::routing;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{IsrContext, Mode, Reason, Stage};
use edge_isr_core::clock::{Clock, Moment};
use edge_isr_core::queue::{MemoryQueue, Queue};
use edge_isr_core::testing::{Faults, Faulty};
use edge_isr_stories::*;
use tokio::task::JoinHandle;

const S: Duration = Duration::from_secs(1);

/// A page of which new data was announced, and whose first render of it failed; the next will not.
async fn failed_once(position: Position) -> (Story, JoinHandle<()>) {
    let story = Story::at(position);
    let worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.commit(2);
    story.page.answers(fails);
    story.invalidate(1, Mode::Soft).await;
    until(|| story.isr.stats().count(Reason::RefillFailed) == 1).await;
    story.page.answers(|version| html(format!("v{version}")));
    (story, worker)
}

#[tokio::test(start_paused = true)]
async fn p06_an_application_that_hangs_costs_one_job_and_not_the_worker() {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.render_timeout = S;
        builder.limits(limits)
    });
    let hangs = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (is_hanging, inner) = (Arc::clone(&hangs), story.site.clone());
    let outer = site(tower::service_fn(move |request: axum::extract::Request| {
        let (is_hanging, inner) = (is_hanging.load(std::sync::atomic::Ordering::SeqCst), inner.clone());
        async move {
            if is_hanging {
                std::future::pending::<()>().await;
            }
            tower::ServiceExt::oneshot(inner, request).await
        }
    }));
    let worker = tokio::spawn(begun(story.isr.worker(outer)).await);
    story.get("/pages/1").await;
    story.page.commit(2);
    story.invalidate(1, Mode::Soft).await;
    for attempt in 1..=5 {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(story.isr.stats().count(Reason::RefillFailed), attempt - 1);
        tokio::time::advance(2 * S).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(story.isr.stats().count(Reason::RefillFailed), attempt);
        story.clock.advance(60 * S);
        tokio::time::advance(S).await;
    }
    within(story.isr.idle()).await;
    assert!(!worker.is_finished() && story.page.renders() == 1);
    hangs.store(false, std::sync::atomic::Ordering::SeqCst);
    story.invalidate(1, Mode::Soft).await;
    within(story.isr.idle()).await;
    assert!(story.is_fresh("/pages/1", "v2").await);
}

#[tokio::test(start_paused = true)]
async fn p02_p06_a_time_of_day_that_steps_back_holds_no_retry() {
    let (story, _worker) = failed_once(Position::Inside).await;
    story.clock.advance(2 * S);
    story.clock.set_wall(std::time::UNIX_EPOCH);
    within(story.isr.idle()).await;
    assert!(story.is_fresh("/pages/1", "v2").await);
}

#[tokio::test(start_paused = true)]
async fn p06_a_render_that_fails_is_tried_again_and_the_last_good_page_is_kept_meanwhile() {
    for position in POSITIONS {
        let (story, _worker) = failed_once(position).await;
        assert_eq!(story.page.renders(), 2, "{position:?}");
        story.clock.advance(2 * S);
        within(story.isr.idle()).await;
        assert!(story.is_fresh("/pages/1", "v2").await, "{position:?}");
        assert_eq!(story.page.renders(), 3, "{position:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p06_a_render_that_always_fails_is_given_up_and_left_to_the_next_visitor() {
    for panics in [false, true] {
        let story = Story::at(Position::Inside);
        let worker = story.worker().await;
        story.get("/pages/1").await;
        story.page.commit(2);
        story.page.answers(move |version| if panics { panic!("told to") } else { fails(version) });
        story.invalidate(1, Mode::Soft).await;
        for attempt in 1..=5 {
            until(|| story.isr.stats().count(Reason::RefillFailed) == attempt).await;
            story.clock.advance(60 * S);
            tokio::time::advance(S).await;
        }
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders(), 6);
        let [dead] = &story.isr.dead_letters(9).await[..] else { panic!("one job was given up") };
        assert_eq!((dead.job.key.path(), dead.attempts, dead.reason), ("/pages/1", 5, Reason::RefillFailed));
        let health = story.isr.health();
        assert!(
            health
                .notes
                .iter()
                .any(|note| note.reason == Reason::RefillFailed && note.subject == "/pages/{id}")
        );
        assert!(!worker.is_finished(), "the worker goes on");
        story.page.answers(|version| html(format!("v{version}")));
        let stale = story.get("/pages/1").await;
        assert_eq!((stale.text(), &*stale.detail()), ("v1", "invalidated"));
        story.isr.idle().await;
        assert!(story.is_fresh("/pages/1", "v2").await);
        story.page.commit(3);
        story.invalidate(1, Mode::Soft).await;
        within(story.isr.idle()).await;
        assert!(story.is_fresh("/pages/1", "v3").await, "and so does the page");
    }
}

#[tokio::test(start_paused = true)]
async fn p20_p06_edits_that_come_while_a_page_keeps_failing_leave_no_run_behind_that_waits_for_it() {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.job_attempts = 1;
        builder.limits(limits)
    });
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.answers(fails);
    story.page.gated(true);
    let mut owed = story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    // More of them than are under way at once.
    for edit in 0..300 {
        let next = story.invalidate(1, Mode::Soft).await;
        tokio::time::sleep(S / 10).await;
        assert_eq!(next.progress().pages, Some(1), "{edit}: the queue has it, while the page is rendered");
        story.page.gate().open(1);
        story.page.gate().arrival().await;
        let progress = owed.progress();
        assert_eq!((progress.pages, progress.rendered, progress.left), (Some(1), 0, 1), "{edit}");
        assert_eq!(story.isr.dead_letters(9).await.len(), 0, "{edit}: and is tried for the later one");
        assert_eq!(next.progress().left, 0, "{edit}");
        owed = next;
    }
    story.page.answers(|version| html(format!("v{version}")));
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    assert_eq!((owed.progress().rendered, owed.progress().left), (1, 0));
    assert!(story.is_fresh("/pages/1", "v1").await);
}

#[tokio::test(start_paused = true)]
async fn p20_p06_many_edits_of_one_page_that_hangs_keep_no_other_page_waiting() {
    const EDITS: usize = 300;
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.tags_per_page = EDITS + 1;
        builder.limits(limits)
    });
    let _worker = story.worker().await;
    let tags: Vec<Tag> = (0..EDITS).map(|n| Tag::named(&format!("part-{n}"))).collect();
    story.page.tags(tags.clone());
    story.get("/pages/1").await;
    story.page.tags([]);
    story.get("/pages/2").await;
    story.page.gated(true);
    story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    let mut receipts = Vec::new();
    for tag in &tags {
        let tag = tag.clone();
        receipts.push(story.isr.graph().revalidate_by_tags([tag]).await.unwrap());
        tokio::time::sleep(S / 50).await;
    }
    let other = story.invalidate(2, Mode::Soft).await;
    assert_eq!(other.wait(Stage::Rendered, 5 * S).await.rendered, 1);
    let hang = |receipt: &Receipt| (receipt.progress().pages, receipt.progress().rendered) == (Some(1), 0);
    assert!(receipts.iter().all(hang), "each of them waits for the page");
    story.page.tags(tags);
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    assert!(receipts.iter().all(|receipt| receipt.progress().rendered == 1));
    assert_eq!(story.page.renders(), 5, "once more for all of them");
}

#[tokio::test(start_paused = true)]
async fn p06_pages_that_fail_together_are_tried_again_later_each_time_and_not_together() {
    const PAGES: usize = 8;
    let story = Story::at(Position::Inside);
    let tries: Arc<Mutex<HashMap<u64, Vec<Moment>>>> = Arc::default();
    let (noted, page, clock) = (Arc::clone(&tries), story.page.clone(), story.clock.clone());
    let pages = routing::get(move |Path(id): Path<u64>, isr: IsrContext| {
        noted.lock().unwrap().entry(id).or_default().push(clock.now());
        isr.add_tags([Tag::named("list")]);
        let version = page.version();
        async move { if version == 1 { html("v1") } else { fails(version) } }
    });
    let site = place(Position::Inside, &story.isr, "/pages/{id}", lasting(), path_tag("page:{id}"), pages);
    let _worker = tokio::spawn(begun(story.isr.worker(site.clone())).await);
    for id in 0..PAGES {
        get(&site, &format!("/pages/{id}")).await;
    }
    tries.lock().unwrap().clear();
    story.page.commit(2);
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    story.pass(40 * S, S / 100).await;
    assert_eq!(receipt.progress().left, PAGES, "all were given up");
    let tries = tries.lock().unwrap();
    for retry in 0..4 {
        let delays = tries.values().map(|at| at[retry + 1].since(at[retry]));
        let delays: BTreeSet<Duration> = delays.collect();
        let least = S * (1 << retry);
        // It is noticed at the next step.
        assert!(
            delays.iter().all(|delay| (least..=2 * least + S / 20).contains(delay)),
            "{retry}: {delays:?}"
        );
        assert!(delays.len() > 1, "{retry}: {delays:?}");
    }
    assert!(tries.len() == PAGES && tries.values().all(|at| at.len() == 5), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn p21_p06_a_job_that_waits_for_its_turn_at_a_shutdown_has_not_failed() {
    let queue = Faulty::new(MemoryQueue::new(100), Faults::none());
    let given = queue.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        (limits.renders, limits.job_attempts) = (1, 1);
        builder.limits(limits).queue(given)
    });
    let worker = story.worker().await;
    story.get("/pages/1").await;
    story.page.gated(true);
    let visitor = tokio::spawn(story.begun("/pages/2").await);
    story.page.gate().arrival().await;
    story.invalidate(1, Mode::Soft).await;
    // The one place is a visitor's.
    tokio::time::sleep(S).await;
    assert!(
        queue.backend().claim(9, S, story.clock.now()).await.unwrap().is_empty(),
        "the worker has the job"
    );
    let isr = story.isr.clone();
    let shutdown = begun(async move { isr.shutdown(30 * S).await }).await;
    story.page.gate().open(1);
    within(shutdown).await;
    within(worker).await.unwrap();
    assert_eq!((within(visitor).await.unwrap().text(), story.page.renders()), ("v1", 2));
    let [claim] = &queue.backend().claim(9, S, story.clock.now()).await.unwrap()[..] else {
        panic!("it was lost")
    };
    assert_eq!((claim.job.key.path(), claim.attempts), ("/pages/1", 0));
    assert_eq!(story.isr.stats().count(Reason::RefillFailed), 0);
    assert!(story.isr.dead_letters(9).await.is_empty());
}
