//! The queue of one process.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;

use super::{Claim, Finished, Job, Pushed, Queue};
use crate::clock::Moment;
use crate::error::Result;
use crate::model::key::CacheKey;
use crate::sync::{Mutex, lock};

#[derive(Debug)]
enum State {
    Ready { not_before: Moment },
    Leased { token: u64, until: Moment },
}

#[derive(Debug)]
struct Entry {
    want: u64,
    attempts: u32,
    state: State,
}

#[derive(Debug, Default)]
struct Jobs {
    entries: HashMap<CacheKey, Entry>,
    /// The order of arrival; keys that are done are skipped.
    order: VecDeque<CacheKey>,
    tokens: u64,
}

/// Jobs that live as long as the process.
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
    /// The entry of a claim that is still its holder's.
    fn held(&mut self, claim: &Claim) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&claim.job.key)?;
        matches!(entry.state, State::Leased { token, .. } if token == claim.token).then_some(entry)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, job: Job) -> Result<Pushed> {
        let mut jobs = lock(&self.jobs);
        if let Some(entry) = jobs.entries.get_mut(&job.key) {
            entry.want = entry.want.max(job.want);
            return Ok(Pushed::Coalesced);
        }
        if jobs.entries.len() >= self.most_jobs {
            return Ok(Pushed::Full);
        }
        let state = State::Ready { not_before: Moment::default() };
        jobs.order.push_back(job.key.clone());
        jobs.entries.insert(job.key, Entry { want: job.want, attempts: 0, state });
        Ok(Pushed::Queued)
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        let mut guard = lock(&self.jobs);
        let jobs = &mut *guard;
        let mut claims = Vec::new();
        for _ in 0..jobs.order.len() {
            if claims.len() >= limit {
                break;
            }
            let Some(key) = jobs.order.pop_front() else { break };
            let Some(entry) = jobs.entries.get_mut(&key) else { continue };
            let ready = match entry.state {
                State::Ready { not_before } => not_before <= now,
                State::Leased { until, .. } => until <= now,
            };
            if ready {
                jobs.tokens += 1;
                entry.state = State::Leased { token: jobs.tokens, until: now.after(lease) };
                let job = Job { key: key.clone(), want: entry.want };
                claims.push(Claim { job, attempts: entry.attempts, token: jobs.tokens });
            }
            jobs.order.push_back(key);
        }
        Ok(claims)
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        let mut jobs = lock(&self.jobs);
        let Some(entry) = jobs.held(&claim) else { return Ok(Finished::Lost) };
        if entry.want > rendered {
            *entry = Entry {
                want: entry.want,
                attempts: 0,
                state: State::Ready { not_before: Moment::default() },
            };
            return Ok(Finished::Again);
        }
        jobs.entries.remove(&claim.job.key);
        Ok(Finished::Done)
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        if let Some(entry) = lock(&self.jobs).held(&claim) {
            entry.attempts += 1;
            entry.state = State::Ready { not_before };
        }
        Ok(())
    }

    async fn drop_job(&self, claim: Claim) -> Result<()> {
        let mut jobs = lock(&self.jobs);
        if jobs.held(&claim).is_some() {
            jobs.entries.remove(&claim.job.key);
        }
        Ok(())
    }
}
