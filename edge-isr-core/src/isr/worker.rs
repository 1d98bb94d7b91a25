//! Renders invalidated pages before anyone asks, then tells the caches in front.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Isr;
use super::purge::{Listed, Telling};
use super::sweeps::{Sweep, Sweeps};
use crate::error::Result;
use crate::graph::Cursor;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::model::snapshot::{Mode, Snapshot};
use crate::model::verdict::{Staleness, Verdict};
use crate::origin::{Origin, Refill, Refilled};
use crate::queue::{Claim, Finished, Job, Pushed, Rank, Window};

/// How many pages of a sweep are listed at a time.
const BATCH: usize = 64;
/// From how many pages that wait for their render on no further ones are listed.
const MOST_WAITING: usize = 4 * BATCH;
/// The most sweeps that are under way at once.
const MOST_UNDERWAY: usize = 256;
/// How often a job is tried before the page is left to its next visitor.
const ATTEMPTS: u32 = 3;
/// How long to wait before a job is tried again, times the attempts so far.
const BACKOFF: Duration = Duration::from_secs(1);

/// A sweep that is under way: which jobs it still waits for, and whether all of them are known.
#[derive(Debug)]
struct Underway {
    sweep: Sweep,
    left: usize,
    /// The URLs it came across, for caches that know no tags.
    listed: Listed,
    /// The tag being listed and where; `None` once all are.
    at: Option<(usize, Option<Cursor>)>,
}

/// One worker.
#[derive(Debug)]
struct Worker {
    isr: Isr,
    origin: Arc<dyn Origin>,
    underway: HashMap<u64, Underway>,
    next_id: u64,
    /// The sweep whose pages are being listed.
    listing: Option<u64>,
    /// Which sweeps wait for a page.
    waiting: HashMap<CacheKey, Vec<u64>>,
    renders: JoinSet<(Claim, Result<Refilled>)>,
    purges: JoinSet<()>,
}

/// Counts a worker in for as long as it runs, however it ends.
struct Attached<'a>(&'a Sweeps);

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.0.detach();
    }
}

impl Isr {
    /// Works until [`Isr::shutdown`]: renders the pages of each invalidation through `origin`, then has the
    /// connectors purge. Begins to count as a worker when it is first polled.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the renders it began for nobody else; what was marked stays marked, and the
    /// next visitor's request renders it.
    pub async fn work(self, origin: Arc<dyn Origin>) {
        if self.is_disabled() {
            return;
        }
        let isr = self.clone();
        isr.0.sweeps.attach();
        let _attached = Attached(&isr.0.sweeps);
        let worker = Worker {
            isr: self,
            origin,
            underway: HashMap::new(),
            next_id: 0,
            listing: None,
            waiting: HashMap::new(),
            renders: JoinSet::new(),
            purges: JoinSet::new(),
        };
        worker.run().await;
    }
}

impl Worker {
    async fn run(mut self) {
        while !self.isr.0.sweeps.is_closed() {
            let progressed = self.list().await | self.start().await;
            if progressed {
                continue;
            }
            let isr = self.isr.clone();
            // A job that is to be tried again becomes ready without a sign; look now and then.
            let look_again = tokio::time::sleep(Duration::from_millis(200));
            tokio::select! {
                Some(done) = self.renders.join_next() => self.finish(done).await,
                Some(_) = self.purges.join_next() => {}
                // Only while `list` would take one: this is ready as long as any waits.
                () = isr.0.sweeps.woken(), if self.takes_another() => {}
                () = look_again, if !self.waiting.is_empty() => self.push_again().await,
            }
        }
        // What is in the air lands; `shutdown` has the deadline.
        let aborted = self.isr.clone();
        tokio::select! {
            () = async {
                while let Some(done) = self.renders.join_next().await {
                    self.finish(done).await;
                }
                while self.purges.join_next().await.is_some() {}
            } => {}
            () = aborted.aborted() => {}
        }
    }

    /// Whether there is room for another sweep.
    fn takes_another(&self) -> bool {
        self.listing.is_none() && self.waiting.len() < MOST_WAITING && self.underway.len() < MOST_UNDERWAY
    }

    /// Takes up the next sweep, or lists some more of the one at hand. Lists no further than there is to do.
    async fn list(&mut self) -> bool {
        if self.waiting.len() >= MOST_WAITING {
            return false;
        }
        if self.takes_another() {
            let Some(sweep) = self.isr.0.sweeps.take() else { return false };
            let id = self.next_id;
            self.next_id += 1;
            self.underway
                .insert(id, Underway { sweep, left: 0, listed: Listed::default(), at: Some((0, None)) });
            self.listing = Some(id);
        }
        let Some(id) = self.listing else { return false };
        let Some(underway) = self.underway.get_mut(&id) else { return false };
        let Some((nth, after)) = underway.at else { return false };
        let tag = &underway.sweep.tags[nth];
        let members = self.isr.members(tag, after, BATCH);
        if self.isr.is_told_in_urls(tag) {
            underway.listed.add(tag, &members);
        }
        let want = underway.sweep.seq;
        let more = members.next.is_some() || nth + 1 < underway.sweep.tags.len();
        underway.at = match members.next {
            Some(cursor) => Some((nth, Some(cursor))),
            None if more => Some((nth + 1, None)),
            None => None,
        };
        for key in members.keys {
            self.push(id, key, want).await;
        }
        if !more {
            self.listing = None;
            self.settle(id);
        }
        // A long walk must not keep others from the thread.
        tokio::task::yield_now().await;
        true
    }

    async fn push(&mut self, id: u64, key: CacheKey, want: u64) {
        if self.is_satisfied(&key, want) {
            return;
        }
        let pushed = self.isr.0.queue.push(job(&key, want), Window::default(), self.isr.0.clock.now()).await;
        if matches!(pushed, Ok(Pushed::Queued | Pushed::Coalesced)) {
            let owners = self.waiting.entry(key).or_default();
            if !owners.contains(&id) {
                owners.push(id);
                if let Some(underway) = self.underway.get_mut(&id) {
                    underway.left += 1;
                }
            }
        }
        if matches!(pushed, Ok(Pushed::Full) | Err(_)) {
            // The page is left to its next visitor: it is marked, so nothing is lost.
            let advice =
                "raise `limits.jobs`, or look after the queue; pages are rendered for their next visitors";
            self.isr.note(Reason::QueueFull, "queue", advice);
        }
    }

    /// Another worker may have taken a job of ours, and be done with it or have given it up: then it is queued
    /// again, and ours to finish.
    async fn push_again(&self) {
        for (key, owners) in &self.waiting {
            let want =
                owners.iter().filter_map(|id| self.underway.get(id)).map(|underway| underway.sweep.seq).max();
            let Some(want) = want else { continue };
            let now = self.isr.0.clock.now();
            let _ = self.isr.0.queue.push(job(key, want), Window::default(), now).await;
        }
    }

    /// Whether the page is new enough, was not invalidated at all, or is not there to be renewed: one that was
    /// evicted is left to its next visitor.
    fn is_satisfied(&self, key: &CacheKey, want: u64) -> bool {
        let inner = &self.isr.0;
        let Some(page) = inner.pages.peek(key) else { return inner.store.is_none() };
        if page.birth().snapshot.seq >= want {
            return true;
        }
        // Before the marks are read: what is applied later is not remembered as seen.
        let applied = inner.graph.ledger().applied();
        let verdict = page.judge(inner.clock.now(), &self.isr.marks_of(&page), applied);
        matches!(verdict, Verdict::Fresh | Verdict::Stale(Staleness::Aged))
    }

    /// Begins as many renders as there is room for.
    async fn start(&mut self) -> bool {
        let room = self.isr.0.limits.worker_renders.saturating_sub(self.renders.len());
        if room == 0 || self.waiting.is_empty() {
            return false;
        }
        // An application that hangs before any layer is reached has no other bound.
        let patience = self.isr.0.limits.render_timeout.saturating_mul(2);
        let lease = patience.saturating_add(self.isr.0.limits.render_timeout);
        let claims = self.isr.0.queue.claim(room, lease, self.isr.0.clock.now()).await.unwrap_or_default();
        let any = !claims.is_empty();
        for claim in claims {
            let refill = Refill { key: claim.job.key.clone(), want: claim.job.want };
            let satisfied = self.is_satisfied(&refill.key, refill.want);
            let origin = Arc::clone(&self.origin);
            let incarnation = self.isr.0.graph.ledger().incarnation();
            self.renders.spawn(async move {
                if satisfied {
                    let reached = Snapshot { incarnation, seq: refill.want };
                    return (claim, Ok(Refilled::Done(reached)));
                }
                // In a task of its own: an application that panics costs one job, not the worker.
                let refilling = async move { tokio::time::timeout(patience, origin.refill(&refill)).await };
                let refilled = match tokio::spawn(refilling).await {
                    Ok(Ok(refilled)) => refilled,
                    Ok(Err(_)) => Ok(Refilled::Failed(Reason::RenderTimeout)),
                    Err(_) => Ok(Refilled::Failed(Reason::RenderPanicked)),
                };
                (claim, refilled)
            });
        }
        any
    }

    async fn finish(&mut self, done: std::result::Result<(Claim, Result<Refilled>), tokio::task::JoinError>) {
        // Only an aborted task has no answer, and nobody aborts these while the worker runs.
        let Ok((claim, refilled)) = done else { return };
        let key = claim.job.key.clone();
        let queue = Arc::clone(&self.isr.0.queue);
        let route = &*key.scope().route;
        match refilled {
            Ok(Refilled::Done(snapshot)) => {
                if matches!(queue.finish(claim, snapshot.seq).await, Ok(Finished::Again)) {
                    return;
                }
            }
            Ok(Refilled::Unreached) => {
                self.isr.note(
                    Reason::RefillUnreached,
                    route,
                    "give `worker` the finished application, with the layer that serves this route",
                );
                let _ = queue.bury(claim, Reason::RefillUnreached).await;
            }
            Ok(Refilled::Failed(_)) | Err(_) => {
                self.isr.note(
                    Reason::RefillFailed,
                    route,
                    "the last good page is kept; see why the handler fails",
                );
                let attempts = claim.attempts + 1;
                if attempts < ATTEMPTS {
                    let _ = queue.retry(claim, self.isr.0.clock.now().after(BACKOFF * attempts)).await;
                    return;
                }
                let _ = queue.bury(claim, Reason::RefillFailed).await;
            }
        }
        for id in self.waiting.remove(&key).unwrap_or_default() {
            if let Some(underway) = self.underway.get_mut(&id) {
                underway.left -= 1;
            }
            self.settle(id);
        }
    }

    /// When every page of a sweep is done, has the caches in front forget the old ones: now that the new
    /// ones stand there. After a hard invalidation once more, for what was in flight.
    fn settle(&mut self, id: u64) {
        if self.underway.get(&id).is_none_or(|underway| underway.left > 0 || underway.at.is_some()) {
            return;
        }
        let Some(Underway { sweep, listed, .. }) = self.underway.remove(&id) else { return };
        if self.isr.0.connectors.is_empty() {
            return;
        }
        let isr = self.isr.clone();
        self.purges.spawn(async move {
            // The whole of it: `idle` waits for its guard.
            let sweep = sweep;
            if sweep.mode == Mode::Hard {
                tokio::time::sleep(isr.0.limits.settle).await;
            }
            let (tags, mode, purges) = (&*sweep.tags, sweep.mode, &*sweep.purges);
            isr.purge(&Telling { tags, mode, listed: &listed, purges, is_first: false }).await;
        });
    }
}

fn job(key: &CacheKey, want: u64) -> Job {
    Job { key: key.clone(), want, rank: Rank::default() }
}
