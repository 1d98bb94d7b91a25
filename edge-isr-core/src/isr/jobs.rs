//! The queue of the application, and one in memory behind it for when that one can't be relied on.

use std::sync::Arc;
use std::time::Duration;

use super::Isr;
use super::ports::ask;
use crate::clock::Moment;
use crate::error::Result;
use crate::model::reason::Reason;
use crate::queue::{Claim, DeadLetter, Finished, Job, MemoryQueue, Pushed, Queue, Window};

/// How long a queue is waited for; then the job is kept in memory.
const WAIT: Duration = Duration::from_millis(250);

/// Which queue a claim is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Given,
    Own,
}

/// A job that was claimed.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) claim: Claim,
    source: Source,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Jobs {
    given: Option<Arc<dyn Queue>>,
    own: MemoryQueue,
}

impl Jobs {
    pub(crate) fn new(given: Option<Arc<dyn Queue>>, most_jobs: usize) -> Self {
        Self { given, own: MemoryQueue::new(most_jobs) }
    }

    /// Whether jobs may come from elsewhere: from another process, or from before this one began.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Keeps a job in memory, whatever the application's queue says about it.
    pub(crate) async fn keep(&self, job: Job, window: Window, now: Moment) -> Pushed {
        self.own.push(job, window, now).await.unwrap_or(Pushed::Full)
    }

    fn queue(&self, source: Source) -> Option<&dyn Queue> {
        match source {
            Source::Own => Some(&self.own),
            Source::Given => self.given.as_deref(),
        }
    }
}

impl Isr {
    /// What the application's queue says, within a bounded wait. `None` when there is none, or it can't be relied
    /// on; that is noted.
    async fn ask_queue<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Option<T> {
        match ask(WAIT, call).await {
            Ok(said) => Some(said),
            Err(_) => {
                let advice = "look after the queue; until then jobs are kept in memory";
                self.note(Reason::QueueUnavailable, "queue", advice);
                None
            }
        }
    }

    pub(crate) async fn push_job(&self, job: Job, window: Window, now: Moment) -> Pushed {
        let jobs = &self.0.jobs;
        if let Some(given) = &jobs.given
            && let Some(pushed) = self.ask_queue(given.push(job.clone(), window, now)).await
        {
            return pushed;
        }
        jobs.keep(job, window, now).await
    }

    pub(crate) async fn claim_jobs(&self, limit: usize, lease: Duration, now: Moment) -> Vec<Taken> {
        let jobs = &self.0.jobs;
        let mut taken = Vec::new();
        if let Some(given) = &jobs.given {
            let claims = self.ask_queue(given.claim(limit, lease, now)).await.unwrap_or_default();
            taken.extend(claims.into_iter().map(|claim| Taken { claim, source: Source::Given }));
        }
        // A queue that gives more than it was asked for gets the rest back.
        for extra in taken.split_off(limit.min(taken.len())) {
            self.release_job(extra, now).await;
        }
        let claims = jobs.own.claim(limit - taken.len(), lease, now).await.unwrap_or_default();
        taken.extend(claims.into_iter().map(|claim| Taken { claim, source: Source::Own }));
        taken
    }

    pub(crate) async fn finish_job(&self, taken: Taken, rendered: u64) -> Finished {
        let Some(queue) = self.0.jobs.queue(taken.source) else { return Finished::Lost };
        self.ask_queue(queue.finish(taken.claim, rendered)).await.unwrap_or(Finished::Lost)
    }

    pub(crate) async fn retry_job(&self, taken: Taken, not_before: Moment) {
        let Some(queue) = self.0.jobs.queue(taken.source) else { return };
        // One that is not given back comes back when its lease ends.
        let _ = self.ask_queue(queue.retry(taken.claim, not_before)).await;
    }

    pub(crate) async fn release_job(&self, taken: Taken, not_before: Moment) {
        let Some(queue) = self.0.jobs.queue(taken.source) else { return };
        let _ = self.ask_queue(queue.release(taken.claim, not_before)).await;
    }

    pub(crate) async fn bury_job(&self, taken: Taken, reason: Reason) -> Finished {
        let Some(queue) = self.0.jobs.queue(taken.source) else { return Finished::Lost };
        self.ask_queue(queue.bury(taken.claim, reason)).await.unwrap_or(Finished::Lost)
    }

    /// The latest pages whose renders were given up, at most `limit`, the last first. Each is left to its next
    /// visitor, and tried again when it is invalidated again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        let jobs = &self.0.jobs;
        let mut dead = jobs.own.dead_letters(limit).await.unwrap_or_default();
        if let Some(given) = &jobs.given {
            dead.extend(self.ask_queue(given.dead_letters(limit)).await.unwrap_or_default());
        }
        dead.truncate(limit);
        dead
    }
}

/// A job that is being done. Dropped, it goes back to its queue at once: its worker was killed, and the next one
/// need not wait for the end of the lease.
#[derive(Debug)]
pub(crate) struct Held {
    isr: Isr,
    taken: Option<Taken>,
}

impl Held {
    pub(crate) fn new(isr: Isr, taken: Taken) -> Self {
        Self { isr, taken: Some(taken) }
    }

    /// The job, for whoever ends it.
    pub(crate) fn into_taken(mut self) -> Option<Taken> {
        self.taken.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else { return };
        // Outside a runtime it is the end of everything, and the lease does it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let isr = self.isr.clone();
        runtime.spawn(async move { isr.release_job(taken, Moment::default()).await });
    }
}
