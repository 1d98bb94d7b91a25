//! Queues that break their word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_isr_core::clock::Moment;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::queue::{Claim, DeadLetter, Finished, Job, MemoryQueue, Pushed, Queue, Rank, Window};
use edge_isr_core::testing::contract::{self, Time};
use edge_isr_core::{Reason, Result, async_trait};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    GivesAtOnce,
    LooksAtPathsOnly,
    ForgetsRanks,
    DropsTheLastEdit,
    WaitsOnceOnly,
    KeepsTheFirstWindow,
    DelaysTheSame,
    GivesTooMany,
    GivesTwice,
    NeverTakesOver,
    BelievesAnyone,
    RetriesAtOnce,
    CountsReleases,
    ForgetsTheDead,
    ClaimsToHaveRoom,
    RemembersAllDead,
}

/// A queue that is right but for one thing.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    queue: MemoryQueue,
    first_keys: Mutex<HashMap<String, CacheKey>>,
    windows: Mutex<HashMap<CacheKey, Window>>,
    tokens: Mutex<HashMap<CacheKey, u64>>,
    dead: Mutex<Vec<DeadLetter>>,
    pushes: Mutex<u64>,
}

fn broken(flaw: Flaw) -> Arc<Broken> {
    let queue = MemoryQueue::new(32);
    let (first_keys, windows, tokens, dead, pushes) = Default::default();
    Arc::new(Broken { flaw, queue, first_keys, windows, tokens, dead, pushes })
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn holder(&self, claim: Claim) -> Claim {
        let latest = self.tokens.lock().unwrap().get(&claim.job.key).copied();
        let token = latest.filter(|_| self.has(Flaw::BelievesAnyone)).unwrap_or(claim.token);
        Claim { token, ..claim }
    }
}

#[async_trait]
impl Queue for Broken {
    async fn push(&self, mut job: Job, mut window: Window, now: Moment) -> Result<Pushed> {
        match self.flaw {
            Flaw::GivesAtOnce => window = Window::default(),
            Flaw::WaitsOnceOnly => window.most = window.quiet,
            Flaw::KeepsTheFirstWindow => {
                window = *self.windows.lock().unwrap().entry(job.key.clone()).or_insert(window);
            }
            Flaw::ForgetsRanks => job.rank = Rank::default(),
            Flaw::LooksAtPathsOnly => {
                let first = self
                    .first_keys
                    .lock()
                    .unwrap()
                    .entry(job.key.path().to_owned())
                    .or_insert(job.key.clone())
                    .clone();
                job.key = first;
            }
            Flaw::DelaysTheSame => {
                let mut pushes = self.pushes.lock().unwrap();
                *pushes += 10;
                job.want = *pushes;
            }
            _ => {}
        }
        match self.queue.push(job, window, now).await? {
            Pushed::Full if self.has(Flaw::ClaimsToHaveRoom) => Ok(Pushed::Queued),
            pushed => Ok(pushed),
        }
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        let (limit, lease) = match self.flaw {
            Flaw::GivesTooMany => (limit + 1, lease),
            Flaw::GivesTwice => (limit, Duration::ZERO),
            Flaw::NeverTakesOver => (limit, lease * 1000),
            _ => (limit, lease),
        };
        let claims = self.queue.claim(limit, lease, now).await?;
        self.tokens.lock().unwrap().extend(claims.iter().map(|claim| (claim.job.key.clone(), claim.token)));
        Ok(claims)
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        let rendered = if self.has(Flaw::DropsTheLastEdit) { u64::MAX } else { rendered };
        self.queue.finish(self.holder(claim), rendered).await
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        let not_before = if self.has(Flaw::RetriesAtOnce) { Moment::default() } else { not_before };
        self.queue.retry(self.holder(claim), not_before).await
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        if self.has(Flaw::CountsReleases) {
            return self.queue.retry(claim, not_before).await;
        }
        self.queue.release(self.holder(claim), not_before).await
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        if self.has(Flaw::ForgetsTheDead) {
            return self.queue.finish(claim, u64::MAX).await;
        }
        let dead = DeadLetter { job: claim.job.clone(), attempts: claim.attempts + 1, reason };
        self.dead.lock().unwrap().insert(0, dead);
        self.queue.bury(self.holder(claim), reason).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        if self.has(Flaw::RemembersAllDead) {
            return Ok(self.dead.lock().unwrap().iter().take(limit).cloned().collect());
        }
        self.queue.dead_letters(limit).await
    }
}

#[test]
#[should_panic(expected = "nothing is ready")]
fn a_burst_waits_for_the_last_window() {
    let queue = broken(Flaw::KeepsTheFirstWindow);
    contract::run(contract::queue::a_burst_waits_until_it_is_quiet(queue, &Time::by_hand()));
}

crate::must_fail! {
    queue,
    a_pushed_job_is_claimed(broken(Flaw::GivesAtOnce), &Time::by_hand()): "nothing is ready",
    each_page_has_a_job_of_its_own(broken(Flaw::LooksAtPathsOnly), &Time::by_hand()): "right: Queued",
    jobs_coalesce(broken(Flaw::ForgetsRanks), &Time::by_hand()): "left == right",
    the_last_edit_is_never_lost(broken(Flaw::DropsTheLastEdit), &Time::by_hand()): "right: Again",
    a_burst_waits_until_it_is_quiet(broken(Flaw::WaitsOnceOnly), &Time::by_hand()): "nothing is ready",
    what_asks_for_nothing_later_delays_nothing(broken(Flaw::DelaysTheSame), &Time::by_hand()): "is ready",
    the_highest_rank_comes_first(broken(Flaw::ForgetsRanks), &Time::by_hand()): "right: [6, 9, 7",
    claims_are_bounded(broken(Flaw::GivesTooMany), &Time::by_hand()): "right: [0, 2",
    a_claimed_job_is_its_holders(broken(Flaw::GivesTwice), &Time::by_hand()): "right: (32, 32)",
    an_expired_lease_is_taken_over(broken(Flaw::NeverTakesOver), &Time::by_hand()): "the lease is over",
    only_the_holder_ends_a_claim(broken(Flaw::BelievesAnyone), &Time::by_hand()): "right: Lost",
    retries_wait(broken(Flaw::RetriesAtOnce), &Time::by_hand()): "nothing is ready",
    a_released_job_is_as_before(broken(Flaw::CountsReleases), &Time::by_hand()): "left == right",
    a_buried_job_is_listed(broken(Flaw::ForgetsTheDead), &Time::by_hand()): "as many as were asked for",
    the_queue_is_bounded(broken(Flaw::ClaimsToHaveRoom), &Time::by_hand(), 32): "right: Full",
    the_dead_are_bounded(broken(Flaw::RemembersAllDead), &Time::by_hand(), 32): "33 are remembered",
}
