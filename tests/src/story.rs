//! A site of one kind of page, `/pages/{id}` with the tag `page:<id>`, and what one does to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, Limits, Mode, Receipt};
use edge_isr_core::testing::ManualClock;
use tokio::task::JoinHandle;

use crate::answer::{Answer, get};
use crate::page::Page;
use crate::site::{Position, Site, place};

/// A site with one kind of page.
#[derive(Debug, Clone)]
pub struct Story {
    /// The handle.
    pub isr: Isr,
    /// Its clock.
    pub clock: ManualClock,
    /// The handler.
    pub page: Page,
    /// The application.
    pub site: Site,
}

/// Fresh for 300 s, then an hour while one render runs.
pub fn lasting() -> Policy {
    Policy::new().s_maxage(Duration::from_secs(300)).stale_while_revalidate(Duration::from_secs(3600))
}

/// The default bounds, and a worker that renders at once: the manual clock stands still, so no page would ever have
/// been left alone for long enough.
#[must_use]
pub fn prompt() -> Limits {
    let mut limits = Limits::default();
    limits.quiet = Duration::ZERO;
    limits
}

impl Story {
    /// A site whose pages are [`lasting`].
    #[must_use]
    pub fn at(position: Position) -> Self {
        Self::with(position, lasting(), |builder| builder)
    }

    /// A site with settings of its own.
    pub fn with(position: Position, policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let (clock, page) = (ManualClock::default(), Page::default());
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone())).limits(prompt()))
            .build()
            .expect("right settings");
        let site = place(position, &isr, "/pages/{id}", policy, path_tag("page:{id}"), page.handler());
        Self { isr, clock, page, site }
    }

    /// A visitor's `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        get(&self.site, path).await
    }

    /// Whether a page stands there with this text, rendered by nobody's visit.
    pub async fn is_fresh(&self, path: &str, text: &str) -> bool {
        let before = self.page.renders();
        let answer = self.get(path).await;
        answer.is_fresh_hit() && answer.text() == text && self.page.renders() == before
    }

    /// Stores so many pages, from `/pages/0` on, that carry the tag `list`.
    pub async fn list(&self, pages: u64) {
        self.page.tags([Tag::named("list")]);
        for id in 0..pages {
            self.get(&format!("/pages/{id}")).await;
        }
    }

    /// A visitor whose request is on its way: it has looked up, and leads or follows.
    pub async fn begun(&self, path: &str) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (site, path) = (self.site.clone(), path.to_owned());
        begun(async move { get(&site, &path).await }).await
    }

    /// Invalidates `page:<id>`.
    pub async fn invalidate(&self, id: u64, mode: Mode) -> Receipt {
        let (graph, tags) = (self.isr.graph(), [tag("page", id)]);
        let receipt = match mode {
            Mode::Soft => graph.revalidate_by_tags(tags).await,
            Mode::Hard => graph.expire_by_tags(tags).await,
        };
        receipt.expect("nothing is unreachable in memory")
    }

    /// Lets both times go on, the manual clock's and the timers', in steps of so long. For a runtime whose time is
    /// paused.
    pub async fn pass(&self, time: Duration, step: Duration) {
        let mut passed = Duration::ZERO;
        while passed < time {
            self.clock.advance(step);
            tokio::time::sleep(step).await;
            passed += step;
        }
    }

    /// A worker that is at work.
    pub async fn worker(&self) -> JoinHandle<()> {
        tokio::spawn(begun(self.isr.worker(self.site.clone())).await)
    }
}

/// Polls a future once, so that what it begins with has happened.
pub async fn begun<F: Future + Send + 'static>(future: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>> {
    let mut future: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(future);
    std::future::poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "it should have had to wait");
        Poll::Ready(())
    })
    .await;
    future
}

/// Lets the other tasks go on until this is so.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    crate::gate::within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
