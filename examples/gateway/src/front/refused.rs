//! What the front refused since the start: no cache and no origin hears of it.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// The statuses that the front refuses with.
const STATUSES: [u16; 6] = [400, 405, 408, 413, 417, 431];

/// How many requests were refused, by status.
#[derive(Debug, Default)]
pub struct Refused([AtomicU64; STATUSES.len()]);

impl Refused {
    /// Counts a refusal. Others than those of the front are counted elsewhere.
    pub(crate) fn count(&self, status: StatusCode) {
        if let Some(at) = STATUSES.iter().position(|&known| known == status.as_u16()) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were of each status.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        STATUSES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
