//! What one cache is still to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::calls::{Item, calls};
use super::ticket::Share;
use crate::clock::Clock;
use crate::connector::{Connector, PurgeLimits};
use crate::isr::plan::PlannedCalls;
use crate::isr::rate::Limiter;
use crate::model::snapshot::Mode;
use crate::sync::{Mutex, lock};

/// The most items that wait for one cache; beyond it everything is purged.
pub(super) const MOST_ITEMS: usize = 50_000;
/// The most shares in them, of sixteen bytes: many tellings of the same items have as many shares as items each. Beyond
/// it everything is purged, in which each telling needs but one.
pub(super) const MOST_SHARES: usize = 1 << 20;
/// From how many shares in one item on those that nobody asks for are looked for.
const MANY_SHARES: usize = 64;

/// An item that waits: said once, however many tellings it stands for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) mode: Mode,
    pub(super) shares: Vec<Share>,
    look_at: usize,
}

impl Entry {
    fn new(mode: Mode) -> Self {
        Self { mode, shares: Vec::new(), look_at: MANY_SHARES }
    }

    fn absorb(&mut self, mode: Mode, shares: impl IntoIterator<Item = Share>) {
        if mode == Mode::Hard {
            self.mode = Mode::Hard;
        }
        self.shares.extend(shares);
        if self.shares.len() >= self.look_at {
            self.shares.retain(Share::is_watched);
            self.look_at = MANY_SHARES.max(self.shares.len() * 2);
        }
    }
}

/// What waits, in the order in which it is said.
pub(super) type Entries = BTreeMap<Item, Entry>;

#[derive(Debug, Default)]
struct Waiting {
    entries: Entries,
    /// At most so many shares are in them.
    shares: usize,
    /// Whether a task is at it, that takes what comes.
    is_told: bool,
}

/// One cache in front, and what it is still to be told.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) connector: Arc<dyn Connector>,
    name: &'static str,
    limits: PurgeLimits,
    pub(super) limiter: Option<Limiter>,
    waiting: Mutex<Waiting>,
}

impl Outbox {
    /// Asks the connector who it is and what it understands, this once.
    pub(crate) fn new(connector: Arc<dyn Connector>, clock: &Arc<dyn Clock>) -> Self {
        let (name, limits) = (connector.name(), connector.limits());
        let limiter = limits.rate.map(|rate| Limiter::new(rate, Arc::clone(clock)));
        Self { connector, name, limits, limiter, waiting: Mutex::default() }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn limits(&self) -> &PurgeLimits {
        &self.limits
    }

    /// In how many calls it would be told this.
    pub(crate) fn plan(&self, items: BTreeSet<Item>) -> PlannedCalls {
        let is_everything = items.contains(&Item::Everything);
        // Which mode makes no difference: all of them have the same.
        let items = items.into_iter().map(|item| (item, Mode::Soft, ()));
        PlannedCalls { connector: self.name, calls: calls(&self.limits, items).len(), is_everything }
    }

    /// Adds what a telling says; whether somebody has to begin to say it.
    pub(super) fn put(&self, items: BTreeSet<Item>, mode: Mode, share: Share) -> bool {
        if items.is_empty() {
            // Nothing that the cache could hold was invalidated.
            share.confirm();
            return false;
        }
        let mut waiting = lock(&self.waiting);
        // All of them before the first is let go, so that the telling is not tried before its end.
        let shares: Vec<Share> = items.iter().skip(1).map(|_| share.another()).collect();
        waiting.shares += shares.len() + 1;
        for (item, share) in items.into_iter().zip(shares.into_iter().chain([share])) {
            add(&mut waiting.entries, item, mode, share);
        }
        if waiting.entries.len() > MOST_ITEMS {
            collapse(&mut waiting.entries);
        }
        if waiting.shares > MOST_SHARES {
            waiting.shares = make_room(&mut waiting.entries);
        }
        !std::mem::replace(&mut waiting.is_told, true)
    }

    /// Takes all that waits. `None` ends the telling: the next [`put`](Self::put) begins it again.
    pub(super) fn take(&self) -> Option<Entries> {
        let mut waiting = lock(&self.waiting);
        if waiting.entries.is_empty() {
            waiting.is_told = false;
            return None;
        }
        waiting.shares = 0;
        Some(std::mem::take(&mut waiting.entries))
    }

    /// Forgets what waits, when nobody goes on to say it.
    pub(super) fn abandon(&self) {
        let abandoned = {
            let mut waiting = lock(&self.waiting);
            waiting.is_told = false;
            waiting.shares = 0;
            std::mem::take(&mut waiting.entries)
        };
        // Outside the lock: their tickets are written.
        drop(abandoned);
    }
}

/// Adds one item. Everything says all that is no harder than itself.
fn add(entries: &mut Entries, item: Item, mode: Mode, share: Share) {
    let all = entries.get(&Item::Everything).map(|entry| entry.mode);
    let is_said = all.is_some_and(|all| all == Mode::Hard || mode == Mode::Soft);
    let item = if is_said { Item::Everything } else { item };
    let is_all = item == Item::Everything;
    entries.entry(item).or_insert_with(|| Entry::new(mode)).absorb(mode, [share]);
    if is_all && !is_said {
        swallow(entries, |entry| mode == Mode::Hard || entry.mode == Mode::Soft);
    }
}

/// Everything is said instead of those items.
fn swallow(entries: &mut Entries, mut is_said: impl FnMut(&Entry) -> bool) {
    let Some(mut all) = entries.remove(&Item::Everything) else { return };
    let (said, kept): (Entries, Entries) =
        std::mem::take(entries).into_iter().partition(|(_, entry)| is_said(entry));
    for entry in said.into_values() {
        all.absorb(entry.mode, entry.shares);
    }
    *entries = kept;
    entries.insert(Item::Everything, all);
}

/// At the bound everything is said instead: purging too much is safe, too little is not.
fn collapse(entries: &mut Entries) {
    entries.entry(Item::Everything).or_insert_with(|| Entry::new(Mode::Soft));
    swallow(entries, |_| true);
}

/// Lets those go that nobody asks for; if that is not enough, everything is said instead. How many shares are left.
fn make_room(entries: &mut Entries) -> usize {
    let count = |entries: &Entries| entries.values().map(|entry| entry.shares.len()).sum::<usize>();
    entries.values_mut().for_each(|entry| entry.shares.retain(Share::is_watched));
    if count(entries) > MOST_SHARES / 2 {
        collapse(entries);
        entries.values_mut().for_each(|entry| Share::one_of_each(&mut entry.shares));
    }
    count(entries)
}
