//! The data behind the pages, what was acknowledged about it, and everything that one run shares.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use edge_isr_core::Mode;
use edge_isr_core::clock::{Clock, Moment};
use edge_isr_core::testing::ManualClock;

use crate::checker::{Violation, What};
use crate::history::{About, Event, History};
use crate::names::{ITEMS, KEYS, Key, PAGES, Target};
use crate::tally::{Count, Tally};

/// How often a request is overtaken before it renders for itself.
const TRIES: u64 = 3;

/// How large a run is and what may happen in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) items: usize,
    pub(crate) pages: usize,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
    /// Requests and writes.
    pub(crate) moves: usize,
    /// One in so many requests goes to a write.
    pub(crate) write_every: usize,
    pub(crate) has_worker: bool,
    pub(crate) has_tier: bool,
    /// So little room that pages are evicted.
    pub(crate) is_tiny: bool,
    /// So few marks that some are forgotten.
    pub(crate) few_marks: bool,
    /// Renders fail, panic or hang, pages are private, time runs out.
    pub(crate) has_faults: bool,
    /// Clocks move.
    pub(crate) has_time: bool,
    /// Only soft invalidations, no receipts, no faults, no worker: then no two renders of a key run at once.
    pub(crate) is_calm: bool,
    /// Some stop between two steps of the engine while everything else goes on.
    pub(crate) is_split: bool,
    /// One thread at a time moves, so that the order of events is exact.
    pub(crate) is_exact: bool,
}

/// Per page and item, the version that an acknowledged invalidation announced.
type Announced = Box<[[AtomicU64; ITEMS]; PAGES]>;

fn announced() -> Announced {
    Box::new(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))))
}

/// Everything that one run shares.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) shape: Shape,
    pub(crate) clock: ManualClock,
    pub(crate) history: History,
    pub(crate) tally: Tally,
    versions: [AtomicU64; ITEMS],
    any: Announced,
    hard: Announced,
    aloft: [AtomicUsize; KEYS],
    pub(crate) stored: [AtomicBool; KEYS],
    /// Requests that wait in a calm run: for which key, and how often its page was invalidated before.
    waiting: Mutex<BTreeMap<u64, (Key, u64)>>,
    invalidations: [AtomicU64; PAGES],
    left: AtomicUsize,
    numbers: AtomicU64,
    violation: Mutex<Option<Violation>>,
}

/// What was acknowledged about a page at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) any: [u64; ITEMS],
    pub(crate) hard: [u64; ITEMS],
    pub(crate) at: Moment,
}

impl World {
    pub(crate) fn new(shape: Shape) -> Arc<Self> {
        Arc::new(Self {
            clock: ManualClock::default(),
            history: History::new(shape.is_exact),
            tally: Tally::default(),
            versions: std::array::from_fn(|_| AtomicU64::new(1)),
            any: announced(),
            hard: announced(),
            aloft: std::array::from_fn(|_| AtomicUsize::new(0)),
            stored: std::array::from_fn(|_| AtomicBool::new(false)),
            waiting: Mutex::default(),
            invalidations: std::array::from_fn(|_| AtomicU64::new(0)),
            left: AtomicUsize::new(shape.moves),
            numbers: AtomicU64::new(1),
            violation: Mutex::default(),
            shape,
        })
    }

    /// A number for a request or a render.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, SeqCst)
    }

    /// Whether there is another move to make.
    pub(crate) fn takes_move(&self) -> bool {
        self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    /// Nobody begins anything any more.
    pub(crate) fn end(&self) {
        self.left.store(0, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn version(&self, item: usize) -> u64 {
        self.versions[item].load(SeqCst)
    }

    /// The next version of an item is there for everyone to read.
    pub(crate) fn commit(&self, writer: usize, item: usize) {
        let version = self.versions[item].fetch_add(1, SeqCst) + 1;
        self.tally.add(Count::Commits);
        self.history.record(writer as u64, Event::Committed { writer, item, version });
    }

    /// The versions that an invalidation announces which begins now: what is committed.
    pub(crate) fn announce(&self, target: Target) -> Vec<(usize, u64)> {
        (0..self.shape.items)
            .filter(|&item| target.has_item(item))
            .map(|item| (item, self.version(item)))
            .collect()
    }

    /// An invalidation begins.
    pub(crate) fn invalidating(&self, target: Target) {
        // A mark that makes room for another may raise the floor under every page.
        let is_hit = |&page: &usize| target.has_page(page) || self.shape.few_marks;
        for page in (0..self.shape.pages).filter(is_hit) {
            self.invalidations[page].fetch_add(1, SeqCst);
        }
    }

    /// A request waits, until [`answered`](Self::answered).
    pub(crate) fn asked(&self, ask: u64, key: Key) {
        if self.shape.is_calm {
            let before = self.invalidations[key.page].load(SeqCst);
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(ask, (key, before));
        }
    }

    pub(crate) fn answered(&self, ask: u64) {
        if self.shape.is_calm {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask);
        }
    }

    /// Whether somebody was overtaken so often that they may render for themselves.
    fn has_lost_patience(&self, key: Key) -> bool {
        let now = self.invalidations[key.page].load(SeqCst);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.values().any(|&(own, before)| own == key && now - before >= TRIES)
    }

    /// It was acknowledged.
    pub(crate) fn acknowledge(&self, target: Target, mode: Mode, versions: &[(usize, u64)]) {
        for page in (0..self.shape.pages).filter(|&page| target.has_page(page)) {
            for &(item, version) in versions {
                self.any[page][item].fetch_max(version, SeqCst);
                if mode == Mode::Hard {
                    self.hard[page][item].fetch_max(version, SeqCst);
                }
            }
        }
    }

    pub(crate) fn acknowledged(&self, page: usize) -> Acknowledged {
        let read = |announced: &Announced| std::array::from_fn(|item| announced[page][item].load(SeqCst));
        Acknowledged { any: read(&self.any), hard: read(&self.hard), at: self.now() }
    }

    /// A render of a key is under way until this is dropped.
    pub(crate) fn fly(self: &Arc<Self>, key: Key) -> Aloft {
        let others = self.aloft[key.index()].fetch_add(1, SeqCst);
        if others > 0 && self.shape.is_calm && !self.has_lost_patience(key) {
            self.violated(
                What::Collapse,
                &About::Key(key),
                format!("{} renders of {key} at once", others + 1),
            );
        }
        Aloft { world: Arc::clone(self), key }
    }

    /// Writes a violation down; the first one counts.
    pub(crate) fn violated(&self, what: What, about: &About<'_>, text: String) {
        let mut violation = self.violation.lock().unwrap_or_else(PoisonError::into_inner);
        if violation.is_none() {
            let story = self.history.about(about);
            *violation = Some(Violation { what, text, story });
        }
        drop(violation);
        self.end();
    }

    pub(crate) fn take_violation(&self) -> Option<Violation> {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A render that is under way.
#[derive(Debug)]
pub(crate) struct Aloft {
    world: Arc<World>,
    key: Key,
}

impl Drop for Aloft {
    fn drop(&mut self) {
        self.world.aloft[self.key.index()].fetch_sub(1, SeqCst);
    }
}
