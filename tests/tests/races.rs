//! Renders race invalidations. The order is forced: a handler reads its data, then waits at a gate.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing;
use bytes::Bytes;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Mode, Reason, Receipt};
use edge_isr_core::clock::Clock;
use edge_isr_core::testing::{ManualClock, Twin};
use edge_isr_stories::*;
use futures_util::future::join_all;
use http::Method;

const MODES: [Mode; 2] = [Mode::Soft, Mode::Hard];
const DAY: Duration = Duration::from_secs(86_400);

/// What happens to the clock in the middle of a race.
type Jump = fn(&ManualClock);

const CALM: Jump = |_| {};

/// The violation of P1: data from before the invalidation, given out as if nothing had happened.
fn is_old_as_fresh(answer: &Answer) -> bool {
    answer.text() == "v1" && (answer.is_fresh_hit() || !answer.is_zero_downstream())
}

/// a render reads v1; v2 is committed and announced; the render ends. Was v1 ever given out as fresh?
async fn r01(story: &Story, mode: Mode, jump: Jump) -> bool {
    story.page.gated(true);
    let first = story.begun("/pages/1").await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    story.page.commit(2);
    jump(&story.clock);
    story.invalidate(1, mode).await;
    jump(&story.clock);
    story.page.gate().open(1);
    let first = first.await;
    let second = story.get("/pages/1").await;
    is_old_as_fresh(&first) || is_old_as_fresh(&second)
}

/// as R-01, with a tag that the handler adds only after it was invalidated.
async fn r02(story: &Story, mode: Mode, jump: Jump) -> bool {
    let late = || [tag("late", 1)];
    story.page.tags(late());
    story.page.gated(true);
    let first = story.begun("/pages/1").await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    story.page.commit(2);
    jump(&story.clock);
    let graph = story.isr.graph();
    let _: Receipt = match mode {
        Mode::Soft => graph.revalidate_by_tags(late()).await.unwrap(),
        Mode::Hard => graph.expire_by_tags(late()).await.unwrap(),
    };
    jump(&story.clock);
    story.page.gate().open(1);
    let first = first.await;
    let second = story.get("/pages/1").await;
    is_old_as_fresh(&first) || is_old_as_fresh(&second)
}

/// the render that races is the background refresh of a page that aged.
async fn r18(story: &Story, mode: Mode, jump: Jump) -> bool {
    let stored = story.get("/pages/1").await;
    assert_eq!(stored.text(), "v1");
    story.clock.advance(Duration::from_secs(301));
    story.page.gated(true);
    let aged = story.get("/pages/1").await;
    assert_eq!((aged.text(), &*aged.detail()), ("v1", "aged"), "{}", aged.cache_status());
    story.page.gate().arrival().await;
    story.page.gated(false);
    story.page.commit(2);
    jump(&story.clock);
    story.invalidate(1, mode).await;
    jump(&story.clock);
    story.page.gate().open(1);
    story.isr.idle().await;
    is_old_as_fresh(&story.get("/pages/1").await)
}

/// After a race everything settles on the new data.
async fn settles(story: &Story) -> bool {
    story.isr.idle().await;
    let answer = story.get("/pages/1").await;
    answer.text() == "v2" && answer.is_fresh_hit()
}

#[tokio::test]
async fn p01_r01_a_render_overtaken_by_an_invalidation_is_not_served_as_fresh() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            assert!(!r01(&story, mode, CALM).await, "{position:?} {mode:?}");
            assert!(settles(&story).await, "{position:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn p01_r01_must_fail_with_a_snapshot_taken_after_the_render() {
    for position in POSITIONS {
        let story = Story::with(position, lasting(), |builder| builder.twin(Twin::LateSnapshot));
        assert!(r01(&story, Mode::Soft, CALM).await, "{position:?}: the test can't tell");
        let story = Story::with(position, lasting(), |builder| builder.twin(Twin::LateSnapshot));
        assert!(r02(&story, Mode::Soft, CALM).await, "{position:?}: the test can't tell");
    }
}

#[tokio::test]
async fn p01_r01_without_a_stale_window_the_next_visitor_gets_the_new_page() {
    for position in POSITIONS {
        let story = Story::with(position, Policy::new(), |builder| builder);
        assert!(!r01(&story, Mode::Soft, CALM).await, "{position:?}");
        assert_eq!(story.page.renders(), 2);
        let next = story.get("/pages/1").await;
        assert!(next.text() == "v2" && next.is_fresh_hit(), "{position:?} {}", next.cache_status());
    }
}

#[tokio::test]
async fn p01_r01_holds_when_the_render_ends_minutes_later() {
    let minutes: Jump = |clock| clock.advance(Duration::from_secs(7 * 60));
    for mode in MODES {
        let story = Story::at(Position::Inside);
        assert!(!r01(&story, mode, minutes).await, "{mode:?}");
        assert!(settles(&story).await, "{mode:?}");
    }
}

#[tokio::test]
async fn p01_p03_r02_a_tag_found_after_its_invalidation_counts() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            assert!(!r02(&story, mode, CALM).await, "{position:?} {mode:?}");
            assert!(settles(&story).await, "{position:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn p01_r18_a_background_refresh_follows_the_same_rule() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            assert!(!r18(&story, mode, CALM).await, "{position:?} {mode:?}");
            assert!(settles(&story).await, "{position:?} {mode:?}");
        }
    }
    let story = Story::with(Position::Inside, lasting(), |builder| builder.twin(Twin::LateSnapshot));
    assert!(r18(&story, Mode::Soft, CALM).await, "the test can't tell");
}

#[tokio::test]
async fn p02_r24_the_time_of_day_changes_no_verdict() {
    let jumps: [Jump; 4] = [
        |clock| clock.set_wall(clock.wall() + DAY),
        |clock| clock.set_wall(clock.wall() - DAY),
        |clock| clock.set_wall(clock.wall() + Duration::from_secs(900)),
        |clock| clock.set_wall(std::time::UNIX_EPOCH),
    ];
    for (n, jump) in jumps.into_iter().enumerate() {
        for mode in MODES {
            let races =
                [Story::at(Position::Inside), Story::at(Position::Inside), Story::at(Position::Around)];
            assert!(!r01(&races[0], mode, jump).await, "jump {n} {mode:?}");
            assert!(!r02(&races[1], mode, jump).await, "jump {n} {mode:?}");
            assert!(!r18(&races[2], mode, jump).await, "jump {n} {mode:?}");
            for story in &races {
                assert!(settles(story).await, "jump {n} {mode:?}");
                jump(&story.clock);
                let kept = story.get("/pages/1").await;
                assert!(kept.is_fresh_hit(), "jump {n}: a fresh page stays fresh: {}", kept.cache_status());
            }
        }
    }
}

#[tokio::test]
async fn p03_a_tag_found_while_the_body_streams_counts() {
    for position in POSITIONS {
        for mode in MODES {
            let page = Page::default();
            let (isr, gate) = (Isr::builder().build().unwrap(), page.gate().clone());
            let data = page.clone();
            let stream = routing::get(move |isr: IsrContext| {
                let (data, gate) = (data.clone(), gate.clone());
                async move {
                    let version = data.version();
                    let body = futures_util::stream::once(async move {
                        if data.is_gated() {
                            gate.pass().await;
                        }
                        isr.add_tags([tag("late", 1)]);
                        Ok::<_, Infallible>(Bytes::from(format!("v{version}")))
                    });
                    ([("content-type", HTML)], Body::from_stream(body))
                }
            });
            let site = place(position, &isr, "/pages/{id}", lasting(), path_tag("page:{id}"), stream);
            page.gated(true);
            let visitor = site.clone();
            let first = begun(async move { get(&visitor, "/pages/1").await }).await;
            page.gate().arrival().await;
            page.gated(false);
            page.commit(2);
            match mode {
                Mode::Soft => isr.graph().revalidate_by_tags([tag("late", 1)]).await.unwrap(),
                Mode::Hard => isr.graph().expire_by_tags([tag("late", 1)]).await.unwrap(),
            };
            page.gate().open(1);
            assert!(!is_old_as_fresh(&first.await), "{position:?} {mode:?}");
            assert!(!is_old_as_fresh(&get(&site, "/pages/1").await), "{position:?} {mode:?}");
            isr.idle().await;
            let last = get(&site, "/pages/1").await;
            assert!(
                last.text() == "v2" && last.is_fresh_hit(),
                "{position:?} {mode:?} {}",
                last.cache_status()
            );
        }
    }
}

#[tokio::test]
async fn p03_a_tag_added_after_the_page_was_sealed_drops_it() {
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let kept = std::sync::Arc::new(std::sync::Mutex::new(IsrContext::default()));
        let keeper = std::sync::Arc::clone(&kept);
        let pages = routing::get(move |isr: IsrContext| {
            *keeper.lock().unwrap() = isr;
            async { html("page") }
        });
        let site = place(position, &isr, "/pages/{id}", lasting(), Tag::named("t"), pages);
        get(&site, "/pages/1").await;
        assert!(get(&site, "/pages/1").await.is_fresh_hit(), "{position:?}: it was stored");
        kept.lock().unwrap().clone().add_tags([tag("late", 1)]);
        let next = get(&site, "/pages/1").await;
        assert!(!next.is_hit(), "{position:?}: {}", next.cache_status());
        assert_eq!((isr.stats().renders, isr.stats().count(Reason::LateTag)), (2, 1), "{position:?}");
        assert_eq!(isr.health().notes[0].reason, Reason::LateTag);
        assert_eq!(isr.health().notes[0].subject, "/pages/{id}");
    }
}

fn with_receipt(path: &str, receipt: &Receipt) -> axum::extract::Request {
    let mut request = request(Method::GET, path);
    let cookie = receipt.cookie().to_str().unwrap().split(';').next().unwrap().parse().unwrap();
    request.headers_mut().insert("cookie", cookie);
    request
}

/// a slow render of v1 and, past it, a fast one of v2 that stores first. What the slow visitor got.
async fn r04(story: &Story, mode: Mode) -> Answer {
    story.page.gated(true);
    let slow = story.begun("/pages/1").await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    story.page.commit(2);
    let receipt = story.invalidate(1, mode).await;
    // The author's own request does not join the old flight, so it is past the slow one.
    let fast = send(&story.site, with_receipt("/pages/1", &receipt)).await;
    assert_eq!(fast.text(), "v2", "{}", fast.cache_status());
    story.page.gate().open(1);
    let slow = slow.await;
    story.isr.idle().await;
    slow
}

#[tokio::test]
async fn p04_r04_an_old_render_that_ends_last_does_not_replace_a_new_page() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            let slow = r04(&story, mode).await;
            assert!(!is_old_as_fresh(&slow), "{position:?} {mode:?}: {}", slow.cache_status());
            let next = story.get("/pages/1").await;
            assert!(
                next.text() == "v2" && next.is_fresh_hit(),
                "{position:?} {mode:?}: {}",
                next.cache_status()
            );
            assert_eq!(story.page.renders(), 2);
        }
    }
}

#[tokio::test]
async fn p04_r04_an_old_render_that_may_not_be_stored_does_not_remove_a_new_page() {
    for mode in MODES {
        let story = Story::at(Position::Inside);
        story.page.answers(|version| match version {
            1 => ([("cache-control", "private")], html("v1")).into_response(),
            _ => html(format!("v{version}")),
        });
        let slow = r04(&story, mode).await;
        assert_eq!((slow.text(), &*slow.detail()), ("v1", "private"));
        let next = story.get("/pages/1").await;
        assert!(next.text() == "v2" && next.is_fresh_hit(), "{mode:?}: {}", next.cache_status());
        // Nor does it keep the new page from being renewed.
        story.page.commit(3);
        story.invalidate(1, Mode::Soft).await;
        assert_eq!(story.get("/pages/1").await.detail(), "invalidated");
        story.isr.idle().await;
        assert_eq!(story.get("/pages/1").await.text(), "v3", "{mode:?}");
    }
}

#[tokio::test]
async fn p01_r05_after_two_invalidations_during_one_render_one_more_render_suffices() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            story.page.gated(true);
            let first = story.begun("/pages/1").await;
            story.page.gate().arrival().await;
            story.page.gated(false);
            story.page.commit(2);
            story.invalidate(1, mode).await;
            story.invalidate(1, mode).await;
            story.page.gate().open(1);
            assert!(!is_old_as_fresh(&first.await));
            assert!(!is_old_as_fresh(&story.get("/pages/1").await));
            assert!(settles(&story).await, "{position:?} {mode:?}");
            assert_eq!(story.page.renders(), 2, "{position:?} {mode:?}");
        }
    }
}

/// A flight is in the air when a hard invalidation comes. Does a visitor who comes later get its page?
async fn joins_overtaken(story: &Story) -> bool {
    story.page.gated(true);
    let first = story.begun("/pages/1").await;
    story.page.gate().arrival().await;
    story.page.commit(2);
    story.invalidate(1, Mode::Hard).await;
    let later = story.begun("/pages/1").await;
    // For both, and for what the first renders again.
    story.page.gate().open(3);
    let (_, later) = tokio::join!(first, later);
    later.text() == "v1"
}

#[tokio::test]
async fn p01_p09_a_visitor_after_a_hard_invalidation_does_not_join_the_flight_before_it() {
    for position in POSITIONS {
        assert!(!joins_overtaken(&Story::at(position)).await, "{position:?}");
        let twin = Story::with(position, lasting(), |builder| builder.twin(Twin::JoinOvertaken));
        assert!(joins_overtaken(&twin).await, "{position:?}: the test can't tell");
    }
}

#[tokio::test]
async fn p01_p09_a_follower_of_a_flight_that_a_late_tag_killed_gets_a_new_page() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.page.tags([tag("late", 1)]);
        story.page.gated(true);
        let leader = story.begun("/pages/1").await;
        story.page.gate().arrival().await;
        // Not known to concern this flight until it has landed, so this one joins.
        let follower = story.begun("/pages/1").await;
        story.page.gated(false);
        story.page.commit(2);
        story.isr.graph().expire_by_tags([tag("late", 1)]).await.unwrap();
        story.page.gate().open(1);
        let (leader, follower) = tokio::join!(leader, follower);
        assert_eq!((leader.text(), follower.text()), ("v2", "v2"), "{position:?}");
        assert_eq!(story.page.renders(), 2, "{position:?}: the second render is shared too");
    }
}

#[tokio::test]
async fn p01_r21_of_1000_renders_in_flight_none_is_fresh_after_everything_was_invalidated() {
    for mode in MODES {
        let story = Story::at(Position::Around);
        story.page.gated(true);
        let paths: Vec<String> = (0..1000).map(|n| format!("/pages/{n}")).collect();
        let mut visitors = Vec::new();
        for path in &paths {
            visitors.push(story.begun(path).await);
        }
        story.page.gate().arrivals(1000).await;
        story.page.gated(false);
        story.page.commit(2);
        story.isr.graph().all(mode).await.unwrap();
        story.page.gate().open(1000);
        let answers = within(join_all(visitors)).await;
        assert!(!answers.iter().any(is_old_as_fresh));
        let mut again = Vec::new();
        for path in &paths {
            again.push(story.get(path).await);
        }
        let stale = again.iter().filter(|answer| answer.detail() == "invalidated").count();
        let fresh = again.iter().filter(|answer| answer.is_fresh_hit() && answer.text() == "v2").count();
        match mode {
            Mode::Soft => assert_eq!((stale, fresh), (1000, 0)),
            Mode::Hard => assert_eq!((stale, fresh), (0, 1000)),
        }
        story.isr.idle().await;
        for path in &paths {
            let last = story.get(path).await;
            assert!(last.is_fresh_hit() && last.text() == "v2", "{path}: {}", last.cache_status());
        }
        assert_eq!(story.page.renders(), 2000, "{mode:?}");
    }
}

#[tokio::test]
async fn p04_p15_a_mark_that_was_forgotten_for_want_of_room_still_counts() {
    for mode in MODES {
        let story = Story::with(Position::Inside, lasting(), |builder| {
            let mut limits = edge_isr_axum::Limits::default();
            limits.marks = 64;
            builder.limits(limits)
        });
        story.page.gated(true);
        let first = story.begun("/pages/1").await;
        story.page.gate().arrival().await;
        story.page.gated(false);
        story.page.commit(2);
        story.invalidate(1, mode).await;
        for n in 0..20_000 {
            story.isr.graph().revalidate_by_tags([tag("other", n)]).await.unwrap();
            story.isr.graph().expire_by_tags([tag("another", n)]).await.unwrap();
        }
        story.page.gate().open(1);
        assert!(!is_old_as_fresh(&first.await), "{mode:?}");
        assert!(!is_old_as_fresh(&story.get("/pages/1").await), "{mode:?}");
        assert!(settles(&story).await, "{mode:?}");
    }
}

/// An invalidation of `page:1` in a thread of its own, which stops at each step that others may come in before.
struct Stepped {
    go: std::sync::mpsc::Sender<()>,
    stopped: std::sync::mpsc::Receiver<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Stepped {
    /// Its number is taken; its mark is not written.
    fn begin(isr: &Isr) -> Self {
        use std::cell::RefCell;
        use std::sync::mpsc::{Receiver, Sender, channel};
        thread_local! {
            static STOPS: RefCell<Option<(Sender<()>, Receiver<()>)>> = const { RefCell::new(None) };
        }
        let ((go, gone), (stop, stopped), graph) = (channel(), channel(), isr.graph());
        let thread = std::thread::spawn(move || {
            STOPS.set(Some((stop, gone)));
            edge_isr_core::testing::between_steps(Some(|| {
                STOPS.with_borrow(|stops| {
                    let (stop, gone) = stops.as_ref().unwrap();
                    let _ = stop.send(());
                    // At its end the test lets go.
                    let _ = gone.recv();
                });
            }));
            let mut invalidated = std::pin::pin!(graph.revalidate_by_tags([tag("page", 1)]));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(invalidated.as_mut().poll(&mut cx).is_ready(), "it waits for nothing");
        });
        stopped.recv().unwrap();
        Self { go, stopped, thread }
    }

    /// Its mark is written, and nobody was told to look at marks.
    fn write(&self) {
        self.go.send(()).unwrap();
        self.stopped.recv().unwrap();
    }

    fn end(self) {
        drop(self.go);
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn p11_between_a_mark_and_its_acknowledgement_those_who_wait_share_one_render() {
    for position in POSITIONS {
        let story = Story::with(position, Policy::new(), |builder| builder);
        story.page.gated(true);
        let leader = story.begun("/pages/1").await;
        story.page.gate().arrival().await;
        story.page.commit(2);
        let invalidation = Stepped::begin(&story.isr);
        let mut visitors = Vec::new();
        for _ in 0..3 {
            visitors.push(story.begun("/pages/1").await);
        }
        story.page.gated(false);
        story.page.gate().open(1);
        // Its page is found harmless, and remembers that.
        assert!(leader.await.text() == "v1", "{position:?}");
        invalidation.write();
        for answer in within(join_all(visitors)).await {
            assert_eq!(answer.text(), "v2", "{position:?}: they came after the commit");
        }
        assert_eq!(story.page.renders(), 2, "{position:?}");
        invalidation.end();
    }
}

/// Threads that write and read as they like. How many answers that a cache may keep were older than what was
/// acknowledged before they were asked for, and how many answers were fresh hits.
async fn storm(twin: Option<Twin>) -> (usize, usize) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
    let builder = Isr::builder();
    let isr = if let Some(twin) = twin { builder.twin(twin) } else { builder }.build().unwrap();
    let counter = |start| Arc::new(AtomicU64::new(start));
    let (data, acknowledged, answered, over) =
        (counter(1), counter(0), counter(0), Arc::new(AtomicBool::new(false)));
    let read = Arc::clone(&data);
    let pages = routing::get(move |isr: IsrContext| {
        let read = Arc::clone(&read);
        async move {
            let version = read.load(SeqCst);
            for _ in 0..version % 5 {
                tokio::task::yield_now().await;
            }
            isr.add_tags([tag("late", version % 3)]);
            html(version.to_string())
        }
    });
    let site = place(Position::Around, &isr, "/pages/{id}", lasting(), path_tag("page:{id}"), pages);
    let readers: Vec<_> = (0..6)
        .map(|_| {
            let (site, over) = (site.clone(), Arc::clone(&over));
            let (acknowledged, answered) = (Arc::clone(&acknowledged), Arc::clone(&answered));
            tokio::spawn(async move {
                let (mut old, mut hits) = (0, 0);
                while !over.load(SeqCst) {
                    let owed = acknowledged.load(SeqCst);
                    let answer = get(&site, "/pages/1").await;
                    let version: u64 = answer.text().parse().unwrap();
                    old += usize::from(version < owed && !answer.is_zero_downstream());
                    hits += usize::from(answer.is_fresh_hit());
                    answered.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                }
                (old, hits)
            })
        })
        .collect();
    for version in 2..300 {
        data.store(version, SeqCst);
        let graph = isr.graph();
        match version % 4 {
            0 => graph.revalidate_by_tags((0..3).map(|n| tag("late", n))).await,
            1 => graph.expire_by_tags([tag("page", 1)]).await,
            2 => graph.by_url("/pages/1", Mode::Soft).await,
            _ => graph.all(Mode::Soft).await,
        }
        .unwrap();
        acknowledged.store(version, SeqCst);
        // The readers keep pace: none, or a few answers, between two writes.
        let enough = answered.load(SeqCst) + version % 7;
        until(|| answered.load(SeqCst) >= enough).await;
    }
    over.store(true, SeqCst);
    let counts = within(join_all(readers)).await;
    counts.into_iter().map(Result::unwrap).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p01_p10_in_a_storm_of_renders_and_invalidations_nothing_old_leaves_as_fresh() {
    let (old, hits) = storm(None).await;
    assert_eq!(old, 0);
    assert!(hits > 20, "{hits} fresh hits: it was no storm");
    for twin in [Twin::LateSnapshot, Twin::FreshDownstream] {
        let (old, _) = storm(Some(twin)).await;
        assert!(old > 0, "{twin:?}: the test can't tell");
    }
}
