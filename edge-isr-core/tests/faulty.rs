//! `Faulty` fails when and how its schedule says, and is as its backend is otherwise.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::clock::Moment;
use edge_isr_core::graph::{Index, Ledger, MemoryGraph};
use edge_isr_core::origin::{Origin, Refill, Refilled};
use edge_isr_core::queue::{Finished, Job, MemoryQueue, Pushed, Queue, Rank, Window};
use edge_isr_core::store::{MemoryPages, PageStore, Put};
use edge_isr_core::testing::contract::origin::Scene;
use edge_isr_core::testing::sample::{self, SamplePage};
use edge_isr_core::testing::{
    Call, Event, Failure, Fault, Faults, Faulty, Lie, ManualClock, RecordingConnector, ScriptedOrigin, Step,
};
use edge_isr_core::{Connector, Error, Isr, Mode, Purge, TagGraph, TagSet};

edge_isr_core::page_store_contract!(store, faultless(MemoryPages::new(8 << 20, 2 << 20)), most_bytes: 8 << 20);
edge_isr_core::tag_graph_contract!(tag_graph, faultless(graph()));
edge_isr_core::queue_contract!(queue, faultless(MemoryQueue::new(32)), most_jobs: 32);
edge_isr_core::connector_contract!(connector, faultless(RecordingConnector::default()));
edge_isr_core::origin_contract!(origin, scene());

fn faultless<T>(backend: T) -> Faulty<T> {
    Faulty::new(backend, Faults::none())
}

fn graph() -> MemoryGraph {
    let ledger = Ledger::new(sample::new_incarnation(), 1 << 20, Duration::from_secs(3600));
    MemoryGraph::new(ledger, Index::new(1_000, 1 << 20, None), Arc::new(ManualClock::default()))
}

fn scene() -> Scene {
    let isr = Isr::builder().build().unwrap();
    let (known, unknown, private) = (sample::key(), sample::key(), sample::key());
    let origin = ScriptedOrigin::rendering(&isr).knowing([known.clone()]).knowing_private([private.clone()]);
    Scene { isr, origin: Arc::new(faultless(origin)), known, unknown, private: Some(private) }
}

const DOWN: Fault = Fault::Fails(Failure::Unavailable);

fn always(call: Call, fault: Fault) -> Faults {
    Faults::none().always(call, fault)
}

#[tokio::test]
async fn what_fails_did_not_happen_and_what_loses_its_answer_did() {
    let purge = Purge::default();
    let connector = Faulty::new(RecordingConnector::default(), always(Call::Purge, DOWN));
    assert!(matches!(connector.purge(&purge).await, Err(Error::Unavailable { backend: "faulty", .. })));
    assert!(connector.backend().seen().is_empty());
    connector.set(always(Call::Purge, Fault::LosesItsAnswer));
    assert!(connector.purge(&purge).await.is_err());
    assert_eq!(connector.backend().seen().len(), 1);
    let wait = Duration::from_secs(7);
    for (failure, is_right) in [
        (
            Failure::Throttled(wait),
            Box::new(
                |error: &Error| matches!(error, Error::Throttled { retry_after, .. } if *retry_after == Duration::from_secs(7)),
            ) as Box<dyn Fn(&Error) -> bool>,
        ),
        (Failure::Rejected, Box::new(|error| matches!(error, Error::Rejected { .. }))),
        (Failure::Corrupt, Box::new(|error| matches!(error, Error::Corrupt { .. }))),
    ] {
        connector.set(always(Call::Purge, Fault::Fails(failure)));
        assert!(is_right(&connector.purge(&purge).await.unwrap_err()), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn delays_pass_hangs_do_not_and_panics_panic() {
    let origin = ScriptedOrigin::default();
    let delay = Fault::Delays(Duration::from_secs(5));
    let faults = Faults::none().at(Call::Refill, 1, delay).at(Call::Refill, 2, Fault::Hangs).at(
        Call::Refill,
        3,
        Fault::Panics,
    );
    let faulty = Faulty::new(origin.clone(), faults);
    let refill = Refill { key: sample::key(), want: 1 };
    let since = tokio::time::Instant::now();
    faulty.refill(&refill).await.unwrap();
    assert_eq!(since.elapsed(), Duration::from_secs(5));
    assert!(tokio::time::timeout(Duration::from_secs(9999), faulty.refill(&refill)).await.is_err());
    let (clone, again) = (faulty.clone(), refill.clone());
    assert!(tokio::spawn(async move { clone.refill(&again).await }).await.unwrap_err().is_panic());
    assert_eq!(origin.calls().len(), 1, "only what was merely late came through");
    assert_eq!(faulty.calls(Call::Refill), 3);
    let numbers: Vec<_> = faulty.log().iter().map(|event| (event.number, event.fault)).collect();
    assert_eq!(numbers, [(1, delay), (2, Fault::Hangs), (3, Fault::Panics)]);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults_in_whatever_order_the_calls_come() {
    let faults = || Faults::none().seeded(7, 3, [DOWN, Fault::Lies(Lie::Nothing)]);
    let play = async |reversed: bool, faults: Faults| {
        let queue = Faulty::new(MemoryQueue::new(8), faults);
        let now = Moment::default();
        let mut turns: Vec<bool> = (0..60).map(|n| n % 2 == 0).collect();
        if reversed {
            turns.sort_unstable();
        }
        for claims in turns {
            if claims {
                let _ = queue.claim(1, Duration::ZERO, now).await;
            } else {
                let _ = queue.dead_letters(1).await;
            }
        }
        let mut log = queue.log();
        log.sort_by_key(|event| (event.call as u8, event.number));
        log
    };
    let log = play(false, faults()).await;
    assert_eq!(log, play(true, faults()).await);
    assert!((10..35).contains(&log.len()), "about a third of sixty: {}", log.len());
    let is = |fault| log.iter().any(|event: &Event| event.fault == fault);
    assert!(is(DOWN) && is(Fault::Lies(Lie::Nothing)), "each of them comes");
    assert_ne!(log, play(false, Faults::none().seeded(8, 3, [DOWN, Fault::Lies(Lie::Nothing)])).await);
    assert!(play(false, Faults::none().seeded(7, 0, [DOWN])).await.is_empty());
}

#[tokio::test]
async fn stores_lie() {
    let store = faultless(MemoryPages::new(8 << 20, 2 << 20));
    let key = sample::key();
    let page = SamplePage::of(&key).with_body("mine").build();
    for (lie, says) in [(Lie::Nothing, Put::Kept), (Lie::Full, Put::Refused)] {
        store.set(always(Call::Put, Fault::Lies(lie)));
        assert_eq!(store.put(&key, Arc::clone(&page)).await.unwrap(), says);
        assert!(store.get(&key).await.unwrap().is_none(), "{lie:?}");
    }
    store.set(always(Call::Put, Fault::Lies(Lie::Other)));
    assert_eq!(store.put(&key, Arc::clone(&page)).await.unwrap(), Put::Kept);
    assert_ne!(store.get(&key).await.unwrap().unwrap().body(), "mine");
    store.set(always(Call::Get, Fault::Lies(Lie::Other)).always(Call::Remove, Fault::Lies(Lie::Nothing)));
    assert_ne!(store.get(&key).await.unwrap().unwrap().key(), Some(key.clone()));
    store.remove(std::slice::from_ref(&key)).await.unwrap();
    store.set(always(Call::Get, Fault::Lies(Lie::Nothing)));
    assert!(store.get(&key).await.unwrap().is_none());
    store.set(Faults::none());
    assert!(store.get(&key).await.unwrap().is_some(), "it was not removed");
}

#[tokio::test]
async fn graphs_lie() {
    let graph = faultless(graph());
    let tags = TagSet::from_iter([sample::new_tag()]);
    let true_marks = graph.marks(&tags).await.unwrap();
    for lie in [Lie::Nothing, Lie::Other] {
        graph.set(always(Call::Mark, Fault::Lies(lie)));
        graph.mark(&tags, Mode::Hard).await.unwrap();
        assert_eq!(graph.marks(&tags).await.unwrap(), true_marks, "{lie:?}");
    }
    graph.set(Faults::none());
    let step = graph.mark(&tags, Mode::Hard).await.unwrap();
    graph.set(
        always(Call::Marks, Fault::Lies(Lie::Nothing)).always(Call::Snapshot, Fault::Lies(Lie::Nothing)),
    );
    assert_eq!(graph.marks(&tags).await.unwrap(), true_marks);
    assert_eq!(graph.snapshot().await.unwrap().seq, 0);
    graph.set(always(Call::Marks, Fault::Lies(Lie::Other)).always(Call::Snapshot, Fault::Lies(Lie::Other)));
    assert_ne!(graph.marks(&tags).await.unwrap().incarnation, step.incarnation);
    assert_ne!(graph.snapshot().await.unwrap().incarnation, step.incarnation);
}

#[tokio::test]
async fn queues_lie() {
    let queue = faultless(MemoryQueue::new(8));
    let (now, at_once) = (Moment::default(), Window::default());
    let job = Job { key: sample::key(), want: 3, rank: Rank::default() };
    for (lie, says) in [(Lie::Nothing, Pushed::Queued), (Lie::Full, Pushed::Full)] {
        queue.set(always(Call::Push, Fault::Lies(lie)));
        assert_eq!(queue.push(job.clone(), at_once, now).await.unwrap(), says);
        assert!(queue.backend().is_empty(), "{lie:?}");
    }
    queue.set(Faults::none());
    queue.push(job.clone(), at_once, now).await.unwrap();
    queue.set(always(Call::Claim, Fault::Lies(Lie::Nothing)));
    assert!(queue.claim(9, Duration::ZERO, now).await.unwrap().is_empty());
    queue.set(always(Call::Claim, Fault::Lies(Lie::Other)));
    let foreign = queue.claim(9, Duration::ZERO, now).await.unwrap().remove(0);
    assert_ne!(foreign.job.key, job.key);
    queue.set(always(Call::Finish, Fault::Lies(Lie::Nothing)));
    let claim = queue.claim(9, Duration::from_secs(9), now).await.unwrap().remove(0);
    assert_eq!(queue.finish(claim, 3).await.unwrap(), Finished::Done);
    assert_eq!(queue.backend().len(), 1, "it is still there");
}

#[tokio::test]
async fn connectors_and_origins_lie() {
    let connector =
        Faulty::new(RecordingConnector::default(), always(Call::Purge, Fault::Lies(Lie::Nothing)));
    connector.purge(&Purge::default()).await.unwrap();
    assert!(connector.backend().seen().is_empty());
    let origin = Faulty::new(ScriptedOrigin::default(), always(Call::Refill, Fault::Lies(Lie::Nothing)));
    let refill = Refill { key: sample::key(), want: 4 };
    assert!(matches!(origin.refill(&refill).await.unwrap(), Refilled::Done(snapshot) if snapshot.seq == 4));
    assert!(origin.backend().calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_scripted_origin_does_what_stands_in_its_script() {
    let isr = Isr::builder().build().unwrap();
    let origin = ScriptedOrigin::rendering(&isr);
    let (refill, long) = (Refill { key: sample::key(), want: 0 }, Duration::from_secs(99));
    let failed = Refilled::Failed(edge_isr_core::Reason::RenderTimeout);
    origin.then([Step::After(long, Box::new(Step::Say(failed))), Step::Hang, Step::Unavailable]);
    let since = tokio::time::Instant::now();
    assert_eq!(origin.refill(&refill).await.unwrap(), failed);
    assert_eq!(since.elapsed(), long);
    assert!(tokio::time::timeout(long, origin.refill(&refill)).await.is_err());
    assert!(origin.refill(&refill).await.is_err());
    assert_eq!(isr.stats().stored, 0);
    assert!(matches!(origin.refill(&refill).await.unwrap(), Refilled::Done(_)));
    assert_eq!((isr.stats().stored, origin.calls().len()), (1, 4));
}
