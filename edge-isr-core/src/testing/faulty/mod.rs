//! Backends that fail on a schedule.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::sync::{Mutex, lock};

mod schedule;
mod work;
mod world;

pub use schedule::{Call, Event, Failure, Fault, Faults, Lie};

/// A backend of any port that fails on a schedule, and writes down how. Clones share everything. With no fault it is
/// as the backend is.
///
/// ```
/// use edge_isr_core::queue::MemoryQueue;
/// use edge_isr_core::testing::{Call, Event, Failure, Fault, Faults, Faulty};
/// use edge_isr_core::Queue;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> edge_isr_core::Result<()> {
/// let down = Fault::Fails(Failure::Unavailable);
/// let queue = Faulty::new(MemoryQueue::new(8), Faults::none().at(Call::DeadLetters, 2, down));
/// assert!(queue.dead_letters(9).await?.is_empty());
/// assert!(queue.dead_letters(9).await.is_err());
/// assert!(queue.dead_letters(9).await?.is_empty());
/// assert_eq!(queue.log(), [Event { call: Call::DeadLetters, number: 2, fault: down }]);
/// # Ok(())
/// # }
/// ```
pub struct Faulty<T> {
    backend: Arc<T>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    faults: Faults,
    counts: HashMap<Call, u64>,
    log: Vec<Event>,
}

impl<T> Clone for Faulty<T> {
    fn clone(&self) -> Self {
        Self { backend: Arc::clone(&self.backend), plan: Arc::clone(&self.plan) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl<T> Faulty<T> {
    /// This backend, with these faults.
    #[must_use]
    pub fn new(backend: T, faults: Faults) -> Self {
        let plan = Plan { faults, ..Plan::default() };
        Self { backend: Arc::new(backend), plan: Arc::new(Mutex::new(plan)) }
    }

    /// The backend behind the faults.
    #[must_use]
    pub fn backend(&self) -> &T {
        &self.backend
    }

    /// From now on these faults. Calls go on being counted.
    pub fn set(&self, faults: Faults) {
        lock(&self.plan).faults = faults;
    }

    /// The faults that came to pass, in order.
    #[must_use]
    pub fn log(&self) -> Vec<Event> {
        lock(&self.plan).log.clone()
    }

    /// How often a method was called.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        lock(&self.plan).counts.get(&call).copied().unwrap_or_default()
    }

    fn draw(&self, call: Call) -> Option<Fault> {
        let mut plan = lock(&self.plan);
        let count = plan.counts.entry(call).or_default();
        *count += 1;
        let number = *count;
        let fault = plan.faults.of(call, number)?;
        plan.log.push(Event { call, number, fault });
        Some(fault)
    }
}

impl<T: Send + Sync> Faulty<T> {
    /// What the schedule says to this call. Fails, waits and panics in its place.
    async fn begin(&self, call: Call) -> Result<Then> {
        match self.draw(call) {
            None => Ok(Then::Goes),
            Some(Fault::LosesItsAnswer) => Ok(Then::GoesInVain),
            Some(Fault::Lies(lie)) => Ok(Then::Lies(lie)),
            Some(Fault::Fails(failure)) => Err(failure.error()),
            Some(Fault::Panics) => panic!("the schedule says so: {call:?}"),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Delays(wait)) => {
                tokio::time::sleep(wait).await;
                Ok(Then::Goes)
            }
        }
    }
}

/// How a call goes on.
#[derive(Debug, Clone, Copy)]
enum Then {
    Goes,
    GoesInVain,
    Lies(Lie),
}

impl Then {
    /// What the caller is told of a call that reached the backend.
    fn end<T>(self, said: Result<T>) -> Result<T> {
        match self {
            Self::GoesInVain => said.and(Err(Failure::Unavailable.error())),
            Self::Goes | Self::Lies(_) => said,
        }
    }
}
