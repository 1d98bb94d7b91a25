//! What waits to be rendered again.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Moment;
use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;

mod memory;
mod order;

pub use memory::MemoryQueue;

/// What somebody said about the importance of a render. Higher ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// When nothing else waits.
    Low,
    /// As it comes.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Which of two jobs comes first: what somebody said, then how often the page is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rank {
    /// What somebody said.
    pub priority: Priority,
    /// How often the page was served.
    pub visits: u32,
}

/// A page to be rendered again. Each variant of a URL is a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which page.
    pub key: CacheKey,
    /// The snapshot it must reach. Coalesced jobs keep the largest.
    pub want: u64,
    /// Which jobs come first. Coalesced jobs keep the highest.
    pub rank: Rank,
}

/// How long a job waits for more of the same, so that a burst of edits costs one render and the last of them is
/// in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// How long nothing more must have come. Zero: at once.
    pub quiet: Duration,
    /// How long a job waits at most, counted from its first push.
    pub most: Duration,
}

/// The right to do a job, for a while.
#[derive(Debug)]
#[must_use = "a claim that is dropped is taken over when its lease ends"]
pub struct Claim {
    /// What to do.
    pub job: Job,
    /// How often it was tried before without success. A lease that ran out counts.
    pub attempts: u32,
    /// Which claim it is; an older one can't finish the job.
    pub token: u64,
}

/// What `push` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The job is new.
    Queued,
    /// The page was waiting already; it now wants the later snapshot.
    Coalesced,
    /// The queue is at its bound and did not take the job. Whoever pushed still has it to do.
    Full,
}

/// What became of a claim that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The job is gone.
    Done,
    /// A later snapshot is wanted; the job waits again.
    Again,
    /// The lease had ended; the job is somebody else's.
    Lost,
}

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What was to be done.
    pub job: Job,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Reason,
}

/// Keeps jobs until they are done. Time comes in as a value, a [`Moment`] of this process, so that a time of day
/// that is set back holds no job. A queue that several hosts share has no such moments in common: it goes by its
/// own server's clock, and takes of a moment only how far it is from the `now` that comes with it or came last.
///
/// # Contract
///
/// 1. `a_pushed_job_is_claimed`: once its window is over and not before, with the key, the snapshot and the rank it
///    was pushed with.
/// 2. `each_page_has_a_job_of_its_own`: each variant of a URL is a page, and keys are compared whole.
/// 3. `jobs_coalesce`: a page has one job at a time, which wants the largest snapshot in the highest rank it was
///    pushed with.
/// 4. `the_last_edit_is_never_lost`: a job that ends below what is wanted by then waits again. If that was asked for
///    while it ran, its attempts begin anew.
/// 5. `a_burst_waits_until_it_is_quiet`: a job is ready once `quiet` has passed since its last push, and at the latest
///    `most` after its first. The last push's window counts.
/// 6. `what_asks_for_nothing_later_delays_nothing`: a push of a snapshot that is wanted already changes no time.
/// 7. `the_highest_rank_comes_first`: of the jobs that are ready, also within one claim: by priority, then by visits,
///    then by age.
/// 8. `claims_are_bounded`: `claim` gives at most `limit`.
/// 9. `a_claimed_job_is_its_holders`: nobody else claims it before the lease ends, however many try at once.
/// 10. `an_expired_lease_is_taken_over`: by the next `claim`, which counts an attempt and has a token of its own.
/// 11. `only_the_holder_ends_a_claim`: what the holder of an older claim says changes nothing.
/// 12. `retries_wait`: a retried job is not claimed before its time, whatever is pushed, and has one attempt more.
/// 13. `a_released_job_is_as_before`: it is not claimed before its time, whatever is pushed, and no attempt is
///     counted.
/// 14. `a_buried_job_is_listed`: as a dead letter, the last first, until its page is pushed again.
/// 15. `the_queue_is_bounded`: at its bound `push` says `Full` for a new page, whose job is nowhere then, and still
///     coalesces.
/// 16. `the_dead_are_bounded`: no more of them are remembered than there is room for jobs; the oldest go first.
///
/// # Cancellation
///
/// A dropped call may or may not have taken effect; a claim that was lost this way ends with its lease.
///
/// # Testing
///
/// `edge_isr_core::queue_contract!` of the feature `testing` turns each clause into a test of your queue.
#[async_trait]
pub trait Queue: Debug + Send + Sync + 'static {
    /// Adds a job, or coalesces it with the one its page has.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn push(&self, job: Job, window: Window, now: Moment) -> Result<Pushed>;

    /// Takes up to `limit` jobs that are ready at `now`, for as long as `lease`.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>>;

    /// Ends a claim with the snapshot the render used. One below what was wanted counts as an attempt.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished>;

    /// Gives a job back after a failure, to be tried again from `not_before` on.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()>;

    /// Gives a job back untried, to be claimed again from `not_before` on.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()>;

    /// Gives up a job for good, unless a later snapshot was asked for meanwhile: then it is tried for that one.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished>;

    /// The latest jobs that were given up, at most `limit`, the last first.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>>;
}
