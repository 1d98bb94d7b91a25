//! Locks, and the locks and atomics that the models run under `loom` (`RUSTFLAGS="--cfg loom"`).

use std::ops::DerefMut;
pub(crate) use std::sync::Mutex;
use std::sync::PoisonError;

/// What the ledger is made of.
pub(crate) mod modelled {
    #[cfg(loom)]
    pub(crate) use loom::sync::{Mutex, atomic::AtomicU64};
    #[cfg(not(loom))]
    pub(crate) use std::sync::{Mutex, atomic::AtomicU64};

    /// As [`super::lock`], for a lock that is modelled.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
        mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Locks, whatever happened to the last holder: no invariant spans a panic here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
