//! Getting a page rendered, whoever asks for it: board, render, hand out.

use std::sync::Arc;

use super::Isr;
use super::flight::{Boarding, Flight, Outcome, Permit};
use super::hosts::Place;
use super::look_up::Miss;
use super::ports::{Failure, ask};
use crate::clock::Moment;
use crate::error::Error;
use crate::model::cache_status::Forward;
use crate::model::key::{CacheKey, KeyRef};
use crate::model::page::Page;
use crate::model::reason::Reason;
use crate::model::snapshot::Seen;
use crate::model::tag::TagSet;
use crate::model::verdict::{Staleness, Verdict};

impl Isr {
    /// Joins the flight for a key or begins the next one. `owed` is the sequence of the visitor's receipt or
    /// of the job; a flight that began before it is not joined, nor one that a hard mark has overtaken.
    ///
    /// `tags` names what is known of the page before it is rendered; it is asked only if a flight begins.
    pub fn board(&self, key: &CacheKey, owed: u64, tags: impl FnOnce() -> TagSet) -> Boarding {
        let ledger = self.0.graph.ledger();
        let joinable = |flight: &Flight| {
            #[cfg(feature = "twins")]
            if self.lacks(crate::testing::Twin::JoinOvertaken) {
                return true;
            }
            let seq = flight.snapshot().seq;
            let is_known_good = || ledger.marks(flight.known().iter().copied()).latest.hard <= seq;
            // Of one whose head has come all tags are known: it is judged as the page that it will be.
            let streaming = flight.streaming();
            let is_good = || streaming.is_none_or(|own| self.is_fresh_now(own.page()));
            seq >= owed && is_known_good() && is_good()
        };
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::NoCollapse) {
            // As if nobody else flew; asked for its tags, as whoever leads is.
            drop(tags());
            return Boarding::Lead(self.solo(key.clone()));
        }
        let begin = || (ledger.snapshot(), self.ids(key, &tags(), true));
        self.0.flights.board(key, joinable, begin)
    }

    /// Whether a page is fresh, by its marks alone and for this once.
    fn is_fresh_now(&self, page: &Page) -> bool {
        let scope = page.scope().ids(self.0.build.as_deref());
        let marks = self.0.graph.ledger().marks(page.ids().chain(scope.iter().copied()));
        let nothing = Seen { applied: 0, changes: 0 };
        page.judge(self.0.clock.now(), &marks, nothing) == Verdict::Fresh
    }

    /// Whether a stale page needs no further render begun: one is in the air, or its answer is not stored.
    #[must_use]
    pub fn is_being_renewed(&self, key: &CacheKey) -> bool {
        self.is_closing() || self.0.flights.is_aloft(key) || self.is_passed(key)
    }

    /// The right to render a key that nobody can join.
    pub fn solo(&self, key: CacheKey) -> Permit {
        let snapshot = self.0.graph.ledger().snapshot();
        self.0.flights.solo(key, snapshot)
    }

    /// Whether the key is passed in parallel because its answer was lately not storable.
    #[must_use]
    pub fn is_passed(&self, key: &CacheKey) -> bool {
        self.0.passed.get(&key.hash()).is_some_and(|until| self.0.clock.now() < until)
    }

    /// The key, written down in its interned scope. Also notes the host.
    #[must_use]
    pub fn own_key(&self, key: &KeyRef<'_>) -> CacheKey {
        // The subject is no stranger's word: any number of those would leave no room for other notes.
        const SUBJECT: &str = "hosts";
        const ADVICE: &str = "list the accepted hosts with `origins`";
        let host = match self.0.hosts.admit(key.authority, self.0.clock.now()) {
            Place::Unwatched => None,
            Place::Known(host) => Some(host),
            Place::Taken(host) => {
                self.note(Reason::HostLimit, SUBJECT, ADVICE);
                Some(host)
            }
            Place::Refused(host) => {
                // Counted when its page is not stored.
                self.0.notes.note(Reason::HostLimit, SUBJECT, ADVICE);
                Some(host)
            }
        };
        key.to_owned(self.0.scopes.on(key, host.as_ref()))
    }

    /// A page of the second tier, if there is one and it may still be of use; it is taken into memory.
    ///
    /// # Errors
    ///
    /// [`Reason::StoreUnavailable`] when the store did not answer in time, [`Reason::StoreCorrupt`] when its answer
    /// can't be right. The page is then rendered.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn fetch(&self, key: &CacheKey) -> Result<Option<Arc<Page>>, Reason> {
        let Some(store) = self.0.store.as_ref().filter(|_| !self.0.killed.has_lost()) else {
            return Ok(None);
        };
        let removals = self.0.killed.removals();
        // The call is made within the guard: a store may panic before it gives a future.
        match ask(self.0.limits.store_wait, async { store.get(key).await }).await {
            Ok(Some(page)) if key.read(|key| page.is_of(key)) == Some(true) => {
                #[cfg(feature = "twins")]
                if self.lacks(crate::testing::Twin::TrustStore) {
                    page.trust(self.applied());
                }
                // What was written down does not know that it was killed.
                let is_alive = || !self.0.killed.has(key.hash(), page.birth(), removals);
                if self.0.pages.keep_if(key, Arc::clone(&page), is_alive).is_none() {
                    self.remove_killed();
                    return Ok(None);
                }
                Ok(Some(page))
            }
            Ok(None) => Ok(None),
            Ok(Some(_)) => Err(self.note_store(Reason::StoreCorrupt)),
            Err(failure) => Err(self.note_failure(&failure)),
        }
    }

    /// Removes a page that was refused from the second tier, too.
    ///
    /// # Cancellation
    ///
    /// The page may or may not have been removed.
    pub async fn forget(&self, key: &CacheKey) {
        if let Some(store) = &self.0.store {
            // Room, not truth: what stays there is judged when it is read.
            let remove = async { store.remove(std::slice::from_ref(key)).await };
            if let Err(failure) = ask(self.0.limits.store_wait * 5, remove).await {
                self.note_failure(&failure);
            }
        }
    }

    /// Hands a stored page to the second tier. Failing is slow at worst, never wrong.
    ///
    /// # Cancellation
    ///
    /// The page may or may not have reached the store.
    pub async fn pass_on(&self, key: &CacheKey, page: &Arc<Page>) {
        if let Some(store) = &self.0.store
            && let Some(_writing) = self.begin_writing(key.hash(), page)
        {
            let put = async { store.put(key, Arc::clone(page)).await };
            if let Err(failure) = ask(self.0.limits.store_wait * 5, put).await {
                self.note_failure(&failure);
            }
        }
    }

    /// Notes that the second tier did not do what it was asked for.
    pub(super) fn note_failure(&self, failure: &Failure) -> Reason {
        self.note_store(reason_of(failure))
    }

    fn note_store(&self, reason: Reason) -> Reason {
        self.note(reason, "page store", "pages are rendered instead; look after the store");
        reason
    }

    /// The number of the last invalidation begun: what a request that comes now may ask of a page.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.graph.ledger().snapshot().seq
    }

    /// What a flight's outcome means for one who waited: the page, judged again just before it is handed out.
    ///
    /// `owed` is the sequence of the visitor's receipt, `arrived` the one when they came. A page that was
    /// begun after they came is no older than their request: overtaken softly, it may still be theirs.
    ///
    /// # Errors
    ///
    /// A miss, when the page may not be handed to this visitor.
    pub fn hand_out(&self, page: &Arc<Page>, owed: u64, arrived: u64) -> Result<HandOut, Miss> {
        let now = self.0.clock.now();
        // It is what everyone's render came to.
        if page.is_unstored_failure() {
            return Ok(HandOut { page: Arc::clone(page), now, overtaken: false });
        }
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::JoinOvertaken) {
            return Ok(HandOut { page: Arc::clone(page), now, overtaken: false });
        }
        let verdict = self.verdict_of(page, now, self.applied());
        let birth = page.birth();
        let overtaken = match verdict {
            Verdict::Fresh => false,
            // A lifetime shorter than the wait: it was fresh when it was made for this visitor.
            Verdict::Stale(Staleness::Aged) => false,
            Verdict::Stale(Staleness::Invalidated) => {
                let seq = birth.snapshot.seq;
                let may = seq >= arrived || page.lifetime().may_serve_while_revalidating(page.age(now));
                if seq < owed || !may {
                    return Err(Miss {
                        forward: Forward::Stale,
                        reason: Reason::Overtaken,
                        spare: None,
                        prior: None,
                    });
                }
                true
            }
            Verdict::Dead => {
                return Err(Miss {
                    forward: Forward::Miss,
                    reason: Reason::Overtaken,
                    spare: None,
                    prior: None,
                });
            }
        };
        Ok(HandOut { page: Arc::clone(page), now, overtaken })
    }

    /// A stale page that may be served because a render failed: judged again, and never after a hard
    /// invalidation (P19).
    #[must_use]
    pub fn stand_in(&self, page: &Arc<Page>) -> Option<HandOut> {
        let now = self.0.clock.now();
        let verdict = self.verdict_of(page, now, self.applied());
        let may = verdict != Verdict::Dead && page.lifetime().may_serve_on_error(page.age(now));
        let overtaken = verdict == Verdict::Stale(Staleness::Invalidated);
        may.then(|| HandOut { page: Arc::clone(page), now, overtaken })
    }

    /// Ends a flight that failed, for those who follow.
    pub fn fail(&self, permit: Permit, outcome: Outcome) {
        let reason = match outcome {
            Outcome::Panicked => Reason::RenderPanicked,
            Outcome::TimedOut => Reason::RenderTimeout,
            Outcome::Failed => Reason::RenderFailed,
            Outcome::Page(..) | Outcome::Unshareable(_) | Outcome::Abandoned => {
                return permit.finish(outcome);
            }
        };
        self.0.counters.count(reason);
        permit.finish(outcome);
    }
}

fn reason_of(failure: &Failure) -> Reason {
    match failure {
        Failure::Said(Error::Corrupt { .. }) => Reason::StoreCorrupt,
        Failure::Said(_) | Failure::TimedOut | Failure::Panicked => Reason::StoreUnavailable,
    }
}

/// A page for one who waited.
#[derive(Debug)]
pub struct HandOut {
    /// The page.
    pub page: Arc<Page>,
    /// When it was judged.
    pub now: Moment,
    /// Whether it was invalidated while it was rendered.
    pub overtaken: bool,
}

#[cfg(test)]
mod tests;
