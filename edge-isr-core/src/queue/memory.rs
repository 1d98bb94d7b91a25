//! The queue of one process.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;

use super::order::{Id, Order, State};
use super::{Claim, DeadLetter, Finished, Job, Pushed, Queue, Window};
use crate::clock::Moment;
use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::sync::{Mutex, lock};

/// The most jobs that were given up and are remembered.
const MOST_DEAD: usize = 1_000;

#[derive(Debug)]
struct Entry {
    job: Job,
    attempts: u32,
    state: State,
    /// From when on it may be claimed, if it is pushed while it runs.
    not_before: Moment,
    /// When it was first pushed since it was last claimed; `None` if it was not.
    first_push: Option<Moment>,
}

#[derive(Debug, Default)]
struct Jobs {
    by_key: HashMap<CacheKey, Id>,
    entries: HashMap<Id, Entry>,
    order: Order,
    dead: VecDeque<DeadLetter>,
    last_id: Id,
    last_token: u64,
}

/// Jobs that live as long as the process.
///
/// Each operation takes a time that grows with the logarithm of the number of jobs.
#[derive(Debug)]
pub struct MemoryQueue {
    jobs: Mutex<Jobs>,
    most_jobs: usize,
}

impl MemoryQueue {
    /// Room for so many jobs.
    #[must_use]
    pub fn new(most_jobs: usize) -> Self {
        Self { jobs: Mutex::default(), most_jobs }
    }

    /// How many jobs there are, running ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.jobs).entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Jobs {
    /// Puts a job into another state, and changes it on the way: its place in the order follows its rank.
    fn change(&mut self, id: Id, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.order.remove(id, entry.job.rank, entry.state);
        change(entry);
        self.order.add(id, entry.job.rank, entry.state);
    }

    fn remove(&mut self, id: Id) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.order.remove(id, entry.job.rank, entry.state);
        self.by_key.remove(&entry.job.key);
        Some(entry)
    }

    fn add(&mut self, job: Job, window: Window, now: Moment) {
        // Most of the time there is none.
        self.dead.retain(|dead| dead.job.key != job.key);
        self.last_id += 1;
        let until = now.after(window.quiet.min(window.most));
        let entry = Entry {
            job,
            attempts: 0,
            state: State::Waits { until },
            not_before: until,
            first_push: Some(now),
        };
        self.order.add(self.last_id, entry.job.rank, entry.state);
        self.by_key.insert(entry.job.key.clone(), self.last_id);
        self.entries.insert(self.last_id, entry);
    }

    fn coalesce(&mut self, id: Id, job: &Job, window: Window, now: Moment) {
        self.change(id, |entry| {
            let is_newer = job.want > entry.job.want;
            entry.job.want = entry.job.want.max(job.want);
            entry.job.rank = entry.job.rank.max(job.rank);
            // The same edit once more delays nothing.
            if !is_newer {
                return;
            }
            let first_push = *entry.first_push.get_or_insert(now);
            let until = now.after(window.quiet).min(first_push.after(window.most));
            entry.not_before = entry.not_before.max(until);
            // One that was ready had waited long enough, and one that is retried has its own time.
            if matches!(entry.state, State::Waits { .. }) && entry.attempts == 0 {
                entry.state = State::Waits { until };
            }
        });
    }

    /// The job of a claim that is still its holder's.
    fn held(&self, claim: &Claim) -> Option<Id> {
        let id = *self.by_key.get(&claim.job.key)?;
        let state = self.entries.get(&id)?.state;
        matches!(state, State::Leased { token, .. } if token == claim.token).then_some(id)
    }

    /// What waited long enough, or was left by its holder, is ready.
    fn wake(&mut self, now: Moment) {
        while let Some(id) = self.order.next_due(now) {
            self.change(id, |entry| entry.state = State::Ready);
        }
        while let Some(id) = self.order.next_expired(now) {
            self.change(id, |entry| {
                entry.attempts += 1;
                entry.state = State::Ready;
            });
        }
    }

    /// Ends a claim: the job goes, unless a later snapshot than `reached` was asked for.
    fn end(&mut self, claim: &Claim, reached: u64) -> (Finished, Option<Entry>) {
        let Some(id) = self.held(claim) else { return (Finished::Lost, None) };
        if self.entries.get(&id).is_some_and(|entry| entry.job.want > reached) {
            self.change(id, |entry| {
                entry.attempts = 0;
                entry.state = State::Waits { until: entry.not_before };
            });
            return (Finished::Again, None);
        }
        (Finished::Done, self.remove(id))
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, job: Job, window: Window, now: Moment) -> Result<Pushed> {
        let mut jobs = lock(&self.jobs);
        if let Some(&id) = jobs.by_key.get(&job.key) {
            jobs.coalesce(id, &job, window, now);
            return Ok(Pushed::Coalesced);
        }
        if jobs.entries.len() >= self.most_jobs {
            return Ok(Pushed::Full);
        }
        jobs.add(job, window, now);
        Ok(Pushed::Queued)
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        let mut jobs = lock(&self.jobs);
        jobs.wake(now);
        let mut claims = Vec::new();
        while claims.len() < limit
            && let Some(id) = jobs.order.next_ready()
        {
            jobs.last_token += 1;
            let token = jobs.last_token;
            jobs.change(id, |entry| {
                entry.state = State::Leased { token, until: now.after(lease) };
                entry.first_push = None;
                claims.push(Claim { job: entry.job.clone(), attempts: entry.attempts, token });
            });
        }
        Ok(claims)
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        Ok(lock(&self.jobs).end(&claim, rendered).0)
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        let mut jobs = lock(&self.jobs);
        if let Some(id) = jobs.held(&claim) {
            jobs.change(id, |entry| {
                entry.attempts += 1;
                entry.state = State::Waits { until: not_before };
            });
        }
        Ok(())
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        let mut jobs = lock(&self.jobs);
        if let Some(id) = jobs.held(&claim) {
            jobs.change(id, |entry| entry.state = State::Waits { until: not_before });
        }
        Ok(())
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        let mut jobs = lock(&self.jobs);
        let (finished, entry) = jobs.end(&claim, claim.job.want);
        if let Some(entry) = entry {
            if jobs.dead.len() >= MOST_DEAD {
                jobs.dead.pop_front();
            }
            let attempts = entry.attempts.saturating_add(1);
            jobs.dead.push_back(DeadLetter { job: entry.job, attempts, reason });
        }
        Ok(finished)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(lock(&self.jobs).dead.iter().rev().take(limit).cloned().collect())
    }
}
