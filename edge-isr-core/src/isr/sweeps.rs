//! What is still to be done about invalidations: their pages rendered anew, the caches in front told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

use super::busy::Guard;
use super::receipt::Purges;
use crate::model::implicit;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use crate::sync::{Mutex, lock};

/// The most invalidations that wait for a worker; beyond it they collapse into one of everything.
const MOST_SWEEPS: usize = 4_096;

/// An invalidation whose pages are still to be rendered anew and whose purges are still to be sent.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) tags: Vec<Tag>,
    pub(crate) seq: u64,
    pub(crate) mode: Mode,
    pub(crate) purges: Purges,
    /// Keeps `idle` waiting while a worker has it to do.
    pub(crate) _busy: Guard,
}

/// Invalidations that wait for a worker.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    waiting: Mutex<VecDeque<Sweep>>,
    workers: AtomicUsize,
    closed: AtomicBool,
    wake: Notify,
}

impl Sweeps {
    pub(crate) fn take(&self) -> Option<Sweep> {
        lock(&self.waiting).pop_front()
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
        self.workers.fetch_add(1, SeqCst);
    }

    pub(crate) fn detach(&self) {
        if self.workers.fetch_sub(1, SeqCst) == 1 {
            lock(&self.waiting).clear();
        }
    }

    pub(crate) fn has_worker(&self) -> bool {
        self.workers.load(SeqCst) > 0
    }

    /// Resolves when there may be something to do.
    pub(crate) async fn woken(&self) {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if lock(&self.waiting).is_empty() && !self.is_closed() {
            woken.await;
        }
    }

    pub(crate) fn push(&self, sweep: Sweep) {
        let mut waiting = lock(&self.waiting);
        if self.is_closed() {
            return;
        }
        if waiting.len() >= MOST_SWEEPS {
            // At the bound the wider one takes all: rendering or purging too much is safe, too little is not.
            let hard = waiting.iter().any(|other| other.mode == Mode::Hard) || sweep.mode == Mode::Hard;
            waiting.clear();
            let mode = if hard { Mode::Hard } else { Mode::Soft };
            waiting.push_back(Sweep { tags: vec![implicit::all()], mode, ..sweep });
        } else {
            waiting.push_back(sweep);
        }
        drop(waiting);
        self.wake.notify_one();
    }
}
