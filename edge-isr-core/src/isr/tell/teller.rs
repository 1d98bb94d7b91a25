//! Says what waits in an outbox, call by call, until the cache has confirmed it or was asked often enough.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::Outbox;
use super::calls::{Call, calls};
use super::outbox::Entries;
use super::ticket::Share;
use crate::error::Error;
use crate::isr::Isr;
use crate::isr::ports::{Failure, ask};
use crate::model::reason::Reason;

/// How often a call is made before it is given up.
const ATTEMPTS: usize = 5;
/// How long a cache may ask to be left alone, in all, before it confirms something.
const PATIENCE: Duration = Duration::from_secs(600);

type Told = Call<Vec<Share>>;

/// The one who talks to a cache, for as long as there is something to say.
#[derive(Debug)]
struct Teller {
    isr: Isr,
    nth: usize,
    /// What is left of the patience.
    patience: Duration,
    is_done: bool,
}

impl Isr {
    /// Has a task say what waits in an outbox.
    pub(super) fn begin_telling(&self, nth: usize) {
        let mut teller = Teller { isr: self.clone(), nth, patience: PATIENCE, is_done: false };
        let (isr, busy) = (self.clone(), self.0.busy.begin());
        tokio::spawn(async move {
            let _busy = busy;
            isr.until_silenced(teller.run()).await;
            // Before the guard: whoever waits for quiet finds every ticket settled.
            drop(teller);
        });
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // However it ends, the next telling finds that nobody talks.
        if !self.is_done {
            self.outbox().abandon();
        }
    }
}

impl Teller {
    fn outbox(&self) -> &Outbox {
        &self.isr.0.outboxes[self.nth]
    }

    async fn run(&mut self) {
        while let Some(entries) = self.outbox().take() {
            self.tell(entries).await;
        }
        self.is_done = true;
    }

    /// Makes the calls, and those that failed for a while again and again. What comes meanwhile waits, and is said
    /// after it in as few calls.
    async fn tell(&mut self, entries: Entries) {
        let items = entries.into_iter().map(|(item, entry)| (item, entry.mode, entry.shares));
        let mut calls = calls(self.outbox().limits(), items);
        let mut delays = delays();
        self.patience = PATIENCE;
        while !calls.is_empty() {
            let delay = delays.next();
            calls = self.round(calls, delay.is_none()).await;
            if let Some(delay) = delay.filter(|_| !calls.is_empty()) {
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// Makes each call once; those that are worth another attempt.
    async fn round(&mut self, calls: Vec<Told>, is_last: bool) -> Vec<Told> {
        let (mut calls, mut again) = (VecDeque::from(calls), Vec::new());
        while let Some(mut call) = calls.pop_front() {
            let Err(failure) = self.call(&call).await else {
                self.patience = PATIENCE;
                call.items.into_iter().flat_map(|(_, shares)| shares).for_each(Share::confirm);
                continue;
            };
            let why = failure.why();
            match failure {
                Failure::Said(Error::Throttled { retry_after, .. }) => {
                    let pause = pause(retry_after);
                    let Some(left) = self.patience.checked_sub(pause) else {
                        // It has been asked often enough: the others would be told the same.
                        let all = again.into_iter().chain([call]).chain(calls);
                        all.for_each(|call| self.give_up(call, &why));
                        return Vec::new();
                    };
                    self.patience = left;
                    self.retry(&mut call, &why);
                    calls.push_front(call);
                    tokio::time::sleep(pause).await;
                }
                failure if failure.is_transient() && !is_last => {
                    self.retry(&mut call, &why);
                    again.push(call);
                }
                failure if !failure.is_transient() && call.items.len() > 1 => {
                    // One that it can't do takes no other with it.
                    call.split().rev().for_each(|call| calls.push_front(call));
                }
                _ => self.give_up(call, &why),
            }
        }
        again
    }

    /// One call, when the rate lets it be made.
    async fn call(&self, call: &Told) -> Result<(), Failure> {
        let outbox = self.outbox();
        while let Some(Err(wait)) = outbox.limiter.as_ref().map(|limiter| limiter.try_take()) {
            tokio::time::sleep(wait).await;
        }
        let purge = call.purge();
        // Not even asked outside: what makes the future may panic, too.
        ask(self.isr.0.limits.purge_wait, async { outbox.connector.purge(&purge).await }).await
    }

    fn retry(&self, call: &mut Told, why: &str) {
        let advice = "the cache in front is told again after a while; the receipt says what it answered";
        self.isr.note(Reason::PurgeRetried, self.outbox().name(), advice);
        call.items.iter_mut().flat_map(|(_, shares)| shares).for_each(|share| share.retry(why));
    }

    fn give_up(&self, call: Told, why: &str) {
        let advice = "the cache in front may serve old pages until they age out; the receipt says why";
        self.isr.note(Reason::PurgeFailed, self.outbox().name(), advice);
        call.items.into_iter().flat_map(|(_, shares)| shares).for_each(|share| share.fail(why));
    }
}

/// How long to wait before each further attempt: twice as long each time, and up to as long again by chance.
fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_jitter().with_max_times(ATTEMPTS - 1).build()
}

/// How long to leave a cache alone that asks for it: as long as it said and a tenth to a fifth more by chance, so
/// that not all who were told the same come back at once.
fn pause(retry_after: Duration) -> Duration {
    let tenth = (retry_after / 10).clamp(Duration::from_millis(100), Duration::from_secs(10));
    let more = ExponentialBuilder::new().with_jitter().with_min_delay(tenth).build().next();
    retry_after.saturating_add(more.unwrap_or(tenth))
}
