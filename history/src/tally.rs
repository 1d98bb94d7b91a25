//! What was done, counted: a run that exercised nothing proves nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counts {
    ($($name:ident $text:literal)+) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Count { $($name),+ }

        impl Count {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

counts! {
    Reads "requests"
    FreshHits "fresh hits"
    FreshAfter "fresh hits of data that was invalidated before"
    StaleInvalidated "stale hits, invalidated"
    StaleAged "stale hits, aged"
    Renders "renders"
    Led "answers from a render"
    Collapsed "answers from another's render"
    Overtaken "answers from a render that was overtaken"
    Spare "stale answers for a render that failed"
    Failed "failures that were passed on"
    Unstored "answers that were not to be stored"
    Owed "requests with a receipt"
    Drafts "drafts"
    HungUp "clients that hung up"
    Panics "renders that panicked"
    Hung "renders that hung"
    Again "renders of a page that was evicted"
    Commits "commits"
    Soft "soft invalidations"
    Hard "hard invalidations"
    Moves "moves of the clocks"
    Settled "pages that were read after a quiet end"
    Episodes "episodes"
    Storms "storms of threads"
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Tally([AtomicU64; Count::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Tally {
    pub(crate) fn add(&self, count: Count) {
        self.0[count as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Relaxed)
    }

    pub(crate) fn merge(&self, other: &Self) {
        for (own, other) in self.0.iter().zip(&other.0) {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
    }

    /// What somebody did: asked, rendered, committed, invalidated, hung up.
    pub(crate) fn operations(&self) -> u64 {
        use Count::{Commits, Hard, HungUp, Reads, Renders, Soft};
        [Reads, Renders, Commits, Soft, Hard, HungUp].map(|count| self.get(count)).iter().sum()
    }
}
