//! Queues and page stores that err, hang, panic or lie take no request down: they are passed by, counted and named,
//! and every page gets fresh all the same.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Error, Mode, Reason, Result, async_trait};
use edge_isr_core::clock::Moment;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page as Stored;
use edge_isr_core::queue::{Claim, DeadLetter, Finished, Job, MemoryQueue, Pushed, Rank, Window};
use edge_isr_core::store::Put;
use edge_isr_core::testing::sample;
use edge_isr_core::{PageStore, Queue};
use edge_isr_stories::*;
use futures_util::FutureExt;

const S: Duration = Duration::from_secs(1);

/// What no page of the stories wants.
const FOREIGN: u64 = 7;

/// In which way a port is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Errs,
    Hangs,
    Panics,
    /// Before it gives a future.
    PanicsAtOnce,
    /// Every other call fails.
    Flickers,
    /// Takes no job, ever.
    IsFull,
    /// Takes jobs and forgets them.
    Drops,
    /// Takes jobs and gives none.
    Keeps,
    /// Gives jobs that nobody pushed, without end, and loses them.
    GivesForeign,
    /// Gives jobs that nobody here pushed, and takes their ends, as one that others share.
    GivesOthers,
    /// Gives more than it was asked for.
    GivesMore,
    /// Gives one job to everyone.
    GivesTwice,
    /// Says that claims are lost, and keeps their jobs.
    Loses,
    /// Says that claims are lost when their jobs are done.
    SaysLost,
}

#[derive(Debug, Clone)]
struct Bad {
    way: Way,
    good: Arc<MemoryQueue>,
    calls: Arc<AtomicUsize>,
    token: Arc<AtomicU64>,
}

impl Bad {
    fn new(way: Way) -> Self {
        Self { way, good: Arc::new(MemoryQueue::new(1_000)), calls: Arc::default(), token: Arc::default() }
    }

    async fn fault(&self) -> Result<()> {
        let call = self.calls.fetch_add(1, SeqCst);
        match self.way {
            Way::Errs => return Err(down()),
            Way::Flickers if call.is_multiple_of(2) => return Err(down()),
            Way::Hangs => std::future::pending().await,
            Way::Panics => panic!("a bug in the queue"),
            _ => {}
        }
        Ok(())
    }

    fn foreign(&self) -> Claim {
        let job = Job { key: sample::key(), want: FOREIGN, rank: Rank::default() };
        Claim { job, attempts: 0, token: u64::MAX - self.token.fetch_add(1, SeqCst) }
    }
}

fn down() -> Error {
    Error::Unavailable { backend: "bad", queued: false, source: "no route to host".into() }
}

#[async_trait]
impl Queue for Bad {
    fn push<'a, 'b>(
        &'a self,
        job: Job,
        window: Window,
        now: Moment,
    ) -> Pin<Box<dyn Future<Output = Result<Pushed>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        assert!(self.way != Way::PanicsAtOnce, "a bug in the queue");
        Box::pin(async move {
            self.fault().await?;
            match self.way {
                Way::IsFull => Ok(Pushed::Full),
                Way::Drops => Ok(Pushed::Queued),
                _ => self.good.push(job, window, now).await,
            }
        })
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        self.fault().await?;
        match self.way {
            Way::Keeps => Ok(Vec::new()),
            Way::GivesForeign | Way::GivesOthers => {
                let mut claims = self.good.claim(limit - 1, lease, now).await?;
                claims.insert(0, self.foreign());
                Ok(claims)
            }
            Way::GivesMore => self.good.claim(1_000, lease, now).await,
            Way::GivesTwice => {
                let claims = self.good.claim(limit, lease, now).await?;
                let again = |claim: &Claim| Claim { job: claim.job.clone(), ..*claim };
                Ok(claims.iter().map(again).chain(claims.iter().map(again)).collect())
            }
            _ => self.good.claim(limit, lease, now).await,
        }
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        self.fault().await?;
        match self.way {
            Way::Loses => Ok(Finished::Lost),
            Way::GivesOthers if claim.job.want == FOREIGN => Ok(Finished::Done),
            Way::SaysLost => self.good.finish(claim, rendered).await.map(|_| Finished::Lost),
            _ => self.good.finish(claim, rendered).await,
        }
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        self.fault().await?;
        self.good.retry(claim, not_before).await
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        self.fault().await?;
        self.good.release(claim, not_before).await
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        self.fault().await?;
        match self.way {
            Way::Loses => Ok(Finished::Lost),
            Way::SaysLost => self.good.bury(claim, reason).await.map(|_| Finished::Lost),
            _ => self.good.bury(claim, reason).await,
        }
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.fault().await?;
        self.good.dead_letters(limit).await
    }
}

/// A site with these many pages of the tag `list`, and a queue of its own.
async fn site_of(pages: u64, way: Way) -> Story {
    let story = Story::with(Position::Inside, lasting(), |builder| {
        builder.name(format!("{way:?}")).queue(Bad::new(way))
    });
    story.list(pages).await;
    story
}

/// Lets both clocks go on until nothing is left to do; how long that took.
async fn finished(story: &Story, at_most: Duration) -> Duration {
    let step = Duration::from_millis(100);
    let mut passed = Duration::ZERO;
    while story.isr.idle().now_or_never().is_none() {
        assert!(passed < at_most, "still at work after {passed:?}: {:?}", story.isr);
        story.clock.advance(step);
        tokio::time::sleep(step).await;
        passed += step;
    }
    passed
}

#[tokio::test(start_paused = true)]
async fn p06_p15_whatever_the_queue_does_no_request_fails_and_every_page_gets_fresh() {
    const PAGES: u64 = 40;
    const UNAVAILABLE: Option<Reason> = Some(Reason::QueueUnavailable);
    // How long it may take, and what health() names. Three times the render time-out is a lease.
    let ways = [
        (Way::Errs, 1, UNAVAILABLE),
        (Way::Hangs, 10, UNAVAILABLE),
        (Way::Panics, 1, UNAVAILABLE),
        (Way::PanicsAtOnce, 1, UNAVAILABLE),
        (Way::Flickers, 1, UNAVAILABLE),
        (Way::IsFull, 1, Some(Reason::QueueFull)),
        (Way::Drops, 185, UNAVAILABLE),
        (Way::Keeps, 185, UNAVAILABLE),
        (Way::GivesForeign, 1, UNAVAILABLE),
        (Way::GivesOthers, 1, None),
        (Way::GivesMore, 1, UNAVAILABLE),
        (Way::GivesTwice, 185, UNAVAILABLE),
        (Way::Loses, 1, UNAVAILABLE),
        (Way::SaysLost, 1, UNAVAILABLE),
    ];
    for (way, seconds, named) in ways {
        let story = site_of(PAGES, way).await;
        let worker = story.worker().await;
        story.page.commit(2);
        story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
        assert_eq!(story.get("/pages/elsewhere").await.text(), "v2", "{way:?}");
        let took = finished(&story, seconds * S).await;
        let renders = story.page.renders() as u64;
        for id in 0..PAGES {
            let answer = story.get(&format!("/pages/{id}")).await;
            assert!(
                answer.is_fresh_hit() && answer.text() == "v2",
                "{way:?} {id}: {}",
                answer.cache_status()
            );
        }
        // A queue that flickers may give a job again whose end it was not told; no page is rendered for that.
        assert_eq!((renders, story.page.renders() as u64), (2 * PAGES + 1, 2 * PAGES + 1), "{way:?}");
        let health = story.isr.health();
        let notes: Vec<_> = health.notes.iter().map(|note| note.reason).collect();
        assert_eq!(notes, Vec::from_iter(named), "{way:?}");
        if let Some(reason) = named {
            assert!(story.isr.stats().count(reason) > 0, "{way:?}");
        }
        assert!(!worker.is_finished(), "{way:?} took the worker down after {took:?}");
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn p15_a_queue_that_hangs_costs_a_worker_little_of_its_time() {
    const PAGES: u64 = 1_000;
    let queue = Bad::new(Way::Hangs);
    let calls = Arc::clone(&queue.calls);
    let story = Story::with(Position::Inside, lasting(), |builder| builder.queue(queue));
    story.list(PAGES).await;
    let _worker = story.worker().await;
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    let took = finished(&story, 2 * S).await;
    assert_eq!(story.page.renders() as u64, 2 * PAGES);
    assert!(calls.load(SeqCst) <= 2, "{} calls in {took:?}", calls.load(SeqCst));
    // And it is not forgotten: in a minute it is asked again some times.
    for _ in 0..600 {
        tokio::time::sleep(S / 10).await;
    }
    assert!((5..=15).contains(&calls.load(SeqCst)), "{} calls in a minute", calls.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn p06_p15_a_page_that_always_fails_ends_whatever_the_queue_says_about_it() {
    for way in [Way::Errs, Way::IsFull, Way::Loses, Way::SaysLost, Way::Drops] {
        let story = site_of(3, way).await;
        let _worker = story.worker().await;
        story.page.answers(|_| panic!("a bug in the handler"));
        let graph = story.isr.graph();
        let receipt = graph.revalidate_by_tags([Tag::named("list")]).await.unwrap();
        finished(&story, 600 * S).await;
        let progress = receipt.progress();
        assert_eq!((progress.pages, progress.rendered, progress.left), (Some(3), 0, 3), "{way:?}");
        assert!(story.isr.dead_letters(9).await.len() >= 3, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p20_with_a_queue_of_its_own_a_worker_that_is_killed_gives_back_what_it_took() {
    const PAGES: u64 = 30;
    let queue = Arc::new(MemoryQueue::new(100));
    let shared = Arc::clone(&queue);
    #[derive(Debug)]
    struct Slow(Arc<MemoryQueue>);
    /// As a queue over a network: no call is done when it is first polled.
    async fn trip() {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    #[async_trait]
    impl Queue for Slow {
        async fn push(&self, job: Job, window: Window, now: Moment) -> Result<Pushed> {
            trip().await;
            self.0.push(job, window, now).await
        }
        async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
            let claims = self.0.claim(limit, lease, now).await;
            trip().await;
            claims
        }
        async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
            trip().await;
            self.0.finish(claim, rendered).await
        }
        async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
            trip().await;
            self.0.retry(claim, not_before).await
        }
        async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
            trip().await;
            self.0.release(claim, not_before).await
        }
        async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
            trip().await;
            self.0.bury(claim, reason).await
        }
        async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
            self.0.dead_letters(limit).await
        }
    }
    let story = Story::with(Position::Inside, lasting(), |builder| builder.queue(Slow(shared)));
    story.list(PAGES).await;
    story.page.commit(2);
    let mut worker = story.worker().await;
    story.isr.graph().revalidate_by_tags([Tag::named("list")]).await.unwrap();
    let mut passed = Duration::ZERO;
    for step in (1..).map(|n| Duration::from_millis(1 + n * 7 % 23)) {
        if story.isr.idle().now_or_never().is_some() {
            break;
        }
        // A claim whose answer a killed worker never saw comes back with its lease; all else before.
        story.clock.advance(step * if passed > 20 * S { 1_000 } else { 1 });
        tokio::time::sleep(step).await;
        passed += step;
        if passed < 2 * S {
            worker.abort();
            let _ = worker.await;
            worker = story.worker().await;
        }
        assert!(passed < 60 * S, "still at work");
    }
    for id in 0..PAGES {
        let answer = story.get(&format!("/pages/{id}")).await;
        assert!(answer.is_fresh_hit() && answer.text() == "v2", "{id}");
    }
    let renders = story.page.renders() as u64;
    assert!((2 * PAGES..=3 * PAGES).contains(&renders), "{renders}: at most twice a job");
    worker.abort();
}

/// A second tier that is bad in a way.
#[derive(Debug, Clone, Copy)]
enum Tier {
    Errs,
    Hangs,
    Panics,
    /// Before it gives a future.
    PanicsAtOnce,
    Corrupt,
    /// Gives another key's page.
    Foreign,
}

impl Tier {
    async fn fail<T>(self) -> Result<T> {
        match self {
            Self::Hangs => std::future::pending().await,
            Self::Panics | Self::PanicsAtOnce => panic!("a bug in the store"),
            Self::Errs | Self::Foreign => Err(down()),
            Self::Corrupt => {
                Err(Error::Corrupt { backend: "bad", what: "page", source: "no such format".into() })
            }
        }
    }
}

#[async_trait]
impl PageStore for Tier {
    fn get<'a, 'b, 'c>(
        &'a self,
        _: &'b CacheKey,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Arc<Stored>>>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        assert!(!matches!(self, Self::PanicsAtOnce), "a bug in the store");
        Box::pin(async move {
            match self {
                Self::Foreign => Ok(Some(sample::SamplePage::of(&sample::key()).build())),
                tier => tier.fail().await,
            }
        })
    }

    async fn put(&self, _: &CacheKey, _: Arc<Stored>) -> Result<Put> {
        if matches!(self, Self::Foreign) { Ok(Put::Kept) } else { self.fail().await }
    }

    async fn remove(&self, _: &[CacheKey]) -> Result<()> {
        if matches!(self, Self::Foreign) { Ok(()) } else { self.fail().await }
    }
}

#[tokio::test(start_paused = true)]
async fn p34_p15_whatever_the_page_store_does_no_request_fails_and_nothing_false_is_served() {
    let ways = [
        (Tier::Errs, Reason::StoreUnavailable),
        (Tier::Hangs, Reason::StoreUnavailable),
        (Tier::Panics, Reason::StoreUnavailable),
        (Tier::PanicsAtOnce, Reason::StoreUnavailable),
        (Tier::Corrupt, Reason::StoreCorrupt),
        (Tier::Foreign, Reason::StoreCorrupt),
    ];
    for (tier, reason) in ways {
        for position in POSITIONS {
            let story =
                Story::with(position, lasting(), |builder| builder.build_id(BuildId::Ignore).store(tier));
            let _worker = story.worker().await;
            let answer = story.get("/pages/1").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "v1"), "{tier:?}");
            assert!(story.get("/pages/1").await.is_fresh_hit(), "{tier:?}");
            story.page.commit(2);
            story.invalidate(1, Mode::Soft).await;
            within(story.isr.idle()).await;
            let answer = story.get("/pages/1").await;
            assert!(answer.is_fresh_hit() && answer.text() == "v2", "{tier:?} {}", answer.cache_status());
            assert!(story.isr.stats().count(reason) > 0, "{tier:?}");
            let health = story.isr.health();
            let notes: Vec<_> =
                health.notes.iter().map(|note| (note.reason, note.subject.as_str())).collect();
            assert_eq!(notes, [(reason, "page store")], "{tier:?} {position:?}");
        }
    }
}
