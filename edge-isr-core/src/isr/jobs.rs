//! The queue of the application, and one in memory behind it for when that one can't be relied on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Isr;
use super::busy::Guard;
use super::ports::{Failure, ask};
use crate::clock::Moment;
use crate::error::Result;
use crate::model::reason::Reason;
use crate::queue::{Claim, DeadLetter, Finished, Job, MemoryQueue, Pushed, Queue, Window};
use crate::sync::{Mutex, lock};

/// How long a queue is waited for; then the job is kept in memory.
const WAIT: Duration = Duration::from_millis(250);
/// For so many times as long as it took to fail a queue is left alone: one that hangs costs a worker a twentieth of its
/// time, one that fails at once is asked again at once.
const LEFT_ALONE: u32 = 20;

/// Which queue a claim is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Given,
    Own,
}

/// A job that was claimed. Dropped before it is ended, it goes back to its queue at once: its worker was killed, and
/// the next one need not wait for the end of the lease.
#[derive(Debug)]
pub(crate) struct Taken {
    isr: Isr,
    pub(crate) job: Job,
    /// How often it was tried before.
    pub(crate) attempts: u32,
    /// `None` once it is ended or given back.
    claim: Option<Claim>,
    /// The lease does not end before. A queue may go by a clock of its own, which read later.
    until: Moment,
    source: Source,
    /// A shutdown waits until the queue was told.
    _busy: Guard,
}

impl Taken {
    fn new(isr: &Isr, claim: Claim, until: Moment, source: Source) -> Self {
        let (job, attempts, busy) = (claim.job.clone(), claim.attempts, isr.0.busy.begin());
        Self { isr: isr.clone(), job, attempts, claim: Some(claim), until, source, _busy: busy }
    }

    pub(crate) async fn finish(self, rendered: u64) -> Finished {
        self.conclude(|queue, claim| async move { queue.finish(claim, rendered).await }).await
    }

    /// One that can't be given back comes back when its lease ends.
    pub(crate) async fn retry(self, not_before: Moment) {
        self.end(|queue, claim| async move { queue.retry(claim, not_before).await }).await;
    }

    pub(crate) async fn release(self, not_before: Moment) {
        self.end(|queue, claim| async move { queue.release(claim, not_before).await }).await;
    }

    pub(crate) async fn bury(self, reason: Reason) -> Finished {
        self.conclude(|queue, claim| async move { queue.bury(claim, reason).await }).await
    }

    /// Ends the claim for good, and looks at what the queue says: a claim is its holder's until its lease ends.
    async fn conclude<F>(self, end: impl FnOnce(Arc<dyn Queue>, Claim) -> F + Send) -> Finished
    where
        F: Future<Output = Result<Finished>> + Send,
    {
        let (isr, source, until) = (self.isr.clone(), self.source, self.until);
        let Some(finished) = self.end(end).await else { return Finished::Lost };
        if finished == Finished::Lost && source == Source::Given && isr.0.clock.now() < until {
            isr.note_queue("the queue lost a claim before its lease had ended; look after the queue");
        }
        finished
    }

    /// Ends the claim, once. `None` when its queue can't be relied on.
    async fn end<T, F>(mut self, end: impl FnOnce(Arc<dyn Queue>, Claim) -> F + Send) -> Option<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let claim = self.claim.take()?;
        self.isr.end_claim(self.source, claim, end).await
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        // Outside a runtime it is the end of everything, and the lease does it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (isr, source, busy) = (self.isr.clone(), self.source, self.isr.0.busy.begin());
        runtime.spawn(async move {
            let _busy = busy;
            let at_once = Moment::default();
            isr.end_claim(source, claim, |queue, claim| async move { queue.release(claim, at_once).await })
                .await
        });
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Jobs {
    given: Option<Arc<dyn Queue>>,
    own: Arc<dyn Queue>,
    /// Until when the application's queue is left alone.
    left_alone: Mutex<Option<Instant>>,
}

impl Jobs {
    pub(crate) fn new(given: Option<Arc<dyn Queue>>, most_jobs: usize) -> Self {
        Self { given, own: Arc::new(MemoryQueue::new(most_jobs)), left_alone: Mutex::default() }
    }

    /// Whether jobs may come from elsewhere: from another process, or from before this one began.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Keeps a job in memory, whatever the application's queue says about it.
    pub(crate) async fn keep(&self, job: Job, window: Window, now: Moment) -> Pushed {
        self.own.push(job, window, now).await.unwrap_or(Pushed::Full)
    }
}

impl Isr {
    /// What the application's queue says, within a bounded wait. `None` when it can't be relied on; that is noted.
    ///
    /// The call is made here, within the guard: a queue may panic before it gives a future.
    async fn ask_queue<T, F>(&self, call: impl FnOnce() -> F + Send) -> Option<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let since = Instant::now();
        if lock(&self.0.jobs.left_alone).is_some_and(|until| since < until) {
            return None;
        }
        let cost = match ask(WAIT, async move { call().await }).await {
            Ok(said) => return Some(said),
            // Each fills somebody's log.
            Err(Failure::Panicked) => WAIT,
            Err(Failure::TimedOut | Failure::Said(_)) => since.elapsed(),
        };
        *lock(&self.0.jobs.left_alone) = Some(Instant::now() + cost * LEFT_ALONE);
        self.note_queue("look after the queue; until then jobs are kept in memory");
        None
    }

    fn note_queue(&self, advice: &'static str) {
        self.note(Reason::QueueUnavailable, "queue", advice);
    }

    async fn end_claim<T, F>(
        &self,
        source: Source,
        claim: Claim,
        end: impl FnOnce(Arc<dyn Queue>, Claim) -> F + Send,
    ) -> Option<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let jobs = &self.0.jobs;
        match (source, &jobs.given) {
            (Source::Given, Some(given)) => self.ask_queue(|| end(Arc::clone(given), claim)).await,
            _ => end(Arc::clone(&jobs.own), claim).await.ok(),
        }
    }

    /// Gives a job to the application's queue, or to the one in memory if that one does not take it.
    pub(crate) async fn push_job(&self, job: Job, window: Window, now: Moment) -> Pushed {
        let jobs = &self.0.jobs;
        if let Some(given) = &jobs.given {
            match self.ask_queue(|| given.push(job.clone(), window, now)).await {
                Some(Pushed::Full) => {
                    let advice = "the queue is full; until there is room jobs are kept in memory";
                    self.note(Reason::QueueFull, "queue", advice);
                }
                Some(pushed) => return pushed,
                None => {}
            }
        }
        jobs.keep(job, window, now).await
    }

    /// Takes jobs that are ready. First those in memory: what they were kept from may never give room to them.
    pub(crate) async fn claim_jobs(&self, limit: usize, lease: Duration, now: Moment) -> Vec<Taken> {
        let (jobs, until) = (&self.0.jobs, now.after(lease));
        let claims = jobs.own.claim(limit, lease, now).await.unwrap_or_default();
        let mut taken: Vec<Taken> =
            claims.into_iter().map(|claim| Taken::new(self, claim, until, Source::Own)).collect();
        let left = limit - taken.len();
        if let Some(given) = &jobs.given
            && left > 0
        {
            let claims = self.ask_queue(|| given.claim(left, lease, now)).await.unwrap_or_default();
            taken.extend(claims.into_iter().map(|claim| Taken::new(self, claim, until, Source::Given)));
        }
        // A queue that gives more than it was asked for gets the rest back.
        let extras = taken.split_off(limit.min(taken.len()));
        if !extras.is_empty() {
            self.note_queue("the queue gives more jobs than it is asked for; look after the queue");
        }
        for extra in extras {
            extra.release(now).await;
        }
        taken
    }

    /// The latest pages whose renders were given up, at most `limit`, the last first; those whose jobs were kept in
    /// memory stand before those of the application's queue. Each is left to its next visitor, and tried again when it is
    /// invalidated again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        let jobs = &self.0.jobs;
        let mut dead = jobs.own.dead_letters(limit).await.unwrap_or_default();
        if let Some(given) = &jobs.given {
            dead.extend(self.ask_queue(|| given.dead_letters(limit)).await.unwrap_or_default());
        }
        dead.truncate(limit);
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isr::test_engine::Engine;
    use crate::queue::Rank;

    const LEASE: Duration = Duration::from_secs(9);

    #[tokio::test]
    async fn p20_a_queue_is_named_for_a_claim_that_it_loses_and_not_for_a_lease_that_ended() {
        let engine = Engine::with(|builder| builder.queue(MemoryQueue::new(9)));
        let (isr, clock) = (&engine.isr, &engine.isr.0.clock);
        let job = Job { key: engine.key("/a"), want: 1, rank: Rank::default() };
        isr.push_job(job, Window::default(), clock.now()).await;
        let slow = isr.claim_jobs(1, LEASE, clock.now()).await.remove(0);
        engine.clock.advance(LEASE);
        let mut next = isr.claim_jobs(1, LEASE, clock.now()).await.remove(0);
        assert_eq!(slow.finish(1).await, Finished::Lost);
        assert!(isr.health().is_good(), "whoever took too long has lost it rightly");
        // Any other token than the one that the queue gave: it knows nothing of this claim.
        next.claim.as_mut().unwrap().token += 1;
        assert_eq!(next.finish(1).await, Finished::Lost);
        let notes = isr.health().notes;
        assert_eq!(notes.iter().map(|note| note.reason).collect::<Vec<_>>(), [Reason::QueueUnavailable]);
    }
}
