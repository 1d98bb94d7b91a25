//! Whole applications on backends that fail by chance, all at once, and under workers that are killed.

use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Mode};
use edge_isr_core::Queue;
use edge_isr_core::clock::Clock;
use edge_isr_core::queue::MemoryQueue;
use edge_isr_core::store::MemoryPages;
use edge_isr_core::testing::{Call, Failure, Fault, Faults, Faulty, Lie, RecordingConnector};
use edge_isr_stories::*;
use futures_util::FutureExt;

const S: Duration = Duration::from_secs(1);

/// Every way in which a call can go wrong, about one call in four.
fn by_chance(seed: u64) -> Faults {
    by_chance_of(Faults::none(), seed, &[Fault::Lies(Lie::Other)])
}

/// A store gives other keys' pages now and then. It keeps no other page than it was given: nobody could tell.
fn store_by_chance(seed: u64) -> Faults {
    let other = |faults: Faults, number| faults.at(Call::Get, number, Fault::Lies(Lie::Other));
    by_chance_of((1..500).step_by(7).fold(Faults::none(), other), seed, &[])
}

fn by_chance_of(faults: Faults, seed: u64, more: &[Fault]) -> Faults {
    let ways = [
        Fault::Fails(Failure::Unavailable),
        Fault::Fails(Failure::Throttled(S)),
        Fault::Fails(Failure::Rejected),
        Fault::Fails(Failure::Corrupt),
        Fault::LosesItsAnswer,
        Fault::Delays(S / 10),
        Fault::Hangs,
        Fault::Panics,
        Fault::Lies(Lie::Nothing),
        Fault::Lies(Lie::Full),
    ];
    faults.seeded(seed, 4, ways.into_iter().chain(more.iter().copied()))
}

/// Both clocks go on until nothing is left to do.
async fn finished(story: &Story) {
    for _ in 0..20_000 {
        if story.isr.idle().now_or_never().is_some() {
            return;
        }
        story.clock.advance(S / 10);
        tokio::time::sleep(S / 10).await;
    }
    panic!("something is never done: {:?}", story.isr.health());
}

#[tokio::test(start_paused = true)]
async fn p34_p20_p15_with_all_backends_failing_by_chance_no_request_fails_and_all_ends_well() {
    const PAGES: u64 = 60;
    for seed in 0..6 {
        let store = Faulty::new(MemoryPages::new(8 << 20, 2 << 20), store_by_chance(seed));
        let queue = Faulty::new(MemoryQueue::new(1_000), by_chance(100 + seed));
        let cache = Faulty::new(RecordingConnector::default(), by_chance(200 + seed));
        let story = Story::with(Position::Around, lasting(), |builder| {
            // Room for some of the pages: the others are fetched from the store.
            let mut limits = prompt();
            (limits.store_bytes, limits.body_bytes, limits.head_bytes) = (64 << 10, 4 << 10, 4 << 10);
            let builder = builder.limits(limits).build_id(BuildId::Ignore);
            builder.store(store.clone()).queue(queue.clone()).connector(cache.clone())
        });
        let _worker = story.worker().await;
        for version in 2..8 {
            story.page.commit(version);
            let mode = if version % 2 == 0 { Mode::Soft } else { Mode::Hard };
            for id in (version % 3..PAGES).step_by(3) {
                story.invalidate(id, mode).await;
                let answer = story.get(&format!("/pages/{id}")).await;
                assert_eq!(answer.status.as_u16(), 200, "{seed}");
                let is_new = answer.text() == format!("v{version}");
                assert!(is_new || mode == Mode::Soft && !answer.is_fresh_hit(), "{seed}: {}", answer.text());
            }
        }
        for version in [8, 9] {
            story.page.commit(version);
            story.isr.graph().all(Mode::Soft).await.unwrap();
        }
        let struck = [store.log().len(), queue.log().len(), cache.log().len()];
        assert!(struck.iter().all(|faults| *faults > 5), "{seed}: {struck:?}");
        store.set(Faults::none());
        queue.set(Faults::none());
        cache.set(Faults::none());
        finished(&story).await;
        for id in 0..PAGES {
            story.get(&format!("/pages/{id}")).await;
            story.isr.idle().await;
            assert_eq!(story.get(&format!("/pages/{id}")).await.text(), "v9", "{seed} {id}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p22_p20_a_worker_that_is_killed_while_a_hard_invalidation_settles_loses_no_purge() {
    let cache = RecordingConnector::default();
    let told = cache.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| builder.connector(told));
    let worker = story.worker().await;
    story.get("/pages/1").await;
    let receipt = story.invalidate(1, Mode::Hard).await;
    until(|| receipt.progress().rendered == 1).await;
    worker.abort();
    assert!(within(worker).await.is_err());
    assert_eq!(cache.seen().len(), 1, "the settle time is not over");
    within(story.isr.idle()).await;
    assert_eq!(cache.seen().len(), 2);
}

#[tokio::test]
async fn p20_of_two_workers_the_one_that_lists_is_killed_and_the_other_goes_on() {
    let story = Story::at(Position::Inside);
    let (lists, other) = (story.worker().await, story.worker().await);
    story.list(300).await;
    story.page.commit(2);
    story.page.gated(true);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    story.page.gate().arrival().await;
    lists.abort();
    assert!(within(lists).await.is_err());
    story.page.gate().open(1_000);
    within(story.isr.idle()).await;
    assert!(!other.is_finished());
    for id in 0..300 {
        let answer = story.get(&format!("/pages/{id}")).await;
        assert!(answer.is_fresh_hit() && answer.text() == "v2", "{id}");
    }
    assert_eq!(story.page.renders(), 600);
}

#[tokio::test(start_paused = true)]
async fn p21_at_shutdown_a_queue_gets_back_what_did_not_land() {
    let queue = Faulty::new(MemoryQueue::new(100), Faults::none());
    let given = queue.clone();
    let story = Story::with(Position::Inside, lasting(), |builder| builder.queue(given));
    let worker = story.worker().await;
    story.list(20).await;
    story.page.gated(true);
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    story.page.gate().arrivals(8).await;
    story.isr.shutdown(S).await;
    within(worker).await.unwrap();
    within(story.isr.idle()).await;
    let claims = queue.backend().claim(100, S, story.clock.now().after(S)).await.unwrap();
    assert_eq!(claims.len(), 20, "those that were claimed, and those that were not");
    assert!(claims.iter().all(|claim| claim.attempts == 0));
}
