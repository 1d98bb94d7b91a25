//! How a job ends, and how a worker does.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::task::JoinError;

use super::{Rendered, Worker};
use crate::error::Result;
use crate::isr::jobs::Taken;
use crate::isr::runs::Ending;
use crate::model::reason::Reason;
use crate::model::snapshot::Snapshot;
use crate::origin::Refilled;
use crate::queue::Finished;

/// How long what is left of a killed worker waits for the next one before the caches in front are told of it.
const ORPHANED: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) async fn finish(&mut self, done: Result<Rendered, JoinError>) {
        // Only an aborted task has no answer, and nobody aborts these while the worker runs.
        let Ok((taken, refilled)) = done else { return };
        let scope = Arc::clone(taken.job.key.scope());
        if let Some(of_host) = self.by_host.get_mut(&*scope.authority) {
            *of_host -= 1;
            if *of_host == 0 {
                self.by_host.remove(&*scope.authority);
            }
        }
        match refilled {
            Ok(Refilled::Done(Snapshot { seq, .. })) => {
                self.ended(taken, seq, Ending::Reached(seq)).await;
            }
            Ok(Refilled::Unreached) => {
                let advice = "give `worker` the finished application, with the layer that serves this route";
                self.isr.note(Reason::RefillUnreached, &scope.route, advice);
                self.give_up(taken, Reason::RefillUnreached).await;
            }
            // It was never begun, or was aborted: that is no failure of the page.
            Ok(Refilled::Failed(Reason::ShuttingDown)) if self.isr.is_closing() => {
                self.isr.0.runs.puts_off(&taken.job.key);
                taken.release(self.isr.0.clock.now()).await;
            }
            Ok(Refilled::Failed(_)) | Err(_) => {
                let advice = "the last good page is kept; see why the handler fails";
                self.isr.note(Reason::RefillFailed, &scope.route, advice);
                if taken.attempts + 1 >= self.isr.0.limits.job_attempts {
                    self.give_up(taken, Reason::RefillFailed).await;
                } else {
                    let not_before = self.isr.0.clock.now().after(backoff(taken.attempts));
                    self.isr.0.runs.puts_off(&taken.job.key);
                    taken.retry(not_before).await;
                }
            }
        }
    }

    pub(super) async fn ended(&self, taken: Taken, seq: u64, ending: Ending) -> Finished {
        let key = taken.job.key.clone();
        let finished = taken.finish(seq).await;
        // Whatever the queue says: the page is what it is.
        self.isr.job_ended(&key, ending);
        finished
    }

    pub(super) async fn give_up(&self, taken: Taken, reason: Reason) {
        let (key, want) = (taken.job.key.clone(), taken.job.want);
        // Whoever wants no more than this waits no longer, also where the queue tries on for a later edit.
        if taken.bury(reason).await != Finished::Lost {
            self.isr.job_ended(&key, Ending::GivenUp(want));
        }
    }

    /// What is in the air lands; `shutdown` has the deadline. Caches in front are told at once of what waits for none of
    /// it: one slow render must not keep the others' purges until there is no time for them.
    pub(super) async fn drain(&mut self) {
        let isr = self.isr.clone();
        let landing = async {
            isr.tell_stranded();
            while let Some(done) = self.renders.join_next().await {
                self.finish(done).await;
                isr.tell_stranded();
            }
        };
        tokio::select! {
            () = landing => {}
            () = isr.aborted() => {}
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let isr = &self.isr;
        if !isr.0.runs.detach(self.foreman.is_some()) {
            return;
        }
        // Outside a runtime it is the end of everything.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if isr.0.runs.is_closed() {
            isr.tell_the_rest();
            return;
        }
        if isr.0.outboxes.is_empty() || isr.0.runs.is_empty() {
            return;
        }
        let isr = isr.clone();
        runtime.spawn(async move {
            tokio::time::sleep(ORPHANED).await;
            if !isr.0.runs.has_workers() {
                isr.tell_of_orphans();
            }
        });
    }
}

/// From one second on twice as long each time, up to a minute, and up to as much again at random.
fn backoff(attempts: u32) -> Duration {
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(60))
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build();
    delays.nth(attempts as usize).unwrap_or(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn p06_each_retry_waits_longer_than_the_last_up_to_a_bound_and_no_two_the_same() {
        for attempts in 0..12 {
            let least = Duration::from_secs(1 << attempts.min(6)).min(Duration::from_secs(60));
            let drawn: BTreeSet<Duration> = (0..64).map(|_| backoff(attempts)).collect();
            assert!(drawn.iter().all(|delay| (least..=2 * least).contains(delay)), "{attempts}: {drawn:?}");
            // What fails together must not come back together.
            assert!(drawn.len() > 32, "{attempts}: {} of 64 differ", drawn.len());
            let spread = *drawn.last().unwrap() - *drawn.first().unwrap();
            assert!(spread > least / 4, "{attempts}: {spread:?}");
        }
    }
}
