//! Queues, connectors and origins that fail on a schedule.

use std::time::Duration;

use async_trait::async_trait;

use super::{Call, Faulty, Lie, Then};
use crate::clock::Moment;
use crate::connector::{Connector, Purge, PurgeLimits};
use crate::error::Result;
use crate::model::reason::Reason;
use crate::model::snapshot::Snapshot;
use crate::origin::{Origin, Refill, Refilled};
use crate::queue::{Claim, DeadLetter, Finished, Job, Pushed, Queue, Rank, Window};
use crate::testing::sample;

fn stranger() -> Job {
    Job { key: sample::key(), want: 1, rank: Rank::default() }
}

const fn finished(lie: Lie) -> Finished {
    match lie {
        Lie::Nothing => Finished::Done,
        Lie::Other => Finished::Lost,
        Lie::Full => Finished::Again,
    }
}

#[async_trait]
impl<T: Queue> Queue for Faulty<T> {
    async fn push(&self, job: Job, window: Window, now: Moment) -> Result<Pushed> {
        match self.begin(Call::Push).await? {
            Then::Lies(Lie::Nothing) => Ok(Pushed::Queued),
            Then::Lies(Lie::Full) => Ok(Pushed::Full),
            Then::Lies(Lie::Other) => {
                let other = Job { key: sample::key(), ..job };
                self.backend.push(other, window, now).await
            }
            then => then.end(self.backend.push(job, window, now).await),
        }
    }

    async fn claim(&self, limit: usize, lease: Duration, now: Moment) -> Result<Vec<Claim>> {
        match self.begin(Call::Claim).await? {
            Then::Lies(Lie::Other) if limit > 0 => {
                Ok(vec![Claim { job: stranger(), attempts: 0, token: u64::MAX }])
            }
            Then::Lies(_) => Ok(Vec::new()),
            then => then.end(self.backend.claim(limit, lease, now).await),
        }
    }

    async fn finish(&self, claim: Claim, rendered: u64) -> Result<Finished> {
        match self.begin(Call::Finish).await? {
            Then::Lies(lie) => Ok(finished(lie)),
            then => then.end(self.backend.finish(claim, rendered).await),
        }
    }

    async fn retry(&self, claim: Claim, not_before: Moment) -> Result<()> {
        match self.begin(Call::Retry).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.retry(claim, not_before).await),
        }
    }

    async fn release(&self, claim: Claim, not_before: Moment) -> Result<()> {
        match self.begin(Call::Release).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.release(claim, not_before).await),
        }
    }

    async fn bury(&self, claim: Claim, reason: Reason) -> Result<Finished> {
        match self.begin(Call::Bury).await? {
            Then::Lies(lie) => Ok(finished(lie)),
            then => then.end(self.backend.bury(claim, reason).await),
        }
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        match self.begin(Call::DeadLetters).await? {
            Then::Lies(Lie::Other) if limit > 0 => {
                Ok(vec![DeadLetter { job: stranger(), attempts: 1, reason: Reason::RefillFailed }])
            }
            Then::Lies(_) => Ok(Vec::new()),
            then => then.end(self.backend.dead_letters(limit).await),
        }
    }
}

#[async_trait]
impl<T: Connector> Connector for Faulty<T> {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn limits(&self) -> PurgeLimits {
        self.backend.limits()
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        match self.begin(Call::Purge).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.purge(purge).await),
        }
    }
}

#[async_trait]
impl<T: Origin> Origin for Faulty<T> {
    async fn refill(&self, refill: &Refill) -> Result<Refilled> {
        match self.begin(Call::Refill).await? {
            Then::Lies(Lie::Nothing) => {
                Ok(Refilled::Done(Snapshot { incarnation: sample::incarnation(), seq: refill.want }))
            }
            Then::Lies(Lie::Other) => Ok(Refilled::Unreached),
            Then::Lies(Lie::Full) => Ok(Refilled::Failed(Reason::Busy)),
            then => then.end(self.backend.refill(refill).await),
        }
    }
}
