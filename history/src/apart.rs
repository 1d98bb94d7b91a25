//! Work in a thread of its own that stops between two steps of the engine until the dice let it go on: whoever takes a
//! number and writes it down later, all others having gone on in between. One thread moves at a time, so that an
//! episode stays exact.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use edge_isr_core::testing::between_steps;

use crate::rng;
use crate::stage::gate;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The thread's that plays the episode.
    Stage,
    /// The thread's apart.
    Apart,
    /// The thread apart goes on to its end without stopping.
    Over,
}

#[derive(Debug)]
struct Baton {
    turn: Mutex<Turn>,
    passed: Condvar,
}

impl Baton {
    fn pass(&self, to: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.passed.notify_all();
    }

    fn wait(&self, is_mine: impl Fn(Turn) -> bool) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_mine(*turn) {
            turn = self.passed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

thread_local! {
    static BATON: RefCell<Option<Arc<Baton>>> = const { RefCell::new(None) };
}

/// In the thread apart: the others' turn.
fn stop() {
    let Some(baton) = BATON.with_borrow(Clone::clone) else { return };
    let mut turn = baton.turn.lock().unwrap_or_else(PoisonError::into_inner);
    if *turn == Turn::Over {
        return;
    }
    *turn = Turn::Stage;
    drop(turn);
    baton.passed.notify_all();
    baton.wait(|turn| turn != Turn::Stage);
}

/// A thread apart; it runs to its end when this is dropped.
struct Apart<T> {
    baton: Arc<Baton>,
    thread: Option<JoinHandle<T>>,
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.baton.pass(Turn::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Does the work step by step, with a gate before each. The error is a panic's.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> thread::Result<T> {
    let baton = Arc::new(Baton { turn: Mutex::new(Turn::Stage), passed: Condvar::new() });
    let (own, runtime) = (Arc::clone(&baton), tokio::runtime::Handle::current());
    let thread = thread::spawn(move || {
        let _runtime = runtime.enter();
        own.wait(|turn| turn != Turn::Stage);
        BATON.set(Some(Arc::clone(&own)));
        between_steps(Some(stop));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        own.pass(Turn::Over);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let mut apart = Apart { baton, thread: Some(thread) };
    loop {
        // Now and then so long that a whole render and another invalidation fit in.
        for _ in 0..rng::pick(&[1, 1, 8, 60]) {
            gate().await;
        }
        apart.baton.pass(Turn::Apart);
        apart.baton.wait(|turn| turn != Turn::Apart);
        let is_over = *apart.baton.turn.lock().unwrap_or_else(PoisonError::into_inner) == Turn::Over;
        if let Some(thread) = apart.thread.take_if(|_| is_over) {
            return thread.join();
        }
    }
}
