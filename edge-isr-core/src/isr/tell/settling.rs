//! The second purges of hard invalidations, while they wait for what was in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Telling;
use crate::isr::Isr;
use crate::isr::progress::Watched;
use crate::sync::{Mutex, lock};

/// The most second purges that wait at once, each with its URLs; those beyond are one of everything.
pub(super) const MOST: usize = 256;

/// Where a second purge waits.
#[derive(Debug)]
pub(super) enum Place {
    Own(OwnedSemaphorePermit),
    /// It begins one of everything, which others join until it is closed.
    Begins,
    Joined,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Settling {
    own: Arc<Semaphore>,
    /// The receipts of those who joined the one of everything, while there is one that may be joined.
    joined: Mutex<Option<Vec<Arc<Watched>>>>,
}

impl Default for Settling {
    fn default() -> Self {
        Self { own: Arc::new(Semaphore::new(MOST)), joined: Mutex::default() }
    }
}

impl Settling {
    pub(super) fn place(&self, telling: &Telling) -> Place {
        if let Ok(permit) = Arc::clone(&self.own).try_acquire_owned() {
            return Place::Own(permit);
        }
        let mut joined = lock(&self.joined);
        let begins = joined.is_none();
        let all = joined.get_or_insert_default();
        all.extend(telling.watched.iter().cloned());
        if all.len().is_power_of_two() {
            // What nobody can ask for any more takes no room.
            all.retain(|watched| Arc::strong_count(watched) > 1);
        }
        if begins { Place::Begins } else { Place::Joined }
    }

    /// Nobody joins any more; who did.
    fn close(&self) -> Vec<Arc<Watched>> {
        lock(&self.joined).take().unwrap_or_default()
    }
}

/// The one of everything, while it may be joined. Where its task ends before it is told, those who come next begin
/// another. The receipts of those who had joined it stay as they were, with what the first purge left in them: no second
/// one is told for them, and none is reported.
#[derive(Debug)]
pub(super) struct Opened(Option<Isr>);

impl Opened {
    pub(super) fn new(isr: &Isr) -> Self {
        Self(Some(isr.clone()))
    }

    /// Nobody joins any more; who did.
    pub(super) fn close(mut self) -> Vec<Arc<Watched>> {
        self.0.take().map(|isr| isr.0.settling.close()).unwrap_or_default()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(isr) = self.0.take() {
            drop(isr.0.settling.close());
        }
    }
}
