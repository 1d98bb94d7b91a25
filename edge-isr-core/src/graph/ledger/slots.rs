//! How often tags were marked, counted for all tags of a slot at once: what tells readers without a lock that a page
//! was left alone.

use std::sync::atomic::Ordering::{Acquire, Release};

use crate::model::tag::TagId;
use crate::sync::modelled::AtomicU64;

/// Tags that share a slot have each other's pages read their marks once more, and nothing worse: 32 KiB keep that
/// rare at any rate of invalidations.
#[cfg(not(loom))]
const SLOTS: usize = 4096;
#[cfg(loom)]
const SLOTS: usize = 2;

#[derive(Debug)]
pub(super) struct Slots(Box<[AtomicU64]>);

impl Slots {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Moves the tag's slot. Pairs with the Acquire in `sum`.
    pub(super) fn advance(&self, id: TagId) {
        self.of(id).fetch_add(1, Release);
    }

    /// How often the slots of these tags moved, all together.
    pub(super) fn sum(&self, ids: impl IntoIterator<Item = TagId>) -> u64 {
        ids.into_iter().map(|id| self.of(id).load(Acquire)).sum()
    }

    fn of(&self, id: TagId) -> &AtomicU64 {
        // Bits that neither the ledger's shards nor the maps inside go by.
        &self.0[(id.0 >> 32) as usize % SLOTS]
    }
}
