//! What every [`Queue`] promises. Each clause has a queue of its own, which is empty.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Time;
use super::time::UNIT;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::queue::{Claim, Finished, Job, Priority, Pushed, Queue, Rank, Window};
use crate::testing::sample;

/// Makes a test of each clause of [`Queue`](crate::Queue)'s contract.
///
/// ```
/// use edge_isr_core::queue::MemoryQueue;
/// use edge_isr_core::testing::contract::Time;
///
/// edge_isr_core::queue_contract!(queue, MemoryQueue::new(32), most_jobs: 32);
/// # #[cfg(any())]
/// edge_isr_core::queue_contract!(shared, Mine::connect().await, most_jobs: 32, time: Time::real());
/// ```
///
/// The second argument makes an empty queue that nobody else uses; `most_jobs` is its bound, at least 32. A queue
/// that goes by a clock of its own says `time: Time::real()`.
#[macro_export]
macro_rules! queue_contract {
    ($name:ident, $make:expr, most_jobs: $most:expr $(,)?) => {
        $crate::queue_contract!($name, $make, most_jobs: $most,
            time: $crate::testing::contract::Time::by_hand());
    };
    ($name:ident, $make:expr, most_jobs: $most:expr, time: $time:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::__contract_clauses!(queue, (::std::sync::Arc::new($make), &$time), [
                a_pushed_job_is_claimed,
                each_page_has_a_job_of_its_own,
                jobs_coalesce,
                the_last_edit_is_never_lost,
                a_burst_waits_until_it_is_quiet,
                what_asks_for_nothing_later_delays_nothing,
                the_highest_rank_comes_first,
                claims_are_bounded,
                a_claimed_job_is_its_holders,
                an_expired_lease_is_taken_over,
                only_the_holder_ends_a_claim,
                retries_wait,
                a_released_job_is_as_before,
                a_buried_job_is_listed,
            ]);
            $crate::__contract_clauses!(queue, (::std::sync::Arc::new($make), &$time, $most), [
                the_queue_is_bounded,
                the_dead_are_bounded,
            ]);
        }
    };
}

/// Longer than a clause takes.
const LEASE: Duration = Duration::from_secs(60);
/// How long what is pushed at once has to wait.
const AT_ONCE: Window = Window { quiet: Duration::ZERO, most: Duration::ZERO };

fn job(key: &CacheKey, want: u64) -> Job {
    Job { key: key.clone(), want, rank: Rank::default() }
}

async fn push(queue: &Arc<dyn Queue>, time: &Time, job: &Job, window: Window) -> Pushed {
    queue.push(job.clone(), window, time.now()).await.expect("a queue that is there takes jobs")
}

async fn claim(queue: &Arc<dyn Queue>, time: &Time, limit: usize) -> Vec<Claim> {
    queue.claim(limit, LEASE, time.now()).await.expect("a queue that is there gives jobs")
}

/// The only job that is ready.
async fn claim_one(queue: &Arc<dyn Queue>, time: &Time) -> Claim {
    let mut claims = claim(queue, time, 10).await;
    assert_eq!(claims.len(), 1, "one job is ready: {claims:?}");
    claims.remove(0)
}

async fn claim_none(queue: &Arc<dyn Queue>, time: &Time) {
    let claims = claim(queue, time, 10).await;
    assert!(claims.is_empty(), "nothing is ready: {claims:?}");
}

async fn finish(queue: &Arc<dyn Queue>, claim: Claim, rendered: u64) -> Finished {
    queue.finish(claim, rendered).await.expect("a queue that is there ends claims")
}

async fn bury(queue: &Arc<dyn Queue>, claim: Claim) -> Finished {
    queue.bury(claim, Reason::RefillFailed).await.expect("a queue that is there ends claims")
}

async fn retry(queue: &Arc<dyn Queue>, time: &Time, claim: Claim, wait: Duration) {
    let until = time.now().after(wait);
    queue.retry(claim, until).await.expect("a queue that is there takes jobs back");
}

async fn release(queue: &Arc<dyn Queue>, time: &Time, claim: Claim, wait: Duration) {
    let until = time.now().after(wait);
    queue.release(claim, until).await.expect("a queue that is there takes jobs back");
}

async fn dead(queue: &Arc<dyn Queue>, limit: usize) -> Vec<CacheKey> {
    let dead = queue.dead_letters(limit).await.expect("a queue that is there lists its dead");
    dead.into_iter().map(|dead| dead.job.key).collect()
}

/// Once its window is over and not before, with the key, the snapshot and the rank it was pushed with.
pub async fn a_pushed_job_is_claimed(queue: Arc<dyn Queue>, time: &Time) {
    let rank = Rank { priority: Priority::High, visits: 3 };
    let job = Job { rank, ..job(&sample::key(), 7) };
    let window = Window { quiet: 2 * UNIT, most: 9 * UNIT };
    assert_eq!(push(&queue, time, &job, window).await, Pushed::Queued);
    claim_none(&queue, time).await;
    time.pass(UNIT).await;
    claim_none(&queue, time).await;
    time.pass(UNIT).await;
    let claimed = claim_one(&queue, time).await;
    assert_eq!((&claimed.job, claimed.attempts), (&job, 0));
    assert_eq!(finish(&queue, claimed, 7).await, Finished::Done);
    claim_none(&queue, time).await;
}

/// Each variant of a URL is a page, and keys are compared whole.
pub async fn each_page_has_a_job_of_its_own(queue: Arc<dyn Queue>, time: &Time) {
    let keys = sample::neighbors();
    for (key, want) in keys.iter().zip(1..) {
        assert_eq!(push(&queue, time, &job(key, want), AT_ONCE).await, Pushed::Queued);
    }
    for claim in claim(&queue, time, keys.len()).await {
        let want = keys.iter().zip(1..).find(|(key, _)| **key == claim.job.key).map(|(_, want)| want);
        assert_eq!(Some(claim.job.want), want, "it is another page's");
        let want = claim.job.want;
        assert_eq!(finish(&queue, claim, want).await, Finished::Done);
    }
    claim_none(&queue, time).await;
}

/// A page has one job at a time, which wants the largest snapshot in the highest rank it was pushed with.
pub async fn jobs_coalesce(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    let ranked = |want, priority, visits| Job { rank: Rank { priority, visits }, ..job(&key, want) };
    assert_eq!(push(&queue, time, &ranked(300, Priority::Normal, 4), AT_ONCE).await, Pushed::Queued);
    assert_eq!(push(&queue, time, &ranked(9, Priority::High, 2), AT_ONCE).await, Pushed::Coalesced);
    assert_eq!(push(&queue, time, &ranked(200, Priority::Low, 900), AT_ONCE).await, Pushed::Coalesced);
    let claimed = claim_one(&queue, time).await;
    assert_eq!(claimed.job, ranked(300, Priority::High, 2));
    assert_eq!(finish(&queue, claimed, 300).await, Finished::Done);
    claim_none(&queue, time).await;
}

/// A job that ends below what is wanted by then waits again. If that was asked for while it ran, its attempts
/// begin anew.
pub async fn the_last_edit_is_never_lost(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    push(&queue, time, &job(&key, 1), AT_ONCE).await;
    let claimed = claim_one(&queue, time).await;
    retry(&queue, time, claimed, Duration::ZERO).await;
    let claimed = claim_one(&queue, time).await;
    assert_eq!(push(&queue, time, &job(&key, 2), AT_ONCE).await, Pushed::Coalesced);
    claim_none(&queue, time).await;
    assert_eq!(finish(&queue, claimed, 1).await, Finished::Again);
    let claimed = claim_one(&queue, time).await;
    assert_eq!((claimed.job.want, claimed.attempts), (2, 0));
    assert_eq!(push(&queue, time, &job(&key, 3), AT_ONCE).await, Pushed::Coalesced);
    assert_eq!(bury(&queue, claimed).await, Finished::Again, "nobody tried the last edit yet");
    assert!(dead(&queue, 10).await.is_empty());
    let claimed = claim_one(&queue, time).await;
    assert_eq!((claimed.job.want, claimed.attempts), (3, 0));
    assert_eq!(finish(&queue, claimed, 2).await, Finished::Again, "it began too early");
    let claimed = claim_one(&queue, time).await;
    assert_eq!(claimed.job.want, 3);
    assert_eq!(push(&queue, time, &job(&key, 4), AT_ONCE).await, Pushed::Coalesced);
    assert_eq!(finish(&queue, claimed, 5).await, Finished::Done, "the render had seen the edit");
    claim_none(&queue, time).await;
}

/// A job is ready once `quiet` has passed since its last push, and at the latest `most` after its first. The last
/// push's window counts.
pub async fn a_burst_waits_until_it_is_quiet(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    let window = Window { quiet: 3 * UNIT, most: 6 * UNIT };
    for want in 1..=3 {
        push(&queue, time, &job(&key, want), window).await;
        time.pass(2 * UNIT - UNIT / 4).await;
        claim_none(&queue, time).await;
    }
    // The last push alone would have it wait until 6.5, the first until 6.
    time.pass(UNIT).await;
    let claimed = claim_one(&queue, time).await;
    assert_eq!(claimed.job.want, 3);
    // The same holds for what is pushed while the job runs.
    push(&queue, time, &job(&key, 4), window).await;
    assert_eq!(finish(&queue, claimed, 3).await, Finished::Again);
    claim_none(&queue, time).await;
    time.pass(3 * UNIT).await;
    assert_eq!(claim_one(&queue, time).await.job.want, 4);
    // A later push may have the job wait for longer than the first one did, or for less.
    let (short, long) = (Window { quiet: UNIT, most: UNIT }, Window { quiet: 4 * UNIT, most: 9 * UNIT });
    for (first, last, quiet) in [(short, long, 4), (long, short, 1)] {
        let key = sample::key();
        push(&queue, time, &job(&key, 1), first).await;
        time.pass(UNIT / 2).await;
        push(&queue, time, &job(&key, 2), last).await;
        time.pass(quiet * UNIT - UNIT / 2).await;
        if quiet > 1 {
            claim_none(&queue, time).await;
        }
        time.pass(UNIT / 2).await;
        assert_eq!(claim_one(&queue, time).await.job.key, key);
    }
}

/// A push of a snapshot that is wanted already changes no time.
pub async fn what_asks_for_nothing_later_delays_nothing(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    let window = Window { quiet: 2 * UNIT, most: 9 * UNIT };
    push(&queue, time, &job(&key, 5), window).await;
    time.pass(UNIT).await;
    push(&queue, time, &job(&key, 5), window).await;
    push(&queue, time, &job(&key, 4), AT_ONCE).await;
    claim_none(&queue, time).await;
    time.pass(UNIT).await;
    let claimed = claim_one(&queue, time).await;
    push(&queue, time, &job(&key, 5), window).await;
    assert_eq!(finish(&queue, claimed, 5).await, Finished::Done);
}

/// Of the jobs that are ready, also within one claim: by priority, then by visits, then by age.
pub async fn the_highest_rank_comes_first(queue: Arc<dyn Queue>, time: &Time) {
    use Priority::{High, Low, Normal};
    let pushed = [(Low, 90), (Normal, 0), (Normal, 5), (High, 0), (Normal, 5), (High, 200), (High, 30)];
    for ((priority, visits), want) in pushed.into_iter().zip(1..) {
        let rank = Rank { priority, visits };
        push(&queue, time, &Job { rank, ..job(&sample::key(), want) }, AT_ONCE).await;
    }
    let waits = Job { rank: Rank { priority: High, visits: 999 }, ..job(&sample::key(), 8) };
    push(&queue, time, &waits, Window { quiet: LEASE, most: LEASE }).await;
    // A rank that is raised by a further push counts from then on.
    let raised = sample::key();
    push(&queue, time, &job(&raised, 9), AT_ONCE).await;
    let rank = Rank { priority: High, visits: 100 };
    push(&queue, time, &Job { rank, ..job(&raised, 9) }, AT_ONCE).await;
    let mut wants = Vec::new();
    for limit in [1, 1, 2, 10] {
        wants.extend(claim(&queue, time, limit).await.iter().map(|claim| claim.job.want));
    }
    assert_eq!(wants, [6, 9, 7, 4, 3, 5, 2, 1]);
}

/// `claim` gives at most `limit`.
pub async fn claims_are_bounded(queue: Arc<dyn Queue>, time: &Time) {
    for _ in 0..5 {
        push(&queue, time, &job(&sample::key(), 1), AT_ONCE).await;
    }
    let mut counts = Vec::new();
    for limit in [0, 2, 0, 10, 10] {
        counts.push(claim(&queue, time, limit).await.len());
    }
    assert_eq!(counts, [0, 2, 0, 3, 0]);
}

/// Nobody else claims it before the lease ends, however many try at once.
pub async fn a_claimed_job_is_its_holders(queue: Arc<dyn Queue>, time: &Time) {
    const JOBS: usize = 32;
    for _ in 0..JOBS {
        push(&queue, time, &job(&sample::key(), 1), AT_ONCE).await;
    }
    let (runtime, now) = (tokio::runtime::Handle::current(), time.now());
    let claimers: Vec<_> = (0..8)
        .map(|_| {
            let (queue, runtime) = (Arc::clone(&queue), runtime.clone());
            // Threads, not tasks, so that claims meet inside the queue.
            tokio::task::spawn_blocking(move || {
                let claim = || runtime.block_on(queue.claim(3, 4 * UNIT, now));
                let claim = || claim().expect("a queue that is there gives jobs");
                (0..JOBS).flat_map(|_| claim()).map(|claim| claim.job.key).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for claimer in claimers {
        claimed.extend(claimer.await.expect("a claim does not panic"));
    }
    assert_eq!((claimed.len(), claimed.into_iter().collect::<HashSet<_>>().len()), (JOBS, JOBS));
    time.pass(2 * UNIT).await;
    claim_none(&queue, time).await;
}

/// By the next `claim`, which counts an attempt and has a token of its own.
pub async fn an_expired_lease_is_taken_over(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    push(&queue, time, &job(&key, 7), AT_ONCE).await;
    let mut tokens = HashSet::new();
    for attempts in 0..3 {
        let claims = queue.claim(10, 2 * UNIT, time.now()).await.expect("a queue that is there gives jobs");
        assert_eq!(claims.len(), 1, "the lease is over");
        assert_eq!((claims[0].attempts, &claims[0].job), (attempts, &job(&key, 7)));
        assert!(tokens.insert(claims[0].token), "each claim has a token of its own");
        time.pass(UNIT).await;
        claim_none(&queue, time).await;
        time.pass(UNIT).await;
    }
}

/// What the holder of an older claim says changes nothing.
pub async fn only_the_holder_ends_a_claim(queue: Arc<dyn Queue>, time: &Time) {
    push(&queue, time, &job(&sample::key(), 7), AT_ONCE).await;
    let old = queue.claim(1, UNIT, time.now()).await.expect("a queue that is there gives jobs").remove(0);
    let old = || Claim { job: old.job.clone(), attempts: old.attempts, token: old.token };
    time.pass(UNIT).await;
    let new = claim_one(&queue, time).await;
    for _ in 0..2 {
        assert_eq!(finish(&queue, old(), 7).await, Finished::Lost);
        assert_eq!(bury(&queue, old()).await, Finished::Lost);
        retry(&queue, time, old(), Duration::ZERO).await;
        release(&queue, time, old(), Duration::ZERO).await;
        claim_none(&queue, time).await;
    }
    assert_eq!(finish(&queue, new, 7).await, Finished::Done);
    assert_eq!(finish(&queue, old(), 7).await, Finished::Lost, "the job is gone");
    retry(&queue, time, old(), Duration::ZERO).await;
    claim_none(&queue, time).await;
    assert!(dead(&queue, 10).await.is_empty());
}

/// A retried job is not claimed before its time, whatever is pushed, and has one attempt more.
pub async fn retries_wait(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    push(&queue, time, &job(&key, 7), AT_ONCE).await;
    for attempts in 0..3 {
        let claimed = claim_one(&queue, time).await;
        assert_eq!((claimed.attempts, claimed.job.want), (attempts, 7 + u64::from(attempts)));
        retry(&queue, time, claimed, 2 * UNIT).await;
        claim_none(&queue, time).await;
        push(&queue, time, &job(&key, 8 + u64::from(attempts)), AT_ONCE).await;
        time.pass(UNIT).await;
        claim_none(&queue, time).await;
        time.pass(UNIT).await;
    }
}

/// A released job is not claimed before its time, whatever is pushed, and no attempt is counted.
pub async fn a_released_job_is_as_before(queue: Arc<dyn Queue>, time: &Time) {
    let key = sample::key();
    push(&queue, time, &job(&key, 7), AT_ONCE).await;
    for attempts in 0..2 {
        for want in 8..10 {
            let claimed = claim_one(&queue, time).await;
            assert_eq!(claimed.attempts, attempts);
            release(&queue, time, claimed, 2 * UNIT).await;
            claim_none(&queue, time).await;
            push(&queue, time, &job(&key, want + u64::from(attempts) * 2), AT_ONCE).await;
            time.pass(UNIT).await;
            claim_none(&queue, time).await;
            time.pass(UNIT).await;
        }
        let claimed = claim_one(&queue, time).await;
        retry(&queue, time, claimed, Duration::ZERO).await;
    }
}

/// As a dead letter, the last first, until its page is pushed again.
pub async fn a_buried_job_is_listed(queue: Arc<dyn Queue>, time: &Time) {
    let keys = [sample::key(), sample::key(), sample::key()];
    for key in &keys {
        push(&queue, time, &job(key, 7), AT_ONCE).await;
        let claimed = claim_one(&queue, time).await;
        retry(&queue, time, claimed, Duration::ZERO).await;
        let claimed = claim_one(&queue, time).await;
        assert_eq!(bury(&queue, claimed).await, Finished::Done);
        claim_none(&queue, time).await;
    }
    let last = queue.dead_letters(1).await.expect("a queue that is there lists its dead");
    assert_eq!(last.len(), 1, "at most as many as were asked for");
    assert_eq!((&last[0].job, last[0].attempts), (&job(&keys[2], 7), 2));
    assert_eq!(last[0].reason, Reason::RefillFailed);
    assert_eq!(dead(&queue, 10).await, [keys[2].clone(), keys[1].clone(), keys[0].clone()]);
    assert_eq!(push(&queue, time, &job(&keys[1], 8), AT_ONCE).await, Pushed::Queued);
    assert_eq!(dead(&queue, 10).await, [keys[2].clone(), keys[0].clone()]);
    let claimed = claim_one(&queue, time).await;
    assert_eq!((claimed.job.want, claimed.attempts), (8, 0), "what is pushed again is a new job");
}

/// At its bound `push` says `Full` for a new page, whose job is nowhere then, and still coalesces.
pub async fn the_queue_is_bounded(queue: Arc<dyn Queue>, time: &Time, most_jobs: usize) {
    let keys: Vec<CacheKey> = (0..most_jobs).map(|_| sample::key()).collect();
    for key in &keys {
        assert_eq!(push(&queue, time, &job(key, 1), AT_ONCE).await, Pushed::Queued);
    }
    let stranger = sample::key();
    assert_eq!(push(&queue, time, &job(&stranger, 1), AT_ONCE).await, Pushed::Full);
    assert_eq!(push(&queue, time, &job(&keys[0], 2), AT_ONCE).await, Pushed::Coalesced);
    let claims = claim(&queue, time, most_jobs + 1).await;
    assert_eq!(claims.len(), most_jobs);
    for claim in claims {
        assert_ne!(claim.job.key, stranger, "it was not taken");
        let want = if claim.job.key == keys[0] { 2 } else { 1 };
        assert_eq!(claim.job.want, want);
        assert_eq!(finish(&queue, claim, want).await, Finished::Done);
    }
    assert_eq!(push(&queue, time, &job(&stranger, 1), AT_ONCE).await, Pushed::Queued, "there is room again");
}

/// No more of them are remembered than there is room for jobs; the oldest go first.
pub async fn the_dead_are_bounded(queue: Arc<dyn Queue>, time: &Time, most_jobs: usize) {
    let mut keys = Vec::new();
    for _ in 0..=most_jobs {
        keys.push(sample::key());
        push(&queue, time, &job(&keys[keys.len() - 1], 1), AT_ONCE).await;
        let claimed = claim_one(&queue, time).await;
        assert_eq!(bury(&queue, claimed).await, Finished::Done);
    }
    let dead = dead(&queue, usize::MAX).await;
    assert!(!dead.is_empty() && dead.len() <= most_jobs, "{} are remembered", dead.len());
    assert!(dead.iter().eq(keys.iter().rev().take(dead.len())), "the last ones, the last first");
}
