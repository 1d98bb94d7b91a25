//! Invalidated pages are rendered before anyone asks, and the last edit is never lost.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Mode, Reason};
use edge_isr_core::queue::MemoryQueue;
use edge_isr_core::testing::{Faults, Faulty, ManualClock};
use edge_isr_stories::*;
use futures_util::FutureExt;

const MODES: [Mode; 2] = [Mode::Soft, Mode::Hard];
const S: Duration = Duration::from_secs(1);

#[tokio::test]
async fn p06_the_last_of_a_burst_leads_to_a_render_at_or_after_it() {
    for position in POSITIONS {
        for mode in MODES {
            for pauses in [false, true] {
                let story = Story::at(position);
                let _worker = story.worker().await;
                story.get("/pages/1").await;
                for version in 2..102 {
                    story.page.commit(version);
                    story.invalidate(1, mode).await;
                    for _ in 0..if pauses { version % 7 } else { 0 } {
                        tokio::task::yield_now().await;
                    }
                }
                within(story.isr.idle()).await;
                assert!(story.is_fresh("/pages/1", "v101").await, "{position:?} {mode:?} {pauses}");
                let renders = story.page.renders();
                assert!((2..=101).contains(&renders), "{renders}");
                assert!(pauses || renders < 10, "{position:?} {mode:?}: {renders} renders were not merged");
            }
        }
    }
}

#[tokio::test]
async fn p06_an_invalidation_that_comes_while_its_page_is_rendered_leads_to_another_render() {
    for position in POSITIONS {
        for mode in MODES {
            let story = Story::at(position);
            let _worker = story.worker().await;
            story.get("/pages/1").await;
            story.page.gated(true);
            story.page.commit(2);
            story.invalidate(1, mode).await;
            story.page.gate().arrival().await;
            story.page.commit(3);
            story.invalidate(1, mode).await;
            story.page.gate().open(1);
            story.page.gate().arrival().await;
            story.page.gate().open(1);
            within(story.isr.idle()).await;
            assert!(story.is_fresh("/pages/1", "v3").await, "{position:?} {mode:?}");
            assert_eq!(story.page.renders(), 3);
        }
    }
}

#[tokio::test]
async fn p06_by_path_host_route_and_everything_the_worker_finds_the_pages() {
    let story = Story::at(Position::Inside);
    let _worker = story.worker().await;
    for id in 0..300 {
        story.get(&format!("/pages/{id}")).await;
    }
    let graph = story.isr.graph();
    for (n, mode) in (2..).zip([Mode::Soft, Mode::Hard, Mode::Soft, Mode::Hard, Mode::Soft]) {
        story.page.commit(n);
        match n {
            2 => graph.by_prefix("/pages", mode).await,
            3 => graph.by_host("www.example.com", mode).await,
            4 => graph.by_route("/pages/{id}", mode).await,
            5 => graph.all(mode).await,
            _ => graph.revalidate_by_tags([Tag::named("page")]).await,
        }
        .unwrap();
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders() as u64, 300 * n, "{n}");
        for id in 0..300 {
            assert!(story.is_fresh(&format!("/pages/{id}"), &format!("v{n}")).await, "{n} {id}");
        }
    }
}

#[tokio::test]
async fn p06_more_invalidations_than_wait_for_a_worker_lose_no_page() {
    for distinct in [50, 5_000] {
        let story = Story::at(Position::Inside);
        let _worker = story.worker().await;
        let ids = || (0..distinct).step_by(distinct as usize / 50);
        for id in ids() {
            story.get(&format!("/pages/{id}")).await;
        }
        story.page.commit(2);
        // The worker does not run between these.
        for n in 0..5_000 {
            story.invalidate(n % distinct, Mode::Soft).await;
        }
        within(story.isr.idle()).await;
        for id in ids() {
            assert!(story.is_fresh(&format!("/pages/{id}"), "v2").await, "{distinct} {id}");
        }
        assert_eq!(story.page.renders(), 100, "{distinct}: each once");
    }
}

#[tokio::test]
async fn p06_p15_invalidations_that_nobody_carries_render_nothing_however_many_there_are() {
    for aged in [false, true] {
        let story = Story::at(Position::Inside);
        for id in 0..50 {
            story.get(&format!("/pages/{id}")).await;
        }
        let _worker = story.worker().await;
        if aged {
            story.clock.advance(400 * S);
        }
        for n in 0..5_000 {
            story.invalidate(1_000 + n, Mode::Soft).await;
        }
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders(), 50, "{aged}");
    }
}

#[tokio::test]
async fn p15_a_url_that_is_nobodys_page_gives_a_worker_nothing_to_do() {
    let story = Story::at(Position::Inside);
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    let is_idle = || story.isr.idle().now_or_never().is_some();
    story.isr.graph().by_url("/subscribe", Mode::Hard).await.unwrap();
    assert!(is_idle());
    story.isr.graph().by_url("/pages/1", Mode::Hard).await.unwrap();
    assert!(!is_idle(), "and one that is a page gives it a render");
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 2);
}

#[tokio::test]
async fn p06_a_page_that_is_gone_is_left_to_its_next_visitor() {
    let story = Story::at(Position::Inside);
    story.get("/pages/1").await;
    story.invalidate(1, Mode::Hard).await;
    story.page.answers(fails);
    story.get("/pages/1").await;
    story.page.answers(|version| html(format!("v{version}")));
    let listed = story.isr.graph().urls_for(&tag("page", 1), None, 10).await.unwrap();
    assert_eq!((listed.urls.len(), story.isr.stats().pages), (1, 0), "it is still in the lists");
    let _worker = story.worker().await;
    story.invalidate(1, Mode::Soft).await;
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 2);
    story.get("/pages/1").await;
    assert!(story.is_fresh("/pages/1", "v1").await);
}

#[test]
fn p15_a_worker_that_has_all_it_takes_leaves_the_thread_to_others() {
    let (done, is_done) = std::sync::mpsc::channel();
    // On a thread of its own: a worker that spins lets nothing else on its runtime end the test.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let story = Story::at(Position::Inside);
            let _worker = story.worker().await;
            for id in 0..260 {
                story.page.tags([Tag::named(if id < 200 { "one" } else { "two" })]);
                story.get(&format!("/pages/{id}")).await;
            }
            story.page.commit(2);
            story.page.gated(true);
            // More pages than are listed at a time wait, none is being listed, and another sweep is queued.
            for name in ["one", "two", "three"] {
                story.isr.graph().revalidate_by_tags([Tag::named(name)]).await.unwrap();
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
            // Those that were being rendered come to carry `two`, and may want another render for it.
            story.page.gate().open(600);
            within(story.isr.idle()).await;
            assert!((520..=528).contains(&story.page.renders()), "{}", story.page.renders());
        });
        let _ = done.send(());
    });
    assert!(is_done.recv_timeout(60 * S).is_ok(), "it spins");
}

#[tokio::test]
async fn p11_a_worker_and_visitors_share_one_render() {
    for position in POSITIONS {
        let story = Story::at(position);
        let _worker = story.worker().await;
        story.get("/pages/1").await;
        story.page.gated(true);
        story.page.commit(2);
        story.invalidate(1, Mode::Soft).await;
        assert_eq!(story.get("/pages/1").await.detail(), "invalidated");
        story.page.gate().arrival().await;
        for _ in 0..10 {
            assert_eq!(story.get("/pages/1").await.detail(), "invalidated");
            tokio::task::yield_now().await;
        }
        story.page.gate().open(1);
        within(story.isr.idle()).await;
        assert!(story.is_fresh("/pages/1", "v2").await, "{position:?}");
        assert_eq!(story.page.renders(), 2, "{position:?}");
    }
}

#[tokio::test]
async fn p06_a_page_that_is_newer_than_its_job_wants_is_not_rendered_again() {
    let queue = Faulty::new(MemoryQueue::new(100), Faults::none());
    let given = queue.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        limits.worker_renders = 1;
        builder.limits(limits).queue(given)
    });
    let _worker = story.worker().await;
    story.get("/pages/1").await;
    story.get("/pages/2").await;
    story.page.gated(true);
    story.invalidate(1, Mode::Soft).await;
    story.page.gate().arrival().await;
    story.page.gated(false);
    // The one place is taken, so this job waits; meanwhile a visitor has the page rendered.
    let receipt = story.invalidate(2, Mode::Hard).await;
    until(|| queue.backend().len() == 2).await;
    story.get("/pages/2").await;
    assert!(story.get("/pages/2").await.is_fresh_hit());
    assert_eq!((story.page.renders(), queue.backend().len()), (4, 2));
    story.page.gate().open(1);
    within(story.isr.idle()).await;
    until(|| queue.backend().is_empty()).await;
    assert_eq!(story.page.renders(), 4, "its job was done without a render");
    assert_eq!((receipt.progress().rendered, receipt.progress().left), (1, 0));
}

#[tokio::test]
async fn p06_the_worker_renders_the_page_of_its_key_and_no_other() {
    for position in POSITIONS {
        let isr = Isr::builder().build().unwrap();
        let policy = lasting().query(["page"]).vary(["accept-language", "x-look"]);
        let page = Page::default();
        let data = page.clone();
        let pages = routing::get(move |request: axum::extract::Request| {
            let version = data.version();
            async move { html(format!("v{version}\n{}", echo_of(&request))) }
        });
        let site = place(position, &isr, "/pages/{id}", policy, path_tag("page:{id}"), pages);
        tokio::spawn(begun(isr.worker(site.clone())).await);
        let visits: [(&str, &[(&str, &str)]); 4] = [
            ("/pages/1", &[]),
            ("/pages/1?page=2&utm=x", &[("accept-language", "de, EN")]),
            ("/pages/1?page=2", &[("x-look", "")]),
            ("http://other.example:8080/pages/a%20b", &[("x-look", "dark"), ("x-other", "1")]),
        ];
        let mut before = Vec::new();
        for (url, headers) in visits {
            before.push(get_with(&site, url, headers).await);
        }
        page.commit(2);
        isr.graph().all(Mode::Hard).await.unwrap();
        within(isr.idle()).await;
        assert_eq!(isr.stats().renders, 8, "{position:?}");
        for ((url, headers), before) in visits.into_iter().zip(before) {
            let after = get_with(&site, url, headers).await;
            assert!(after.is_fresh_hit(), "{position:?} {url}: {}", after.cache_status());
            assert_eq!(
                after.text(),
                before.text().replacen("v1", "v2", 1),
                "{position:?}: the handler saw the same"
            );
        }
    }
}

fn echo_of(request: &axum::extract::Request) -> String {
    let mut headers: Vec<_> =
        request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{} {} {headers:?}", request.method(), request.uri())
}

#[tokio::test]
async fn p06_a_job_that_no_layer_takes_fails_with_advice_and_the_page_keeps_its_state() {
    let story = Story::at(Position::Inside);
    let without = Router::new().route("/pages/{id}", story.page.handler());
    let worker = tokio::spawn(begun(story.isr.worker(without)).await);
    story.get("/pages/1").await;
    story.invalidate(1, Mode::Soft).await;
    within(story.isr.idle()).await;
    assert_eq!(story.isr.stats().count(Reason::RefillUnreached), 1);
    let health = story.isr.health();
    let note = health.notes.iter().find(|note| note.reason == Reason::RefillUnreached).unwrap();
    assert_eq!(note.subject, "/pages/{id}");
    assert!(!worker.is_finished());
    assert_eq!(
        story.get("/pages/1").await.detail(),
        "invalidated",
        "stale, and the visitor's hit renders it"
    );
    story.isr.idle().await;
    assert!(story.get("/pages/1").await.is_fresh_hit());
}

#[tokio::test]
async fn p15_a_worker_renders_only_so_many_pages_at_once() {
    let story = Story::with(Position::Around, lasting(), |builder| {
        let mut limits = prompt();
        limits.worker_renders = 3;
        builder.limits(limits)
    });
    let _worker = story.worker().await;
    story.list(40).await;
    story.page.gated(true);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    for done in 0..38 {
        story.page.gate().arrivals(if done == 0 { 3 } else { 1 }).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(story.page.renders(), 43 + done, "three at once");
        story.page.gate().open(1);
    }
    story.page.gate().open(2);
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 80);
}

#[tokio::test]
async fn p06_p15_pages_for_which_the_queue_has_no_room_wait_for_it_and_none_is_left_out() {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        let mut limits = prompt();
        (limits.jobs, limits.worker_renders) = (4, 1);
        builder.limits(limits)
    });
    let _worker = story.worker().await;
    story.list(30).await;
    story.page.commit(2);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 60);
    assert!(story.isr.stats().count(Reason::QueueFull) > 0);
    for id in 0..30 {
        assert!(story.is_fresh(&format!("/pages/{id}"), "v2").await, "{id}");
    }
}

#[tokio::test]
async fn p06_without_a_worker_the_next_visitor_starts_the_render_and_idle_does_not_wait_for_one() {
    let story = Story::at(Position::Inside);
    story.get("/pages/1").await;
    story.page.commit(2);
    story.invalidate(1, Mode::Soft).await;
    within(story.isr.idle()).await;
    assert_eq!(story.page.renders(), 1);
    assert_eq!(story.get("/pages/1").await.detail(), "invalidated");
    story.isr.idle().await;
    assert!(story.is_fresh("/pages/1", "v2").await);
}

#[tokio::test]
async fn p21_a_worker_that_is_dropped_leaves_nothing_that_idle_would_wait_for() {
    let story = Story::at(Position::Inside);
    let worker = story.worker().await;
    for id in 0..20 {
        story.get(&format!("/pages/{id}")).await;
    }
    story.page.gated(true);
    story.isr.graph().all(Mode::Soft).await.unwrap();
    story.page.gate().arrival().await;
    story.invalidate(7, Mode::Soft).await;
    worker.abort();
    assert!(within(worker).await.is_err());
    story.page.gated(false);
    story.page.gate().open(20);
    within(story.isr.idle()).await;
    story.page.commit(2);
    story.invalidate(19, Mode::Soft).await;
    story.get("/pages/19").await;
    story.isr.idle().await;
    assert!(story.is_fresh("/pages/19", "v2").await);
}

#[tokio::test(start_paused = true)]
async fn p21_a_worker_returns_at_shutdown_and_what_it_renders_lands_or_is_aborted() {
    for lands in [true, false] {
        let story = Story::at(Position::Inside);
        let worker = story.worker().await;
        for id in 0..20 {
            story.get(&format!("/pages/{id}")).await;
        }
        story.page.commit(2);
        story.page.gated(true);
        story.isr.graph().all(Mode::Soft).await.unwrap();
        story.page.gate().arrivals(8).await;
        let isr = story.isr.clone();
        let shutdown = begun(async move { isr.shutdown(5 * S).await }).await;
        if lands {
            story.page.gate().open(8);
        }
        shutdown.await;
        within(worker).await.unwrap();
        within(story.isr.idle()).await;
        assert_eq!(story.page.renders(), 28, "{lands}: no further render began");
        let stored = story.isr.stats().stored;
        assert_eq!(stored, if lands { 28 } else { 20 });
    }
}

#[tokio::test]
async fn p21_a_worker_of_a_handle_that_is_shut_down_or_off_returns_at_once() {
    let (story, off) = (Story::at(Position::Inside), Isr::builder().disabled().build().unwrap());
    story.isr.shutdown(S).await;
    within(story.isr.worker(story.site.clone())).await;
    within(off.worker(story.site.clone())).await;
}

#[tokio::test]
async fn p02_p06_jobs_do_not_depend_on_the_time_of_day() {
    let skews: [fn(&ManualClock); 2] = [
        |clock| clock.set_wall(std::time::UNIX_EPOCH),
        |clock| clock.set_wall(std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000)),
    ];
    for skew in skews {
        let story = Story::at(Position::Inside);
        let _worker = story.worker().await;
        story.get("/pages/1").await;
        for version in 2..5 {
            skew(&story.clock);
            story.page.commit(version);
            story.invalidate(1, Mode::Soft).await;
            story.clock.set_wall(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
            within(story.isr.idle()).await;
            assert!(story.is_fresh("/pages/1", &format!("v{version}")).await);
        }
    }
}

#[tokio::test]
async fn p06_two_workers_share_the_jobs() {
    let story = Story::at(Position::Inside);
    let (_one, _two) = (story.worker().await, story.worker().await);
    let tags = Arc::new([Tag::named("list")]);
    story.page.tags(tags.iter().cloned());
    for id in 0..100 {
        story.get(&format!("/pages/{id}")).await;
    }
    for version in 2..6 {
        story.page.commit(version);
        story.isr.graph().revalidate_by_tags(tags.iter().cloned()).await.unwrap();
    }
    within(story.isr.idle()).await;
    for id in 0..100 {
        assert!(story.is_fresh(&format!("/pages/{id}"), "v5").await, "{id}");
    }
}

#[tokio::test]
async fn p20_p06_workers_that_are_killed_at_random_leave_every_page_fresh_and_none_rendered_twice() {
    const PAGES: u64 = 1_000;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let story = Story::at(Position::Around);
    story.list(PAGES).await;
    story.page.commit(2);
    let mut worker = story.worker().await;
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    let mut killed = 0;
    while story.isr.idle().now_or_never().is_none() {
        for _ in 0..next(4) {
            tokio::task::yield_now().await;
        }
        if killed < 200 {
            worker.abort();
            let _ = within(worker).await;
            killed += 1;
            worker = story.worker().await;
        }
    }
    assert!(killed >= 20, "{killed}");
    for id in 0..PAGES {
        assert!(story.is_fresh(&format!("/pages/{id}"), "v2").await, "{id}");
    }
    let renders = story.page.renders() as u64 - PAGES;
    assert!((PAGES..=2 * PAGES).contains(&renders), "{renders}");
    assert_eq!(renders, PAGES, "what a killed worker began lands, and is not begun again");
}
