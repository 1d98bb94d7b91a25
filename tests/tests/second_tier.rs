//! A page store that writes pages down: what comes back from it is another page than the one in memory.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use axum::Router;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Error, Result, async_trait};
use edge_isr_core::PageStore;
use edge_isr_core::model::conditional::Selection;
use edge_isr_core::model::head::HeadParts;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page as Stored;
use edge_isr_core::model::verdict::Loss;
use edge_isr_core::store::{MemoryPages, Put};
use edge_isr_stories::*;

/// Keeps of a page what can be written down: not that it was killed.
#[derive(Debug, Clone)]
struct Shelf {
    pages: Arc<MemoryPages>,
    /// Whether nothing can be removed.
    is_stuck: Arc<AtomicBool>,
    removals: Arc<AtomicUsize>,
    /// What a page that was put waits for before the store says so.
    putting: Option<Gate>,
}

impl Shelf {
    fn new(putting: Option<Gate>) -> Self {
        let pages = Arc::new(MemoryPages::new(1 << 20, 1 << 16));
        Self { pages, is_stuck: Arc::default(), removals: Arc::default(), putting }
    }
}

#[async_trait]
impl PageStore for Shelf {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Stored>>> {
        let Some(page) = self.pages.peek(key) else { return Ok(None) };
        let none = || http::HeaderValue::from_static("");
        let headers = page.answer(&Selection::Whole, none(), none()).into_parts().0.headers;
        let parts =
            HeadParts::take(page.status(), headers, *page.lifetime(), Loss::Miss).with_reuse(page.reuse());
        let own: Vec<_> = parts.own().cloned().collect();
        let (tags, ids): (_, Vec<_>) = (page.tag_set(), page.ids().collect());
        let head = Arc::new(parts.alone());
        Ok(Some(Arc::new(Stored::new(key, *page.birth(), head, &own, &tags, &ids, &[page.body()]))))
    }

    async fn put(&self, key: &CacheKey, page: Arc<Stored>) -> Result<Put> {
        let put = self.pages.keep(key, page);
        if let Some(gate) = &self.putting {
            gate.pass().await;
        }
        Ok(put)
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        self.removals.fetch_add(1, SeqCst);
        if self.is_stuck.load(SeqCst) {
            return Err(Error::Unavailable { backend: "shelf", queued: false, source: "no".into() });
        }
        self.pages.remove(keys).await
    }
}

/// A site whose page gets the tag `late` when the second gate opens.
struct Late {
    isr: Isr,
    shelf: Shelf,
    site: Site,
    late: Gate,
}

impl Late {
    fn new(shelf: Shelf) -> Self {
        let mut limits = prompt();
        limits.store_wait = std::time::Duration::from_secs(60);
        let isr =
            Isr::builder().limits(limits).build_id(BuildId::Ignore).store(shelf.clone()).build().unwrap();
        let (late, renders) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let gate = late.clone();
        let handler = axum::routing::get(move |isr: IsrContext| {
            let gate = gate.clone();
            let version = renders.fetch_add(1, SeqCst) + 1;
            async move {
                tokio::spawn(async move {
                    gate.pass().await;
                    isr.add_tags([Tag::named("late")]);
                    gate.pass().await;
                });
                format!("v{version}")
            }
        });
        let layer = IsrLayer::new(&isr).policy(lasting());
        let site = site(Router::new().route("/", handler.layer(layer)));
        Self { isr, shelf, site, late }
    }

    async fn text(&self) -> String {
        get(&self.site, "/").await.text().to_owned()
    }

    /// Has the tag come, once the page is stored.
    async fn tag(&self) {
        self.late.arrival().await;
        self.late.open(1);
        self.late.arrival().await;
    }

    async fn expire(&self) {
        self.isr.graph().expire_by_tags([Tag::named("late")]).await.unwrap();
    }
}

#[tokio::test]
async fn p01_p03_a_page_that_a_late_tag_killed_does_not_come_back_from_the_second_tier() {
    for is_stuck in [false, true] {
        let late = Late::new(Shelf::new(None));
        assert_eq!(late.text().await, "v1");
        late.isr.idle().await;
        late.shelf.is_stuck.store(is_stuck, SeqCst);
        late.tag().await;
        late.expire().await;
        assert_eq!(late.text().await, "v2", "stuck: {is_stuck}");
        late.isr.idle().await;
        assert!(late.shelf.removals.load(SeqCst) > 0);
    }
}

#[tokio::test]
async fn p01_p03_a_page_that_is_killed_leaves_the_second_tier() {
    let late = Late::new(Shelf::new(None));
    late.text().await;
    late.isr.idle().await;
    assert_eq!(late.shelf.pages.len(), 1);
    late.tag().await;
    late.isr.idle().await;
    assert!(late.shelf.pages.is_empty());
}

#[tokio::test]
async fn p01_p03_a_page_that_is_killed_while_it_is_written_down_does_not_come_back() {
    let putting = Gate::default();
    let late = Late::new(Shelf::new(Some(putting.clone())));
    let visit = tokio::spawn({
        let site = late.site.clone();
        async move { get(&site, "/").await.text().to_owned() }
    });
    putting.arrival().await;
    late.tag().await;
    late.expire().await;
    // It is written down by now, and the kill could not remove it before.
    putting.open(100);
    assert_eq!(visit.await.unwrap(), "v2");
    late.isr.idle().await;
    assert_eq!(late.text().await, "v2");
    assert!(late.shelf.removals.load(SeqCst) > 0);
}

#[tokio::test]
async fn p01_p03_what_could_not_be_removed_is_removed_when_it_is_met_again() {
    let late = Late::new(Shelf::new(None));
    late.text().await;
    late.isr.idle().await;
    late.shelf.is_stuck.store(true, SeqCst);
    late.tag().await;
    until(|| late.shelf.removals.load(SeqCst) > 0).await;
    late.isr.idle().await;
    assert_eq!(late.shelf.pages.len(), 1, "it is still there");
    assert!(!late.isr.health().is_good());
    late.expire().await;
    late.shelf.is_stuck.store(false, SeqCst);
    let before = late.shelf.removals.load(SeqCst);
    assert_eq!(late.text().await, "v2");
    until(|| late.shelf.removals.load(SeqCst) > before).await;
}
