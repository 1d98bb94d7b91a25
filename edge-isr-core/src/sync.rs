//! Locks, and the locks and atomics that the models run: the ledger's under `loom` (`RUSTFLAGS="--cfg loom"`),
//! the whole engine's under `shuttle` (`RUSTFLAGS="--cfg shuttle"`).
//!
//! What tokio brings (`watch`, `Notify`) and the page store's shards run as they are: to `shuttle` each call of
//! theirs is one step.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, atomic::AtomicUsize};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, atomic::AtomicUsize};
#[cfg(not(shuttle))]
pub(crate) use tokio::sync::Notify;

/// What the ledger is made of, and what pages remember of it.
pub(crate) mod modelled {
    #[cfg(loom)]
    pub(crate) use loom::sync::{Mutex, atomic::AtomicU64};
    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::{Mutex, atomic::AtomicU64};
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) use std::sync::{Mutex, atomic::AtomicU64};

    /// As [`super::lock`], for a lock that is modelled.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
        mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A value on cache lines of its own: threads that write what lies beside it don't have its readers fetch it again.
/// Two lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Apart<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Where another thread may come in between. The history checker has one do so; in every other build it is nothing.
#[inline(always)]
pub(crate) fn between_steps() {
    #[cfg(feature = "twins")]
    crate::testing::come_between();
}

/// Locks, whatever happened to the last holder: no invariant spans a panic here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// tokio's, with a step of its own for each call: another may run in between.
#[cfg(shuttle)]
#[derive(Debug, Default)]
pub(crate) struct Notify(tokio::sync::Notify);

#[cfg(shuttle)]
impl Notify {
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        shuttle::thread::yield_now();
        self.0.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        shuttle::thread::yield_now();
        self.0.notify_waiters();
    }
}
