//! The contracts of the ports as tests. Each clause of a trait's `# Contract` is a function of the same name
//! that asserts that sentence alone; one macro a port makes one test of each.
//!
//! ```
//! use edge_isr_core::queue::MemoryQueue;
//! use edge_isr_core::store::MemoryPages;
//!
//! // Where your tests are; the crate needs no further dependency for it.
//! edge_isr_core::queue_contract!(queue, MemoryQueue::new(32), most_jobs: 32);
//! edge_isr_core::page_store_contract!(pages, MemoryPages::new(8 << 20, 2 << 20), most_bytes: 8 << 20);
//! ```
//!
//! The first argument names a module, so that several suites fit in one file and failures are called
//! `queue::retries_wait`. The second makes the backend, anew for each test, and may `.await`. The suites write to
//! what they are given: never run them against a backend in use. Keys are fresh in each clause, so stores and
//! graphs may be many handles on one backend; each queue has to be empty and nobody else's.
//!
//! Every wrapper of a port should keep its contract, too: run the suite over it.
#![allow(clippy::missing_panics_doc, reason = "a clause that is not kept panics")]
#![allow(clippy::mutable_key_type, reason = "the part of a key that changes is no part of what it is")]

use std::future::Future;

pub mod connector;
pub mod graph;
pub mod origin;
pub mod queue;
pub mod store;
mod time;

pub use time::Time;

/// Runs a clause to its end, on a runtime of its own.
///
/// # Panics
///
/// When the clause is not kept.
pub fn run<F: Future>(clause: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a runtime").block_on(clause)
}

/// Makes one test of each clause.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_clauses {
    ($port:ident, $arguments:tt, [$($clause:ident),+ $(,)?]) => {
        $(
            #[test]
            fn $clause() {
                $crate::testing::contract::run(async {
                    $crate::__contract_clauses!(@call $port, $clause, $arguments).await
                });
            }
        )+
    };
    (@call $port:ident, $clause:ident, ($($argument:expr),*)) => {
        $crate::testing::contract::$port::$clause($($argument),*)
    };
}
