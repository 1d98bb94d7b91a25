//! Requests that change something, which go on when their visitor has left.

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Isr, busy};

/// Counts one such request until it is dropped.
#[derive(Debug)]
pub struct Write {
    _busy: busy::Guard,
    _room: OwnedSemaphorePermit,
}

impl Isr {
    /// The right to go on with a request whatever becomes of its visitor; `None` where as many do as renders may run at
    /// once, and after [`Isr::shutdown`]. What it changed is known when [`Isr::idle`] returns.
    #[must_use]
    pub fn begin_write(&self) -> Option<Write> {
        let room = std::sync::Arc::clone(&self.0.writes).try_acquire_owned().ok()?;
        Some(Write { _busy: self.0.busy.begin(), _room: room })
    }

    /// Whether anything goes on but such requests: each would find itself.
    pub(super) fn is_busy_otherwise(&self) -> bool {
        let most = self.0.limits.renders.min(Semaphore::MAX_PERMITS);
        self.0.busy.count() > most.saturating_sub(self.0.writes.available_permits())
    }
}
