//! Outcomes that are rare, each by its name.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Error, Mode, Reason, Result, async_trait};
use edge_isr_core::clock::Moment;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::queue::{Claim, DeadLetter, Finished, Job, Pushed, Window};
use edge_isr_core::store::Put;
use edge_isr_core::{PageStore, Queue};
use edge_isr_stories::*;
use http::StatusCode;
use tower::service_fn;

#[tokio::test]
async fn p35_a_plain_hit_is_counted_and_needs_no_word() {
    for position in POSITIONS {
        let story = Story::at(position);
        assert_eq!(story.get("/pages/1").await.detail(), "absent");
        let hit = story.get("/pages/1").await;
        assert!(hit.is_fresh_hit(), "{position:?} {}", hit.cache_status());
        assert_eq!(story.isr.stats().count(Reason::Hit), 1, "{position:?}");
    }
}

#[tokio::test]
async fn p35_a_target_that_is_no_path_bypasses_and_says_so() {
    let isr = Isr::builder().build().unwrap();
    let layer: edge_isr_tower::IsrLayer = edge_isr_tower::IsrLayer::new(&isr).policy(lasting());
    let inner =
        service_fn(|request: Request| async move { Ok::<_, Infallible>(html(request.uri().to_string())) });
    let service = tower::ServiceBuilder::new().map_response(axum::response::IntoResponse::into_response);
    let site = site(service.layer(layer).service(inner));
    for _ in 0..2 {
        let answer = get(&site, "*").await;
        assert_eq!((answer.text(), &*answer.detail()), ("*", "bad-uri"), "{}", answer.cache_status());
    }
    assert_eq!(get(&site, "/").await.detail(), "absent");
}

#[tokio::test]
async fn p35_what_no_route_matches_bypasses_a_layer_inside_and_says_so() {
    let isr = Isr::builder().build().unwrap();
    let router = Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "nothing here") });
    let site = site(router.layer(IsrLayer::new(&isr).policy(lasting())));
    for _ in 0..2 {
        let answer = get(&site, "/nowhere").await;
        assert_eq!((answer.status, &*answer.detail()), (StatusCode::NOT_FOUND, "no-route"));
    }
    assert_eq!(isr.stats().pages, 0);
}

#[tokio::test]
async fn p35_who_is_overtaken_again_and_again_is_answered_and_told_so() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.page.gated(true);
        let mut visitor = story.begun("/pages/1").await;
        let mut version = 1;
        let answer = loop {
            tokio::select! {
                answer = &mut visitor => break answer,
                () = story.page.gate().arrival() => {
                    version += 1;
                    story.page.commit(version);
                    story.invalidate(1, Mode::Hard).await;
                    story.page.gate().open(1);
                }
            }
        };
        assert_eq!((answer.status, &*answer.detail()), (StatusCode::OK, "overtaken"), "{position:?}");
        assert!(version > 2 && answer.is_zero_downstream(), "{version} {:?}", answer.headers);
        assert_eq!(story.isr.stats().pages, 0, "{position:?}");
    }
}

/// A second tier that nobody reaches.
#[derive(Debug, Clone, Default)]
struct Broken {
    hangs: Arc<AtomicBool>,
}

impl Broken {
    async fn fail<T>(&self) -> Result<T> {
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        Err(Error::Unavailable { backend: "broken", queued: false, source: "no route to host".into() })
    }
}

#[async_trait]
impl PageStore for Broken {
    async fn get(&self, _: &CacheKey) -> Result<Option<Arc<Page>>> {
        self.fail().await
    }

    async fn put(&self, _: &CacheKey, _: Arc<Page>) -> Result<Put> {
        self.fail().await
    }

    async fn remove(&self, _: &[CacheKey]) -> Result<()> {
        self.fail().await
    }
}

#[tokio::test(start_paused = true)]
async fn p35_a_store_that_fails_or_hangs_is_named_and_costs_a_render() {
    for hangs in [false, true] {
        let store = Broken::default();
        store.hangs.store(hangs, SeqCst);
        let story = Story::with(Position::Inside, lasting(), |builder| {
            builder.build_id(BuildId::Ignore).store(store)
        });
        let answer = story.get("/pages/1").await;
        assert_eq!((answer.text(), &*answer.detail()), ("v1", "absent"), "{hangs}");
        assert!(story.get("/pages/1").await.is_fresh_hit(), "memory needs no second tier: {hangs}");
        let health = story.isr.health();
        assert!(health.notes.iter().any(|note| note.reason == Reason::StoreUnavailable), "{health:?}");
        assert!(story.isr.stats().count(Reason::StoreUnavailable) > 0, "{hangs}");
    }
}

#[tokio::test]
async fn p15_p35_a_queue_that_is_full_is_named_and_leaves_pages_to_their_next_visitors() {
    let mut limits = prompt();
    limits.jobs = 1;
    let story = Story::with(Position::Around, lasting(), |builder| builder.limits(limits));
    story.page.tags([tag("list", 1)]);
    for id in 0..20 {
        story.get(&format!("/pages/{id}")).await;
    }
    story.page.commit(2);
    let worker = story.worker().await;
    story.isr.graph().revalidate_by_tags([tag("list", 1)]).await.unwrap();
    until(|| story.isr.health().notes.iter().any(|note| note.reason == Reason::QueueFull)).await;
    for id in 0..20 {
        let answer = story.get(&format!("/pages/{id}")).await;
        assert!(answer.text() == "v2" || !answer.is_fresh_hit(), "{id}");
    }
    worker.abort();
}

/// A queue that nobody reaches.
#[derive(Debug)]
struct NoQueue;

fn unreachable<T>() -> Result<T> {
    Err(Error::Unavailable { backend: "no queue", queued: false, source: "no route to host".into() })
}

#[async_trait]
impl Queue for NoQueue {
    async fn push(&self, _: Job, _: Window, _: Moment) -> Result<Pushed> {
        unreachable()
    }

    async fn claim(&self, _: usize, _: Duration, _: Moment) -> Result<Vec<Claim>> {
        unreachable()
    }

    async fn finish(&self, _: Claim, _: u64) -> Result<Finished> {
        unreachable()
    }

    async fn retry(&self, _: Claim, _: Moment) -> Result<()> {
        unreachable()
    }

    async fn release(&self, _: Claim, _: Moment) -> Result<()> {
        unreachable()
    }

    async fn bury(&self, _: Claim, _: Reason) -> Result<Finished> {
        unreachable()
    }

    async fn dead_letters(&self, _: usize) -> Result<Vec<DeadLetter>> {
        unreachable()
    }
}

#[tokio::test]
async fn p06_p35_a_queue_that_fails_is_named_and_its_pages_are_rendered_all_the_same() {
    let story = Story::with(Position::Around, lasting(), |builder| builder.queue(NoQueue));
    assert_eq!(story.get("/pages/1").await.text(), "v1");
    let worker = story.worker().await;
    story.page.commit(2);
    story.invalidate(1, Mode::Soft).await;
    until(|| story.isr.health().notes.iter().any(|note| note.reason == Reason::QueueUnavailable)).await;
    until(|| story.page.renders() == 2).await;
    worker.abort();
}
