//! The queue of one process.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use async_trait::async_trait;

use super::order::{Id, Order, State};
use super::{Claim, DeadLetter, Finished, Job, Pushed, Queue, Window};
use crate::clock::Moment;
use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::sync::{Mutex, lock};

/// The most jobs that were given up and are remembered, if as many fit.
const MOST_DEAD: usize = 1_000;

#[derive(Debug)]
struct Entry {
    job: Job,
    attempts: u32,
    state: State,
    /// Since it was last claimed, when it was first pushed, if it was.
    first_push: Option<Moment>,
    /// Since it was last claimed, when what was pushed has been quiet for long enough.
    quiet_from: Moment,
    /// When whoever gave it back wants it to be tried again.
    not_before: Moment,
}

impl Entry {
    fn waiting(&self) -> State {
        State::Waits { until: self.quiet_from.max(self.not_before) }
    }
}

#[derive(Debug, Default)]
struct Jobs {
    by_key: HashMap<CacheKey, Id>,
    entries: HashMap<Id, Entry>,
    order: Order,
    dead: VecDeque<DeadLetter>,
    /// Whose dead letters there are, so that a push need not look through all.
    buried: HashSet<CacheKey>,
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
        if self.buried.remove(&job.key) {
            self.dead.retain(|dead| dead.job.key != job.key);
        }
        self.last_id += 1;
        let until = now.after(window.quiet.min(window.most));
        let entry = Entry {
            job,
            attempts: 0,
            state: State::Waits { until },
            first_push: Some(now),
            quiet_from: until,
            not_before: Moment::default(),
        };
        self.order.add(self.last_id, entry.job.rank, entry.state);
        self.by_key.insert(entry.job.key.clone(), self.last_id);
        self.entries.insert(self.last_id, entry);
    }

    fn coalesce(&mut self, id: Id, job: &Job, window: Window, now: Moment) {
        self.change(id, |entry| {
            let is_later = job.want > entry.job.want;
            entry.job.want = entry.job.want.max(job.want);
            entry.job.rank = entry.job.rank.max(job.rank);
            // The same edit once more delays nothing.
            if !is_later {
                return;
            }
            let first_push = *entry.first_push.get_or_insert(now);
            entry.quiet_from = now.after(window.quiet).min(first_push.after(window.most));
            // Also if it was ready: when a job may be claimed does not depend on who looked at it meanwhile.
            if !matches!(entry.state, State::Leased { .. }) {
                entry.state = entry.waiting();
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
                entry.attempts = entry.attempts.saturating_add(1);
                entry.state = State::Ready;
            });
        }
    }

    /// Gives a job back.
    fn put_back(&mut self, claim: &Claim, not_before: Moment, attempts: u32) {
        if let Some(id) = self.held(claim) {
            self.change(id, |entry| {
                entry.attempts = entry.attempts.saturating_add(attempts);
                entry.not_before = not_before;
                entry.state = entry.waiting();
            });
        }
    }

    /// Ends a claim: the job goes, unless a later snapshot than `reached` is wanted by now.
    fn end(&mut self, claim: &Claim, reached: u64) -> (Finished, Option<Entry>) {
        let Some(id) = self.held(claim) else { return (Finished::Lost, None) };
        if self.entries.get(&id).is_none_or(|entry| entry.job.want <= reached) {
            return (Finished::Done, self.remove(id));
        }
        self.change(id, |entry| {
            // A render that began too early for what was wanted all along is an attempt.
            let is_new = entry.job.want > claim.job.want;
            entry.attempts = if is_new { 0 } else { entry.attempts.saturating_add(1) };
            entry.state = entry.waiting();
        });
        (Finished::Again, None)
    }

    fn bury(&mut self, dead: DeadLetter, most: usize) {
        while self.dead.len() >= most
            && let Some(oldest) = self.dead.pop_front()
        {
            self.buried.remove(&oldest.job.key);
        }
        self.buried.insert(dead.job.key.clone());
        self.dead.push_back(dead);
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
                (entry.first_push, entry.quiet_from, entry.not_before) = (None, now, now);
                claims.push(Claim { job: entry.job.clone(), attempts: entry.attempts, token });
            });
        }
        Ok(claims)
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        Ok(lock(&self.jobs).end(&claim, rendered).0)
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        lock(&self.jobs).put_back(&claim, not_before, 1);
        Ok(())
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        lock(&self.jobs).put_back(&claim, not_before, 0);
        Ok(())
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        let mut jobs = lock(&self.jobs);
        let (finished, entry) = jobs.end(&claim, claim.job.want);
        if let Some(Entry { job, attempts, .. }) = entry {
            let attempts = attempts.saturating_add(1);
            jobs.bury(DeadLetter { job, attempts, reason }, MOST_DEAD.min(self.most_jobs));
        }
        Ok(finished)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(lock(&self.jobs).dead.iter().rev().take(limit).cloned().collect())
    }
}
