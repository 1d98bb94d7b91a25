//! What waits to be rendered again.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Moment;
use crate::error::Result;
use crate::model::key::CacheKey;

mod memory;

pub use memory::MemoryQueue;

/// A page to be rendered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which page.
    pub key: CacheKey,
    /// The snapshot it must reach. Coalesced jobs keep the largest.
    pub want: u64,
}

/// The right to do a job, for a while.
#[derive(Debug)]
#[must_use = "a claim that is dropped is taken over when its lease ends"]
pub struct Claim {
    /// What to do.
    pub job: Job,
    /// How often it was tried before.
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
    /// The queue is at its bound.
    Full,
}

/// What `finish` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The job is gone.
    Done,
    /// It wants a later snapshot than was rendered, and is ready again.
    Again,
    /// The lease had ended; the job is somebody else's.
    Lost,
}

/// Keeps jobs until they are done. Time comes in as a value, a [`Moment`] of this process, so that a time of day
/// that is set back holds no job. A queue that several hosts share has no such moments in common: it goes by its
/// own server's clock, and takes of a moment only how far it is from the latest `now`.
///
/// # Contract
///
/// 1. `the_last_edit_is_never_lost`: a job pushed while it runs is ready again when it finishes below `want`.
/// 2. `jobs_coalesce`: one page has one job, which wants the largest snapshot.
/// 3. `an_expired_lease_is_taken_over`: by the next `claim`.
/// 4. `only_the_holder_finishes`: an older claim changes nothing.
/// 5. `retries_wait`: a retried job is not claimed before its time.
/// 6. `the_queue_is_bounded`: at its bound `push` says `Full`.
///
/// # Cancellation
///
/// A dropped call may or may not have taken effect; a claim that was lost this way ends with its lease.
#[async_trait]
pub trait Queue: Debug + Send + Sync + 'static {
    /// Adds a job.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn push(&self, job: Job) -> Result<Pushed>;

    /// Takes up to `limit` jobs that are ready at `now`, for as long as `lease`.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>>;

    /// Ends a claim with the snapshot the render used.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished>;

    /// Gives a job back, to be tried again from `not_before` on.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()>;

    /// Gives up a job.
    ///
    /// # Errors
    ///
    /// When the queue can't be reached.
    async fn drop_job(&self, claim: Claim) -> Result<()>;
}
