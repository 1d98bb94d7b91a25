//! What a page remembers of its marks, and what hits tell it.

use std::sync::atomic::Ordering;

use super::Page;
use crate::clock::Moment;
use crate::model::snapshot::{Marks, Seen};
use crate::model::verdict::{Staleness, Verdict, verdict};

/// `verified` of a page that a late tag killed. No graph ever applies this many invalidations.
const KILLED: u64 = u64::MAX;

impl Page {
    /// Judges the page by marks that were read after `seen` was.
    pub fn judge(&self, now: Moment, marks: &Marks, seen: Seen) -> Verdict {
        if self.is_killed() {
            return Verdict::Dead;
        }
        let snapshot = self.birth.snapshot;
        let judged = verdict(snapshot, self.lifetime(), self.head.loss(), self.age(now), marks);
        let untouched = marks.incarnation == snapshot.incarnation
            && marks.latest.soft.max(marks.latest.hard) <= snapshot.seq;
        if untouched {
            // Pair with the Acquire in `is_verified` and `judge_unchanged`. Never lower, and never revive a killed page.
            self.changes.fetch_max(seen.changes, Ordering::Release);
            self.verified.fetch_max(seen.applied, Ordering::Release);
        }
        judged
    }

    /// Whether nothing was applied since the page's marks were found harmless. One load.
    #[must_use]
    pub fn is_verified(&self, applied: u64) -> bool {
        self.verified.load(Ordering::Acquire) == applied
    }

    /// Judges the page without its marks, if none of them can have changed since they were found harmless: what
    /// was applied meanwhile concerned others.
    #[must_use]
    pub fn judge_unchanged(&self, now: Moment, seen: Seen) -> Option<Verdict> {
        if self.changes.load(Ordering::Acquire) != seen.changes || self.is_killed() {
            return None;
        }
        self.verified.fetch_max(seen.applied, Ordering::Release);
        let is_fresh = self.lifetime().is_fresh(self.age(now));
        Some(if is_fresh { Verdict::Fresh } else { Verdict::Stale(Staleness::Aged) })
    }

    /// Takes the page as judged, for the must-fail twin that believes its store.
    #[cfg(feature = "twins")]
    pub(crate) fn trust(&self, applied: u64) {
        self.verified.store(applied, Ordering::Release);
    }

    /// Kills the page: a tag was added after it was sealed, so its marks can't be trusted.
    pub fn kill(&self) {
        // A read-modify-write as in `judge`: `loom` does not order a plain store with one.
        self.verified.fetch_max(KILLED, Ordering::Release);
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.verified.load(Ordering::Acquire) == KILLED
    }

    /// Counts a visit; says how many there were.
    pub fn visit(&self) -> u32 {
        self.hits.fetch_add(1, Ordering::Relaxed)
    }

    /// How often the page was served.
    #[must_use]
    pub fn visits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }
}
