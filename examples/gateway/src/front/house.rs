//! All connections, and how they are told to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::line::Line;

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

/// All connections of clients.
#[derive(Debug, Default)]
pub(crate) struct House {
    state: AtomicU8,
    lines: Mutex<Lines>,
    /// Told when the last connection ends.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    all: HashMap<u64, Arc<Line>>,
}

impl House {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. It counts until the guest is dropped.
    pub(super) fn enter(self: &Arc<Self>, line: &Arc<Line>) -> Guest {
        let mut lines = self.lines();
        let number = lines.next;
        lines.next += 1;
        lines.all.insert(number, Arc::clone(line));
        Guest { house: Arc::clone(self), number }
    }

    /// Whether connections end when they have answered what was asked.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// Whether connections end at once.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLOSED
    }

    fn enter_state(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.lines().all.values().for_each(|line| line.wake());
    }

    /// Lets the requests in flight finish, for so long; then connections end as they are.
    pub(super) async fn close(&self, patience: std::time::Duration) {
        self.enter_state(CLOSING);
        let left = async {
            loop {
                let told = self.empty.notified();
                if self.lines().all.is_empty() {
                    return;
                }
                told.await;
            }
        };
        if tokio::time::timeout(patience, left).await.is_err() {
            self.enter_state(CLOSED);
        }
    }
}

/// A connection that is there.
#[derive(Debug)]
pub(super) struct Guest {
    house: Arc<House>,
    number: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut lines = self.house.lines();
        lines.all.remove(&self.number);
        if lines.all.is_empty() {
            self.house.empty.notify_waiters();
        }
    }
}
