//! Renders invalidated pages before anyone asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Isr;
use super::foreman::{Foreman, Need};
use super::jobs::Taken;
use super::rate::Limiter;
use super::runs::Ending;
use crate::error::Result;
use crate::model::reason::Reason;
use crate::origin::{Origin, Refill, Refilled};
use crate::queue::Finished;

mod ending;

/// How often the queue is asked while it has pages of ours: they become ready without a sign.
const TICK: Duration = Duration::from_millis(20);
/// How often a queue is asked that others may have filled.
const IDLE_TICK: Duration = Duration::from_millis(500);
/// How long a job waits whose host has all the renders it may have. The more of them there are, the longer, so that
/// they are not looked at more often than so many times in this time.
const HOST_WAIT: Duration = Duration::from_millis(50);
const HOST_LOOKS: u32 = 32;

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
            // Its place is for another host's page.
            let waiting = isr.0.runs.puts_off_for_its_host(&key, isr.0.clock.now());
            // By chance, or those that were put off together would find the same renders running together.
            let wait = host_wait(waiting).mul_f64(0.5 + isr.0.chance.unit());
            taken.release(isr.0.clock.now().after(wait)).await;
            return true;
        }
        *of_host += 1;
        self.is_allowed = false;
        isr.0.runs.begins(&key);
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
}

/// How long a job waits on average if so many of its host wait.
fn host_wait(waiting: usize) -> Duration {
    let more = HOST_WAIT.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX)) / HOST_LOOKS;
    HOST_WAIT + more
}
