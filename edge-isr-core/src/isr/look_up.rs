//! Key → page → marks → verdict → decision. Synchronous: a hit waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::Isr;
use crate::clock::Moment;
use crate::model::cache_status::Forward;
use crate::model::coding::{Accepts, Coding};
use crate::model::conditional::{Selection, select};
use crate::model::decide::{Decision, decide};
use crate::model::key::KeyRef;
use crate::model::page::{Page, Shown};
use crate::model::reason::Reason;
use crate::model::snapshot::Seen;
use crate::model::verdict::{Staleness, Verdict};
use crate::sync::between_steps;

/// What was found for a key.
#[derive(Debug)]
pub enum LookUp {
    /// Answer from this page.
    Fresh(Hit),
    /// Answer from this page, and see to it that one render runs.
    Stale(Hit),
    /// Render.
    Miss(Miss),
}

/// A page to answer from, as it was judged.
#[derive(Debug)]
pub struct Hit {
    pub(super) page: Arc<Page>,
    pub(super) now: Moment,
    pub(super) applied: u64,
    pub(super) staleness: Option<Staleness>,
    pub(super) coding: Option<Coding>,
}

/// Why there is no page to answer from.
#[derive(Debug, Clone)]
pub struct Miss {
    /// For `Cache-Status`.
    pub forward: Forward,
    /// Why.
    pub reason: Reason,
    /// A page that may be served should the render fail.
    pub spare: Option<Arc<Page>>,
    /// A page that the origin may say is unchanged, on a gateway route (RFC 9111 §4.3).
    pub prior: Option<Arc<Page>>,
}

impl Hit {
    /// The page.
    #[must_use]
    pub const fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The page, where the origin may say that it is unchanged.
    #[must_use]
    pub fn prior(&self) -> Option<Arc<Page>> {
        prior_of(&self.page, self.staleness?)
    }

    /// Whether it is used beyond its lifetime or its marks.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.staleness.is_some()
    }

    /// What of the page the request wants.
    #[must_use]
    pub fn select(&self, headers: &HeaderMap, is_head: bool) -> Selection {
        select(headers, is_head, &self.shown().validators())
    }

    /// The page in the form that was chosen for the request.
    #[must_use]
    #[inline]
    pub fn shown(&self) -> Shown<'_> {
        self.page.shown(self.coding)
    }

    /// Whether nothing was applied since its marks were read last, and its lifetime lasts.
    #[inline(always)]
    fn is_known_fresh(&self) -> bool {
        self.page.is_verified(self.applied) && self.page.lifetime().is_fresh(self.page.age(self.now))
    }

    /// Notes that the page is of use, and its host.
    #[inline(always)]
    pub(super) fn visit(&self) {
        self.page.scope().touch(self.now);
        self.page.visit();
    }

    /// How old the page is.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.page.age(self.now)
    }
}

/// A page that was invalidated is not believed to be the same for a date of whole seconds or a weak comparison.
fn prior_of(page: &Arc<Page>, staleness: Staleness) -> Option<Arc<Page>> {
    let is_strong =
        || page.validators().etag.is_some_and(|etag| etag.starts_with(b"\"")) && !page.reuse().own_etag;
    let may = staleness == Staleness::Aged || is_strong();
    may.then(|| Arc::clone(page))
}

impl Isr {
    /// Finds what to do with a request. `owed` is asked only if the page was softly invalidated: the sequence
    /// of the visitor's own receipt, zero without one.
    #[must_use]
    #[inline]
    pub fn look_up(&self, key: &KeyRef<'_>, owed: impl FnOnce() -> u64) -> LookUp {
        let Some(page) = self.0.pages.find(key) else {
            return LookUp::Miss(Miss {
                forward: Forward::UriMiss,
                reason: Reason::Absent,
                spare: None,
                prior: None,
            });
        };
        let hit = self.seen_now(page);
        if hit.is_known_fresh() {
            return LookUp::Fresh(hit);
        }
        self.judge(hit.page, hit.now, hit.applied, owed)
    }

    /// The page of a key, if it is fresh: what [`look_up`](Self::look_up) would find, without what it does to pages that
    /// are not. Who gets none looks up.
    #[must_use]
    #[inline]
    pub fn fresh_hit(&self, key: &KeyRef<'_>) -> Option<Hit> {
        let hit = self.seen_now(self.0.pages.find(key)?);
        let is_fresh =
            hit.is_known_fresh() || self.verdict_of(&hit.page, hit.now, hit.applied) == Verdict::Fresh;
        is_fresh.then_some(hit)
    }

    #[inline(always)]
    fn seen_now(&self, page: Arc<Page>) -> Hit {
        let now = self.0.clock.now();
        // Before the marks are read: what is applied later is not remembered as seen.
        Hit { page, now, applied: self.applied(), staleness: None, coding: None }
    }

    /// A page past its lifetime for a client that takes it so (RFC 9111 §5.2.1.2), where the origin does not forbid it.
    #[must_use]
    pub fn stale_hit(&self, page: Option<&Arc<Page>>) -> Option<Hit> {
        let page = page.filter(|page| !page.reuse().never_stale)?;
        let (now, applied) = (self.0.clock.now(), self.applied());
        let is_aged = self.verdict_of(page, now, applied) == Verdict::Stale(Staleness::Aged);
        is_aged.then(|| Hit {
            page: Arc::clone(page),
            now,
            applied,
            staleness: Some(Staleness::Aged),
            coding: None,
        })
    }

    /// Whether the origin may be asked if a page is unchanged, and be believed: judged now, since it may have been
    /// invalidated after it was looked up.
    #[must_use]
    pub fn may_ask_about(&self, page: &Arc<Page>) -> bool {
        match self.verdict_of(page, self.0.clock.now(), self.applied()) {
            Verdict::Fresh => true,
            Verdict::Stale(staleness) => prior_of(page, staleness).is_some(),
            Verdict::Dead => false,
        }
    }

    #[cold]
    fn judge(&self, page: Arc<Page>, now: Moment, applied: u64, owed: impl FnOnce() -> u64) -> LookUp {
        between_steps();
        let verdict = self.verdict_of(&page, now, applied);
        let birth = page.birth();
        let owed = if verdict == Verdict::Stale(Staleness::Invalidated) { owed() } else { 0 };
        match decide(verdict, page.lifetime(), page.age(now), birth.snapshot.seq, owed) {
            Decision::Serve => LookUp::Fresh(Hit { page, now, applied, staleness: None, coding: None }),
            Decision::ServeStale(staleness) => {
                LookUp::Stale(Hit { page, now, applied, staleness: Some(staleness), coding: None })
            }
            Decision::Render { spare } => {
                let (forward, reason) = match verdict {
                    Verdict::Dead => (Forward::Miss, Reason::Dead),
                    Verdict::Fresh | Verdict::Stale(_) if owed > birth.snapshot.seq => {
                        (Forward::Stale, Reason::Receipt)
                    }
                    Verdict::Fresh | Verdict::Stale(_) => (Forward::Stale, Reason::Expired),
                };
                if verdict == Verdict::Dead
                    && let Some(key) = page.key()
                {
                    self.0.pages.remove_page(key.hash(), &page);
                }
                let prior = match verdict {
                    Verdict::Stale(staleness) => prior_of(&page, staleness),
                    Verdict::Fresh | Verdict::Dead => None,
                };
                LookUp::Miss(Miss { forward, reason, spare: spare.then_some(page), prior })
            }
        }
    }

    /// Judges a page as of `applied`, which was loaded before: what is applied later is not remembered as seen.
    pub(crate) fn verdict_of(&self, page: &Page, now: Moment, applied: u64) -> Verdict {
        let ledger = self.0.graph.ledger();
        let scope = page.scope().ids(self.0.build.as_deref());
        let ids = || page.ids().chain(scope.iter().copied());
        let seen = Seen { applied, changes: ledger.changes(ids()) };
        between_steps();
        page.judge_unchanged(now, seen).unwrap_or_else(|| {
            let marks = ledger.marks(ids());
            between_steps();
            page.judge(now, &marks, seen)
        })
    }

    /// Whether to render a fresh page ahead of its end: drawn for each hit near it, if the policy asks for that.
    #[must_use]
    #[inline]
    pub fn is_due_ahead(&self, hit: &Hit) -> bool {
        !hit.page.lead().is_none() && self.draw(hit)
    }

    fn draw(&self, hit: &Hit) -> bool {
        hit.page.lead().is_due(hit.age(), hit.page.lifetime().fresh, || self.0.chance.unit())
    }

    /// Chooses the form of a page that its request takes. Until it was, the page is answered with as it is.
    #[inline]
    pub fn choose_form(&self, hit: &mut Hit, accepts: impl FnOnce() -> Accepts) {
        if hit.page.is_codable() {
            hit.coding = match hit.staleness {
                None => self.coding_for(&hit.page, accepts()),
                // Nobody is to work for a page that is about to be replaced.
                Some(_) => hit.page.form_among(accepts()),
            };
        }
    }
}
