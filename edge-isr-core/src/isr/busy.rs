//! What is still going on, for `idle` and `shutdown`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::sync::{AtomicUsize, Notify};

/// Counts what goes on.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    count: AtomicUsize,
    done: Notify,
}

impl Busy {
    /// Counts one in until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Guard {
        self.count.fetch_add(1, SeqCst);
        Guard(Arc::clone(self))
    }

    /// Whether anything goes on.
    #[cfg(any(test, shuttle))]
    pub(crate) fn is_busy(&self) -> bool {
        self.count() > 0
    }

    /// How much goes on.
    pub(crate) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Waits until nothing goes on.
    pub(crate) async fn idle(&self) {
        loop {
            let done = self.done.notified();
            tokio::pin!(done);
            // Registered before the count is read, so that no end is missed.
            done.as_mut().enable();
            if self.count.load(SeqCst) == 0 {
                return;
            }
            done.await;
        }
    }
}

#[cfg(shuttle)]
impl crate::Isr {
    /// As [`idle`](Self::idle), but registered after the count is read: its must-fail twin.
    pub async fn idle_registered_late(&self) {
        while self.0.busy.is_busy() {
            self.0.busy.done.notified().await;
        }
    }
}

/// One thing that goes on.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Busy>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            self.0.done.notify_waiters();
        }
    }
}
