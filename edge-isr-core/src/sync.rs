//! The locks and atomics that the models run under `loom` (`RUSTFLAGS="--cfg loom"`).

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, atomic::AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, atomic::AtomicU64};

/// Locks, whatever happened to the last holder: no invariant spans a panic here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
