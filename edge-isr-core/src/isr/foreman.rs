//! Finds the pages of invalidations and gives them to the queue. One worker at a time does.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Isr;
use super::runs::{Ending, Found, Next, Underway};
use super::tell::Telling;
use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::page::Page;
use crate::model::reason::Reason;
use crate::model::snapshot::Mode;
use crate::model::verdict::{Staleness, Verdict};
use crate::queue::{Pushed, Window};

/// How many pages are listed at a time.
const BATCH: usize = 64;
/// How long runs that come one after the other are let pile up, so that those of the same tags are merged.
const PAUSE: Duration = Duration::from_millis(10);
/// How often pages that the queue has are pushed again: it may be shared, and another process done with them.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the queue is given pages without a look at anything else: renders are to be begun and ended meanwhile,
/// however slow it is.
const TURN: Duration = Duration::from_millis(250);
/// For so many times as long as a turn took nothing more is pushed again.
const REST: u32 = 2;

/// When the foreman did what last.
#[derive(Debug)]
pub(super) struct Foreman {
    may_take: Instant,
    push_again: Instant,
    /// What is left of the pages that are pushed again this time.
    again: VecDeque<CacheKey>,
}

impl Foreman {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { may_take: now, push_again: now + AGAIN, again: VecDeque::new() }
    }

    /// Whether runs may be taken up, or from when on.
    pub(super) fn may_take(&self) -> Instant {
        self.may_take
    }

    /// Lists some, gives some to the queue, has told what is done; whether there was anything to do.
    pub(super) async fn work(&mut self, isr: &Isr) -> bool {
        let listed = self.list(isr);
        let fed = feed(isr).await;
        self.push_again(isr).await;
        let told = isr.tell_over();
        listed | fed | told
    }

    fn list(&mut self, isr: &Isr) -> bool {
        let inner = &isr.0;
        let now = Instant::now();
        let may_take = now >= self.may_take;
        let at = inner.clock.now();
        let takes = may_take && inner.runs.can_take(at);
        let Some(listing) = inner.runs.next_listing(may_take, at) else { return takes };
        if takes && !inner.runs.can_take(at) {
            self.may_take = now + PAUSE;
        }
        let members = isr.members(&listing.tag, listing.place.after, BATCH);
        let mut found = Found::default();
        for key in &members.keys {
            match isr.state_of(key, listing.want) {
                // In the second pass as well: a visitor may have had it fetched in between.
                State::Stale(visits) => found.in_memory.push((visits, key.hash())),
                State::Elsewhere if listing.place.is_second => found.elsewhere.push(key.clone()),
                State::Elsewhere | State::Satisfied | State::Gone => {}
            }
        }
        let is_told = isr.is_told_in_urls(&listing.tag);
        inner.runs.list(&listing, &members, found, is_told, inner.store.is_some());
        true
    }

    /// Pushes some pages again that the queue has, where it stopped the last time.
    async fn push_again(&mut self, isr: &Isr) {
        let since = Instant::now();
        if since < self.push_again {
            return;
        }
        if self.again.is_empty() {
            self.again = isr.0.runs.fed();
        }
        for _ in 0..BATCH {
            let Some(key) = self.again.pop_front() else { break };
            push_again(isr, &key).await;
            if is_turn_over(isr, since) {
                break;
            }
        }
        let rest = since.elapsed() * REST;
        self.push_again = Instant::now() + if self.again.is_empty() { AGAIN.max(rest) } else { rest };
    }
}

/// Pushes a page again that the queue has, if it is still to be rendered.
async fn push_again(isr: &Isr, key: &CacheKey) {
    let inner = &isr.0;
    let Some((job, since)) = inner.runs.fed_job(key) else { return };
    match isr.need_of(key, job.want) {
        Need::Render => {}
        // Another process did it, or a visitor's request, or a worker that was killed before it said so.
        Need::Nothing => return isr.job_ended(key, Ending::Reached(job.want)),
        Need::Gone => return isr.job_ended(key, Ending::GivenUp(job.want)),
    }
    let at = inner.clock.now();
    isr.push_job(job.clone(), Window::default(), at).await;
    // What is not done after all this time is in no queue that does it.
    if inner.jobs.is_given() && at.since(since) >= isr.lease() {
        let advice = "the queue takes jobs and does not give them back; they are done from memory";
        isr.note(Reason::QueueUnavailable, "queue", advice);
        inner.jobs.keep(job, Window::default(), at).await;
    }
}

/// Whether the queue has been given pages for long enough.
fn is_turn_over(isr: &Isr, since: Instant) -> bool {
    since.elapsed() >= TURN || isr.0.runs.is_closed()
}

/// Gives some pages to the queue while it takes them.
async fn feed(isr: &Isr) -> bool {
    let inner = &isr.0;
    let since = Instant::now();
    // So many at a time, whatever becomes of them: a page that needs no push takes time too.
    for nth in 0..BATCH {
        let now = inner.clock.now();
        let key_of = |hash| inner.pages.peek_hash(hash).and_then(|page| page.key());
        let feed = match inner.runs.next_page(now, key_of) {
            Next::Page(feed) => feed,
            Next::Gone => continue,
            Next::Nothing => return nth > 0,
        };
        if matches!(isr.need_of(&feed.job.key, feed.job.want), Need::Nothing) {
            inner.runs.take_off(&feed);
            continue;
        }
        let window = isr.window_of(&feed.job.key, Some(feed.since));
        if isr.push_job(feed.job.clone(), window, now).await == Pushed::Full {
            // Nothing is lost: the run has the page until there is room for it.
            inner.runs.take_back(feed);
            let advice = "raise `limits.jobs`, or look after the queue; renders wait for room";
            isr.note(Reason::QueueFull, "queue", advice);
            return nth > 0;
        }
        if is_turn_over(isr, since) {
            break;
        }
    }
    true
}

/// What there is to do about a page of a run.
enum State {
    /// It has to be rendered; so often it was visited.
    Stale(u32),
    /// It may be in the second tier.
    Elsewhere,
    /// It is new enough, or was not invalidated at all.
    Satisfied,
    /// It is not there to be renewed: one that was evicted is left to its next visitor.
    Gone,
}

/// What there is to do about a job.
pub(super) enum Need {
    Render,
    Nothing,
    Gone,
}

impl Isr {
    fn state_of(&self, key: &CacheKey, want: u64) -> State {
        let inner = &self.0;
        match inner.pages.peek(key) {
            Some(page) if self.is_new_enough(&page, want) => State::Satisfied,
            Some(page) => State::Stale(page.visits()),
            None if inner.store.is_some() => State::Elsewhere,
            None => State::Gone,
        }
    }

    pub(super) fn need_of(&self, key: &CacheKey, want: u64) -> Need {
        match self.state_of(key, want) {
            State::Stale(_) | State::Elsewhere => Need::Render,
            State::Satisfied => Need::Nothing,
            State::Gone => Need::Gone,
        }
    }

    /// Waits for a render of the page that a visitor began too early for a job, unless nobody may see that page any
    /// more: one at a time is enough while there is something to serve.
    pub(super) async fn older_flight_landed(&self, key: &CacheKey, want: u64) {
        let inner = &self.0;
        let Some(page) = inner.pages.peek(key) else { return };
        if self.verdict_of(&page, inner.clock.now(), self.applied()) == Verdict::Dead {
            return;
        }
        if let Some(older) = inner.flights.begun_before(key, want) {
            older.outcome().await;
        }
    }

    /// A page is done, for the runs that wait for it.
    pub(super) fn job_ended(&self, key: &CacheKey, ending: Ending) {
        self.0.runs.done(key, ending, self.0.clock.now());
        self.tell_over();
    }

    /// How long a page has to wait for the end of its burst: it was last marked not long ago. `since` is when the
    /// first of those who wait for it came; nobody waits where that is not known.
    pub(super) fn window_of(&self, key: &CacheKey, since: Option<Moment>) -> Window {
        let inner = &self.0;
        let (now, window) = (inner.clock.now(), inner.limits.window());
        let Some(since) = since.filter(|_| !window.quiet.is_zero()) else { return Window::default() };
        let last = inner.pages.peek(key).and_then(|page| {
            let scope = page.scope().ids(inner.build.as_deref());
            inner.graph.ledger().last_marked(page.ids().chain(scope.iter().copied()))
        });
        let quiet = last.map_or(Duration::ZERO, |last| window.quiet.saturating_sub(now.since(last)));
        Window { quiet, most: window.most.saturating_sub(now.since(since)) }
    }

    fn is_new_enough(&self, page: &Page, want: u64) -> bool {
        if page.birth().snapshot.seq >= want {
            return true;
        }
        let verdict = self.verdict_of(page, self.0.clock.now(), self.applied());
        matches!(verdict, Verdict::Fresh | Verdict::Stale(Staleness::Aged))
    }

    /// Has the caches in front told of the runs whose pages are all done: now that the new ones stand there.
    pub(super) fn tell_over(&self) -> bool {
        let mut any = false;
        while let Some((over, _busy)) = self.0.runs.take_over() {
            self.tell_of(over);
            any = true;
        }
        self.0.runs.rest();
        any
    }

    /// The last purge of a run. After a hard invalidation it waits, for what was in flight.
    pub(super) fn tell_of(&self, over: Underway) {
        if self.0.outboxes.is_empty() {
            return;
        }
        let run = over.run;
        match run.mode {
            Mode::Hard => self.tell_settled(Telling::last(run), self.0.limits.settle),
            Mode::Soft => drop(self.tell(Telling::last(run))),
        }
    }

    /// Has the caches in front told of what nobody will render any more, at a shutdown.
    pub(super) fn tell_the_rest(&self) {
        let _busy = self.0.busy.begin();
        self.0.runs.take_all().into_iter().for_each(|over| self.tell_of(over));
        self.0.runs.rest();
    }

    /// As [`tell_the_rest`](Self::tell_the_rest), but leaves the runs that have a page in the air.
    pub(super) fn tell_stranded(&self) {
        let _busy = self.0.busy.begin();
        self.0.runs.take_stranded().into_iter().for_each(|over| self.tell_of(over));
        self.0.runs.rest();
    }

    /// Has the caches in front told of what waits for a worker that does not come. It goes on waiting.
    pub(super) fn tell_of_orphans(&self) {
        let advice =
            "the worker is gone, so purges do not wait for the new pages: spawn `isr.worker(app)` again";
        self.note(Reason::PurgeEarly, "worker", advice);
        for run in self.0.runs.untold() {
            drop(self.tell(Telling::last(run)));
        }
    }
}
