//! Renders invalidated pages before anyone asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Isr;
use super::foreman::{Foreman, Need};
use super::jobs::Taken;
use super::rate::Limiter;
use super::runs::Ending;
use crate::error::Result;
use crate::model::reason::Reason;
use crate::model::snapshot::Snapshot;
use crate::origin::{Origin, Refill, Refilled};
use crate::queue::Finished;

/// How often the queue is asked while it has pages of ours: they become ready without a sign.
const TICK: Duration = Duration::from_millis(20);
/// How often a queue is asked that others may have filled.
const IDLE_TICK: Duration = Duration::from_millis(500);
/// How long a job waits whose host has all the renders it may have.
const HOST_WAIT: Duration = Duration::from_millis(50);
/// How long what is left of a killed worker waits for the next one before the caches in front are told of it.
const ORPHANED: Duration = Duration::from_secs(5);

type Rendered = (Taken, Result<Refilled>);

/// One worker.
#[derive(Debug)]
struct Worker {
    isr: Isr,
    origin: Arc<dyn Origin>,
    /// As long as this worker is the one that lists and feeds.
    foreman: Option<Foreman>,
    renders: JoinSet<Rendered>,
    /// How many of the renders are for each host.
    by_host: HashMap<String, usize>,
    limiter: Option<Limiter>,
    /// Whether the rate allowed a render that was not begun.
    is_allowed: bool,
}

impl Isr {
    /// Works until [`Isr::shutdown`]: renders the pages of each invalidation through `origin`, then has the
    /// connectors purge. Begins to count as a worker when it is first polled. Several share the work.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: renders that it began land all the same, and the next worker goes on where
    /// this one stopped. If none comes, the next visitor's request renders what is left.
    pub async fn work(self, origin: Arc<dyn Origin>) {
        if self.is_disabled() {
            return;
        }
        let limiter = self.0.limits.worker_rate.map(|rate| Limiter::new(rate, Arc::clone(&self.0.clock)));
        self.0.runs.attach();
        let worker = Worker {
            isr: self,
            origin,
            foreman: None,
            renders: JoinSet::new(),
            by_host: HashMap::new(),
            limiter,
            is_allowed: false,
        };
        worker.run().await;
    }

    /// How long a job may take until another worker takes it over. An application that hangs before any layer is
    /// reached has no other bound than twice the render time-out.
    pub(super) fn lease(&self) -> Duration {
        self.0.limits.render_timeout.saturating_mul(3)
    }
}

impl Worker {
    async fn run(mut self) {
        let isr = self.isr.clone();
        loop {
            // Registered before there is a look at what there is to do, so that nothing is missed.
            let changed = isr.0.runs.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if isr.0.runs.is_closed() {
                break;
            }
            if self.foreman.is_none() && isr.0.runs.become_foreman() {
                self.foreman = Some(Foreman::new());
            }
            let mut any = false;
            while let Some(done) = self.renders.try_join_next() {
                self.finish(done).await;
                any = true;
            }
            if let Some(foreman) = &mut self.foreman {
                any |= foreman.work(&isr).await;
            }
            let look_again = self.start().await;
            any |= look_again.is_none();
            if any {
                // A long walk must not keep others from the thread.
                tokio::task::yield_now().await;
                continue;
            }
            let next_look = self.next_look(look_again);
            tokio::select! {
                Some(done) = self.renders.join_next() => self.finish(done).await,
                () = changed => {}
                () = tokio::time::sleep_until(next_look) => {}
            }
        }
        self.drain().await;
    }

    /// When to look again if nothing happens until then.
    fn next_look(&self, rate: Option<Duration>) -> Instant {
        let now = Instant::now();
        let runs = &self.isr.0.runs;
        let tick = if !runs.is_empty() {
            TICK
        } else if self.isr.0.jobs.is_given() {
            IDLE_TICK
        } else {
            // Only a change brings more.
            Duration::from_secs(3600)
        };
        let next = now + rate.map_or(tick, |rate| rate.min(tick));
        match &self.foreman {
            Some(foreman) if runs.can_take(self.isr.0.clock.now()) => next.min(foreman.may_take().max(now)),
            _ => next,
        }
    }

    /// Begins as many renders as there is room for. `None` if there was any job, else when to look again at the
    /// earliest.
    async fn start(&mut self) -> Option<Duration> {
        let most = self.isr.0.limits.worker_renders;
        let room = most.saturating_sub(self.renders.len());
        let idle = !self.isr.0.runs.has_fed() && !self.isr.0.jobs.is_given();
        if room == 0 || idle {
            return Some(Duration::MAX);
        }
        if self.limiter.is_none() {
            return if self.claim(room).await { None } else { Some(Duration::MAX) };
        }
        let mut any = false;
        // One at a time, so that no right is taken that no job is there for: those would make a burst later.
        for _ in 0..room {
            if let Some(limiter) = &self.limiter
                && !self.is_allowed
                && let Err(wait) = limiter.try_take()
            {
                return if any { None } else { Some(wait) };
            }
            self.is_allowed = true;
            if !self.claim(1).await {
                break;
            }
            any = true;
        }
        if any { None } else { Some(Duration::MAX) }
    }

    /// Takes on up to so many jobs; whether it is worth looking for more at once. A queue may give jobs of pages that are
    /// not here, or claims that are not ours, without end.
    async fn claim(&mut self, limit: usize) -> bool {
        let claims = self.isr.claim_jobs(limit, self.isr.lease(), self.isr.0.clock.now()).await;
        let mut any = false;
        for taken in claims {
            any |= self.take_on(taken).await;
        }
        any
    }

    async fn take_on(&mut self, taken: Taken) -> bool {
        let isr = self.isr.clone();
        let limits = &isr.0.limits;
        let (key, want) = (taken.job.key.clone(), taken.job.want);
        match isr.need_of(&key, want) {
            Need::Render => {}
            Need::Nothing => return self.ended(taken, want, Ending::Reached(want)).await != Finished::Lost,
            Need::Gone => {
                self.ended(taken, want, Ending::GivenUp(want)).await;
                return false;
            }
        }
        let left = isr.window_of(&key, isr.0.runs.wanted_since(&key));
        let wait = left.quiet.min(left.most);
        if !wait.is_zero() {
            // Invalidated again since the queue was given it: its burst is not over.
            isr.0.runs.puts_off(&key);
            taken.release(isr.0.clock.now().after(wait)).await;
            return true;
        }
        if taken.attempts >= limits.job_attempts {
            // Its lease ran out each time: it takes its workers with it.
            self.give_up(taken, Reason::RefillFailed).await;
            return true;
        }
        let host = key.scope().authority.to_string();
        let of_host = self.by_host.entry(host).or_default();
        if *of_host >= limits.renders_per_host {
            taken.release(isr.0.clock.now().after(HOST_WAIT)).await;
            return true;
        }
        *of_host += 1;
        self.is_allowed = false;
        let patience = limits.render_timeout;
        let origin = Arc::clone(&self.origin);
        let refill = Refill { key, want };
        self.renders.spawn(async move {
            // In a task of its own: an application that panics costs one job, not the worker.
            let refilling = async move {
                let _ =
                    tokio::time::timeout(patience, isr.older_flight_landed(&refill.key, refill.want)).await;
                tokio::time::timeout(patience * 2, origin.refill(&refill)).await
            };
            let refilled = match tokio::spawn(refilling).await {
                Ok(Ok(refilled)) => refilled,
                Ok(Err(_)) => Ok(Refilled::Failed(Reason::RenderTimeout)),
                Err(_) => Ok(Refilled::Failed(Reason::RenderPanicked)),
            };
            (taken, refilled)
        });
        true
    }

    async fn finish(&mut self, done: Result<Rendered, JoinError>) {
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

    async fn ended(&self, taken: Taken, seq: u64, ending: Ending) -> Finished {
        let key = taken.job.key.clone();
        let finished = taken.finish(seq).await;
        // Whatever the queue says: the page is what it is.
        self.isr.job_ended(&key, ending);
        finished
    }

    async fn give_up(&self, taken: Taken, reason: Reason) {
        let (key, want) = (taken.job.key.clone(), taken.job.want);
        if taken.bury(reason).await == Finished::Done {
            self.isr.job_ended(&key, Ending::GivenUp(want));
        }
    }

    /// What is in the air lands; `shutdown` has the deadline.
    async fn drain(&mut self) {
        let isr = self.isr.clone();
        let landing = async {
            while let Some(done) = self.renders.join_next().await {
                self.finish(done).await;
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
