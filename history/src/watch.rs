//! The one place that reads a clock: for whoever waits, and to end a storm. Nothing is decided by it.

use std::time::{Duration, Instant};

/// Time since a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch for the person who waits")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
