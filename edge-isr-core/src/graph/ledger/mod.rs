//! The truth about freshness in one process: a sequence, the marks of tags, two floors.
//!
//! Two counters. `seq` moves **before** the marks are written, and renders snapshot it. `applied` moves
//! **after** they are written and before the invalidation is acknowledged, and pages compare it. Comparing
//! `seq` instead would let a reader between bump and mark remember too much.
//!
//! And a table of counters, one for the tags that share a slot, that move **between** the two: with the marks they
//! stand for written, and nothing applied yet. A page whose slots have not moved has been left alone by whatever
//! was applied, which its readers learn without a lock.

#[cfg(feature = "twins")]
mod naive;
mod slots;

use std::collections::HashMap;
use std::ops::DerefMut;
use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
use std::time::Duration;

use self::slots::Slots;
use crate::clock::Moment;
use crate::hash::IdentityState;
use crate::model::snapshot::{Incarnation, Mark, Marks, Mode, Snapshot};
use crate::model::tag::TagId;
use crate::sync::modelled::{AtomicU64, Mutex, lock};
use crate::sync::{Apart, between_steps};

#[cfg(loom)]
mod lack;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
pub use lack::Lack;

#[cfg(not(loom))]
const SHARDS: usize = 256;
#[cfg(loom)]
const SHARDS: usize = 1;

/// A tag's mark and when it was last raised, for the garbage collector only.
#[derive(Debug, Clone, Copy)]
struct Entry {
    mark: Mark,
    at: Moment,
}

type Shard = HashMap<u64, Entry, IdentityState>;

/// See the module's text.
#[derive(Debug)]
pub struct Ledger {
    incarnation: Incarnation,
    /// Where what pages remember begins to count.
    start: u64,
    seq: Apart<AtomicU64>,
    /// What each hit loads.
    applied: Apart<AtomicU64>,
    floor_soft: AtomicU64,
    floor_hard: AtomicU64,
    slots: Slots,
    /// Each lock is held for a few look-ups; never over an await.
    shards: Box<[Mutex<Shard>]>,
    most_per_shard: usize,
    horizon: Duration,
    #[cfg(loom)]
    lack: Option<Lack>,
    #[cfg(feature = "twins")]
    twin: Option<crate::testing::Twin>,
}

/// An invalidation that has its number but is not yet applied.
#[derive(Debug)]
#[must_use = "an invalidation counts only once it is applied"]
pub struct Bump {
    seq: u64,
}

impl Bump {
    fn mark(&self, mode: Mode) -> Mark {
        match mode {
            Mode::Soft => Mark { soft: self.seq, hard: 0 },
            Mode::Hard => Mark { soft: 0, hard: self.seq },
        }
    }
}

/// Above zero, and elsewhere in each life: a page that comes from a store and was not judged here must not look as
/// if it had been.
fn start_of(incarnation: Incarnation) -> u64 {
    let [a, b, c, d, e, f, g, ..] = incarnation.to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, 0]) + 1
}

impl Ledger {
    /// An empty ledger. It keeps about `most_marks` marks, and forgets those older than `horizon` first: no
    /// page born before that is of use any more.
    #[must_use]
    pub fn new(incarnation: Incarnation, most_marks: usize, horizon: Duration) -> Self {
        let start = start_of(incarnation);
        Self {
            incarnation,
            start,
            seq: Apart::new(AtomicU64::new(0)),
            applied: Apart::new(AtomicU64::new(start)),
            floor_soft: AtomicU64::new(0),
            floor_hard: AtomicU64::new(0),
            slots: Slots::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            most_per_shard: (most_marks / SHARDS).max(1),
            horizon,
            #[cfg(loom)]
            lack: None,
            #[cfg(feature = "twins")]
            twin: None,
        }
    }

    /// This life's name.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Where a render stands that begins now. To be called before the handler is first polled.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { incarnation: self.incarnation, seq: self.seq.load(SeqCst) }
    }

    /// Moves with each change that is visible in full. What a hit compares; one load.
    #[must_use]
    #[inline]
    pub fn applied(&self) -> u64 {
        self.applied.load(Acquire)
    }

    /// Moves when one of these tags may have been marked, or marks were forgotten, whose pages the floors stand for.
    /// To be read after [`applied`](Self::applied) and before the marks.
    ///
    /// Readers among invalidations may get one sum of different parts. Equal sums are enough all the same: whoever
    /// remembers one read the marks after every part of it. A change that those marks lack came after all the parts,
    /// and makes the sum of each later reader larger.
    #[must_use]
    pub fn changes(&self, ids: impl IntoIterator<Item = TagId>) -> u64 {
        let floor = self.floor();
        self.start + floor.soft + floor.hard + self.slots.sum(ids)
    }

    /// Marks tags. When this returns, every page that carries one of them and was begun before is stale or dead.
    pub fn mark(&self, ids: &[TagId], mode: Mode, now: Moment) -> u64 {
        #[cfg(feature = "twins")]
        if let Some(seq) = self.mark_naively(ids, mode, now) {
            return seq;
        }
        let bump = self.bump();
        self.write(&bump, ids, mode, now);
        between_steps();
        let seq = self.apply(bump);
        #[cfg(loom)]
        self.change_late(ids);
        seq
    }

    /// First step: take the number. A render that begins from here on sees the committed data.
    pub fn bump(&self) -> Bump {
        Bump { seq: self.seq.fetch_add(1, SeqCst) + 1 }
    }

    /// Second step: write the marks. Max, not set: invalidations may finish out of order.
    pub fn write(&self, bump: &Bump, ids: &[TagId], mode: Mode, now: Moment) {
        let mark = bump.mark(mode);
        for id in ids {
            between_steps();
            #[cfg(loom)]
            self.change_early(*id);
            let mut shard = lock(self.shard(*id));
            let entry = shard.entry(id.0).or_insert(Entry { mark, at: now });
            *entry = Entry { mark: entry.mark.max(mark), at: now.max(entry.at) };
            #[cfg(loom)]
            if self.lack == Some(Lack::Max) {
                entry.mark = mark;
            }
            if shard.len() > self.most_per_shard {
                self.collect(shard, now);
            } else {
                drop(shard);
            }
            self.change(*id);
        }
    }

    /// Has readers look at the tag's mark, which is written.
    fn change(&self, id: TagId) {
        #[cfg(loom)]
        if self.changes_elsewhere() {
            return;
        }
        self.slots.advance(id);
    }

    /// Third step: let pages notice. Only now may the invalidation be acknowledged.
    #[expect(clippy::needless_pass_by_value, reason = "a bump is applied once")]
    pub fn apply(&self, bump: Bump) -> u64 {
        self.applied.fetch_add(1, AcqRel);
        bump.seq
    }

    /// The latest mark that concerns a page: over its tags, its scope's tags and the floors.
    ///
    /// The marks are read before the floors: the collector raises a floor before it drops a mark, so whoever
    /// no longer finds the mark finds the floor.
    #[must_use]
    pub fn marks(&self, ids: impl IntoIterator<Item = TagId>) -> Marks {
        #[cfg(loom)]
        let early = (self.lack == Some(Lack::MarksFirst)).then(|| self.floor());
        let mut latest = Mark::default();
        for id in ids {
            if let Some(entry) = lock(self.shard(id)).get(&id.0) {
                latest = latest.max(entry.mark);
            }
        }
        let floor = self.floor();
        #[cfg(loom)]
        let floor = early.unwrap_or(floor);
        Marks { incarnation: self.incarnation, latest: latest.max(floor) }
    }

    /// When one of these tags was marked last, as far as it is remembered. Nothing about freshness follows from it.
    #[must_use]
    pub fn last_marked(&self, ids: impl IntoIterator<Item = TagId>) -> Option<Moment> {
        ids.into_iter().filter_map(|id| lock(self.shard(id)).get(&id.0).map(|entry| entry.at)).max()
    }

    fn floor(&self) -> Mark {
        Mark { soft: self.floor_soft.load(Acquire), hard: self.floor_hard.load(Acquire) }
    }

    fn raise(&self, floor: Mark) {
        self.floor_soft.fetch_max(floor.soft, AcqRel);
        self.floor_hard.fetch_max(floor.hard, AcqRel);
    }

    /// How many marks are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: TagId) -> &Mutex<Shard> {
        // The high bits: the map inside uses the low ones.
        &self.shards[(id.0 >> 56) as usize % SHARDS]
    }

    /// Makes room in a full shard: what is older than the horizon, and at least half. Dropped marks raise the
    /// floor of their own strength first, so forgetting only ever invalidates more.
    #[cold]
    fn collect(&self, mut shard: impl DerefMut<Target = Shard>, now: Moment) {
        let mut ages: Vec<Moment> = shard.values().map(|entry| entry.at).collect();
        let middle = ages.len() / 2;
        let (_, &mut median, _) = ages.select_nth_unstable(middle);
        let is_old = |entry: &Entry| entry.at <= median || now.since(entry.at) > self.horizon;
        let dropped = shard
            .values()
            .filter(|entry| is_old(entry))
            .fold(Mark::default(), |most, entry| most.max(entry.mark));
        #[cfg(feature = "twins")]
        let dropped = if self.lacks(crate::testing::Twin::NoFloor) { Mark::default() } else { dropped };
        #[cfg(loom)]
        if self.lack == Some(Lack::FloorFirst) {
            shard.retain(|_, entry| !is_old(entry));
            drop(shard);
            return self.raise(dropped);
        }
        self.raise(dropped);
        shard.retain(|_, entry| !is_old(entry));
        self.applied.fetch_add(1, AcqRel);
    }

    /// Raises the floors as the collector would, for tests of late renders.
    #[cfg(test)]
    pub(crate) fn forget_everything(&self, now: Moment) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            if !shard.is_empty() {
                while !shard.is_empty() {
                    self.collect(&mut *shard, now);
                }
            }
        }
    }

    /// `seq`, which a naive reader would compare: the must-fail twin of `applied`.
    #[cfg(any(test, loom, feature = "twins"))]
    #[must_use]
    pub fn naive_counter(&self) -> u64 {
        self.seq.load(SeqCst)
    }
}
