//! Between two steps of the engine that other threads may come between.

use std::cell::Cell;

thread_local! {
    static BETWEEN: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Has this thread call `f` wherever another thread might come between two steps of the engine: after a number was
/// taken and before it is written, after marks were read and before a page remembers them. No lock is held there, so
/// `f` may use the engine, and a test can bring about in one thread what two threads would do once in a blue moon.
pub fn between_steps(f: Option<fn()>) {
    BETWEEN.set(f);
}

pub(crate) fn come_between() {
    if let Some(f) = BETWEEN.get() {
        f();
    }
}
