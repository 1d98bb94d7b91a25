//! A queue that works and takes its time holds up neither renders nor a shutdown.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{Reason, Stage};
use edge_isr_core::Queue;
use edge_isr_core::clock::Clock;
use edge_isr_core::queue::MemoryQueue;
use edge_isr_core::testing::{Call, Fault, Faults, Faulty};
use edge_isr_stories::*;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const PAGES: u64 = 100;

/// Every push takes a fifth of a second, which is in time.
async fn slow() -> (Story, Faulty<MemoryQueue>) {
    let faults = Faults::none().always(Call::Push, Fault::Delays(200 * MS));
    let queue = Faulty::new(MemoryQueue::new(1_000), faults);
    let given = queue.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| builder.queue(given));
    story.list(PAGES).await;
    story.page.tags([Tag::named("other")]);
    story.get("/pages/other").await;
    (story, queue)
}

/// The list's renders have all failed once. They are tried again later by the manual clock, hence not at all.
async fn with_many_put_off() -> (Story, Faulty<MemoryQueue>, Receipt, JoinHandle<()>) {
    let (story, queue) = slow().await;
    story.page.answers(|_| panic!("a bug"));
    let worker = story.worker().await;
    let receipt = story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    while story.isr.stats().count(Reason::RefillFailed) < PAGES {
        tokio::time::sleep(10 * MS).await;
    }
    story.page.answers(|version| html(format!("v{version}")));
    // Pages that the queue has are pushed again by now.
    let pushed = queue.calls(Call::Push);
    while queue.calls(Call::Push) < pushed + 10 {
        tokio::time::sleep(10 * MS).await;
    }
    (story, queue, receipt, worker)
}

#[tokio::test(start_paused = true)]
async fn p15_p20_pages_that_are_pushed_again_hold_up_no_other_page() {
    let (story, queue, _, worker) = with_many_put_off().await;
    for _ in 0..5 {
        let receipt = story.isr.graph().revalidate_by_tags([Tag::named("other")]).await.unwrap();
        assert_eq!(receipt.wait(Stage::Rendered, 2 * S).await.rendered, 1);
    }
    let pushed = queue.calls(Call::Push);
    tokio::time::sleep(60 * S).await;
    let pushed = queue.calls(Call::Push) - pushed;
    assert!((60..=120).contains(&pushed), "{pushed}: a third of the time, at a fifth of a second each");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn p20_what_a_slow_queue_lost_is_pushed_again_to_the_last_page() {
    let (story, queue, receipt, _worker) = with_many_put_off().await;
    // What is pushed again fails again, and is still there the next time.
    story.page.answers(|_| panic!("a bug"));
    let late = story.clock.now().after(3_600 * S);
    let claims = queue.backend().claim(1_000, S, late).await.unwrap();
    assert_eq!(claims.len() as u64, PAGES);
    for claim in claims {
        let _ = queue.backend().finish(claim, u64::MAX).await.unwrap();
    }
    tokio::time::sleep(120 * S).await;
    assert_eq!(story.isr.stats().count(Reason::RefillFailed), 2 * PAGES);
    assert_eq!((queue.backend().len() as u64, receipt.progress().left), (PAGES, 0));
}

#[tokio::test(start_paused = true)]
async fn p15_the_first_render_waits_for_few_pushes() {
    let (story, queue) = slow().await;
    let _worker = story.worker().await;
    story.page.gated(true);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    let pushed = queue.calls(Call::Push);
    story.page.gate().arrival().await;
    assert!(queue.calls(Call::Push) - pushed <= 3, "{}", queue.calls(Call::Push) - pushed);
    story.page.gated(false);
    story.page.gate().open(8);
}

#[tokio::test(start_paused = true)]
async fn p21_a_worker_that_pushes_ends_one_push_after_a_shutdown_began() {
    for pushes_again in [false, true] {
        let (story, queue, worker) = if pushes_again {
            let (story, queue, _, worker) = with_many_put_off().await;
            // It rests for longer than a push takes.
            let mut pushed = 0;
            while std::mem::replace(&mut pushed, queue.calls(Call::Push)) != pushed {
                tokio::time::sleep(300 * MS).await;
            }
            (story, queue, worker)
        } else {
            let (story, queue) = slow().await;
            let worker = story.worker().await;
            story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
            (story, queue, worker)
        };
        let pushed = queue.calls(Call::Push);
        while queue.calls(Call::Push) == pushed {
            tokio::time::sleep(MS).await;
        }
        let since = Instant::now();
        story.isr.shutdown(60 * S).await;
        within(worker).await.unwrap();
        assert!(since.elapsed() <= 200 * MS, "{pushes_again}: {:?}", since.elapsed());
        assert_eq!(queue.calls(Call::Push), pushed + 1, "{pushes_again}");
    }
}
