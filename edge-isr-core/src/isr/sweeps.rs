//! What is still to be done about invalidations: their pages rendered anew, the caches in front told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::Notify;

use super::busy::Guard;
use super::progress::Watched;
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use crate::sync::{Mutex, lock};

/// The most invalidations that wait for a worker; beyond it they collapse into one of everything.
const MOST_SWEEPS: usize = 4_096;
/// From how many receipts on those that nobody holds any more are looked for.
const MANY_RECEIPTS: usize = 64;

/// What a sweep is about. Those that are about the same are one.
type Name = (Arc<[Tag]>, Mode);

/// Invalidations whose pages are still to be rendered anew and whose purges are still to be sent.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) seq: u64,
    pub(crate) mode: Mode,
    /// One for each receipt that this settles.
    pub(crate) purges: Vec<Arc<Watched>>,
    look_at: usize,
    /// Keeps `idle` waiting while a worker has it to do.
    _busy: Guard,
}

impl Sweep {
    pub(crate) fn new(tags: &[Tag], mode: Mode, seq: u64, purges: Vec<Arc<Watched>>, busy: Guard) -> Self {
        Self { tags: tags.into(), seq, mode, purges, look_at: MANY_RECEIPTS, _busy: busy }
    }

    /// Does the other's work too: never for less than its sequence, never softer, and for its receipts.
    fn absorb(&mut self, other: Self) {
        self.seq = self.seq.max(other.seq);
        if other.mode == Mode::Hard {
            self.mode = Mode::Hard;
        }
        self.purges.extend(other.purges);
        if self.purges.len() >= self.look_at {
            self.purges.retain(is_watched);
            self.look_at = MANY_RECEIPTS.max(self.purges.len() * 2);
        }
    }
}

/// Whether a receipt may still be asked.
fn is_watched(watched: &Arc<Watched>) -> bool {
    Arc::strong_count(watched) > 1
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Name>,
    sweeps: HashMap<Name, Sweep>,
    workers: usize,
}

impl Waiting {
    fn clear(&mut self) {
        self.order.clear();
        self.sweeps.clear();
    }
}

/// Invalidations that wait for a worker.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    waiting: Mutex<Waiting>,
    closed: AtomicBool,
    wake: Notify,
}

impl Sweeps {
    pub(crate) fn take(&self) -> Option<Sweep> {
        let mut waiting = lock(&self.waiting);
        let name = waiting.order.pop_front()?;
        waiting.sweeps.remove(&name)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        lock(&self.waiting).clear();
        self.wake.notify_waiters();
    }

    pub(crate) fn attach(&self) {
        lock(&self.waiting).workers += 1;
    }

    pub(crate) fn detach(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.workers -= 1;
        if waiting.workers == 0 {
            waiting.clear();
        }
    }

    /// Resolves when there may be something to do.
    pub(crate) async fn woken(&self) {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if lock(&self.waiting).order.is_empty() && !self.is_closed() {
            woken.await;
        }
    }

    /// Hands a sweep to the workers; `false` when there is none that would do it.
    pub(crate) fn push(&self, mut sweep: Sweep) -> bool {
        let mut guard = lock(&self.waiting);
        let waiting = &mut *guard;
        // Asked under the lock, so that none stays behind when the last worker leaves: `idle` would wait for it.
        if waiting.workers == 0 || self.is_closed() {
            return false;
        }
        let mut name = (Arc::clone(&sweep.tags), sweep.mode);
        if let Some(standing) = waiting.sweeps.get_mut(&name) {
            standing.absorb(sweep);
            return true;
        }
        if waiting.order.len() >= MOST_SWEEPS {
            // At the bound one takes all: purging too much is safe, too little is not. Pages that are fresh
            // are not rendered for it.
            waiting.order.clear();
            for (_, other) in waiting.sweeps.drain() {
                sweep.absorb(other);
            }
            sweep.tags = [implicit::all()].into();
            name = (Arc::clone(&sweep.tags), sweep.mode);
        }
        waiting.order.push_back(name.clone());
        waiting.sweeps.insert(name, sweep);
        drop(guard);
        self.wake.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::busy::Busy;
    use super::*;

    fn sweep(busy: &Arc<Busy>, name: &str, mode: Mode, seq: u64, purges: &Arc<Watched>) -> Sweep {
        Sweep::new(&[Tag::named(name)], mode, seq, vec![Arc::clone(purges)], busy.begin())
    }

    #[test]
    fn p21_no_sweep_stays_behind_when_nobody_works() {
        let (sweeps, busy, receipt) =
            (Sweeps::default(), Arc::new(Busy::default()), Arc::<Watched>::default());
        assert!(!sweeps.push(sweep(&busy, "a", Mode::Soft, 1, &receipt)));
        assert!(!busy.is_busy());
        sweeps.attach();
        sweeps.attach();
        sweeps.detach();
        assert!(sweeps.push(sweep(&busy, "a", Mode::Soft, 1, &receipt)) && busy.is_busy());
        sweeps.detach();
        assert!(!busy.is_busy());
        sweeps.attach();
        sweeps.close();
        assert!(!sweeps.push(sweep(&busy, "a", Mode::Soft, 1, &receipt)) && !busy.is_busy());
    }

    #[test]
    fn p06_sweeps_of_the_same_are_one_with_the_latest_sequence_and_every_receipt() {
        let (sweeps, busy) = (Sweeps::default(), Arc::new(Busy::default()));
        sweeps.attach();
        let receipts: Vec<Arc<Watched>> = (0..4).map(|_| Arc::<Watched>::default()).collect();
        for (receipt, (name, mode, seq)) in receipts.iter().zip([
            ("a", Mode::Soft, 1),
            ("a", Mode::Soft, 3),
            ("a", Mode::Hard, 2),
            ("a", Mode::Soft, 2),
        ]) {
            assert!(sweeps.push(sweep(&busy, name, mode, seq, receipt)));
        }
        let (soft, hard) = (sweeps.take().unwrap(), sweeps.take().unwrap());
        assert_eq!((soft.mode, soft.seq, soft.purges.len()), (Mode::Soft, 3, 3));
        assert_eq!((hard.mode, hard.seq, hard.purges.len()), (Mode::Hard, 2, 1));
        assert!(sweeps.take().is_none());
        drop((soft, hard));
        assert!(!busy.is_busy());
    }

    #[test]
    fn p15_receipts_that_nobody_holds_take_no_room() {
        let (sweeps, busy, held) = (Sweeps::default(), Arc::new(Busy::default()), Arc::<Watched>::default());
        sweeps.attach();
        sweeps.push(sweep(&busy, "a", Mode::Soft, 1, &held));
        for seq in 0..10_000 {
            sweeps.push(sweep(&busy, "a", Mode::Soft, seq, &Arc::default()));
        }
        let sweep = sweeps.take().unwrap();
        assert!(sweep.purges.len() <= MANY_RECEIPTS && is_watched(&sweep.purges[0]));
    }

    #[test]
    fn p06_at_the_bound_all_of_them_become_one_that_lacks_nothing() {
        let (sweeps, busy, held) = (Sweeps::default(), Arc::new(Busy::default()), Arc::<Watched>::default());
        sweeps.attach();
        sweeps.push(sweep(&busy, "latest", Mode::Hard, 1_000_000, &held));
        for seq in 0..MOST_SWEEPS as u64 {
            sweeps.push(sweep(&busy, &format!("a:{seq}"), Mode::Soft, seq, &Arc::default()));
        }
        let all = sweeps.take().unwrap();
        assert_eq!((&*all.tags, all.mode, all.seq), (&[implicit::all()][..], Mode::Hard, 1_000_000));
        assert!(all.purges.iter().any(is_watched) && sweeps.take().is_none());
    }
}
