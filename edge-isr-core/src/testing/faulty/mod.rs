//! Backends that fail on a schedule.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

mod work;
mod world;

/// Which method of a port is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Call {
    Get,
    Put,
    Remove,
    Snapshot,
    Mark,
    Marks,
    Bind,
    Unbind,
    Members,
    TagsOf,
    Push,
    Claim,
    Finish,
    Retry,
    Release,
    Bury,
    DeadLetters,
    Purge,
    Refill,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing happened.
    Fails(Failure),
    /// It happened, and fails all the same: the answer was lost.
    LosesItsAnswer,
    /// It takes so much longer, of tokio's time.
    Delays(Duration),
    /// It never answers, and nothing happens.
    Hangs,
    /// It panics.
    Panics,
    /// It says that all is well, and it is not.
    Lies(Lie),
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// [`Error::Unavailable`].
    Unavailable,
    /// [`Error::Throttled`] for so long.
    Throttled(Duration),
    /// [`Error::Rejected`].
    Rejected,
    /// [`Error::Corrupt`].
    Corrupt,
}

/// What a backend says that does not do what it says. No call reaches the backend as it was made.
///
/// | call | `Nothing` | `Other` | `Full` |
/// |---|---|---|---|
/// | `get` | no page | another key's page | as `Nothing` |
/// | `put` | kept | kept, but another page was | refused |
/// | `snapshot` | the beginning of time | another incarnation | as `Nothing` |
/// | `mark` | marked | marked, but another tag was | as `Nothing` |
/// | `marks` | never marked | another incarnation | as `Nothing` |
/// | `members`, `tags_of`, `dead_letters` | none, and that is all | a stranger's | as `Nothing` |
/// | `push` | queued | queued, but another page's job was | full |
/// | `claim` | no job | a job that nobody pushed | as `Nothing` |
/// | `finish`, `bury` | done | lost | again |
/// | `refill` | done | unreached | too busy |
/// | all others | done | done | done |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing, as if all were well.
    Nothing,
    /// Something that was not asked for.
    Other,
    /// That there is no room.
    Full,
}

/// A fault that came to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The call.
    pub call: Call,
    /// The how manieth call of this method it was, counted from one.
    pub number: u64,
    /// What went wrong.
    pub fault: Fault,
}

/// When what goes wrong. Rules that were added first come first.
///
/// Whether chance strikes depends on the seed, the method and the number of the call, so that the same calls meet
/// the same faults again, in whatever order they come.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    At(Call, u64, Fault),
    Always(Call, Fault),
    Chance { seed: u64, one_in: u64, faults: Vec<Fault> },
}

impl Faults {
    /// Everything goes well.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One call of a method goes wrong: the first is number one.
    #[must_use]
    pub fn at(self, call: Call, number: u64, fault: Fault) -> Self {
        self.with(Rule::At(call, number, fault))
    }

    /// Every call of a method goes wrong.
    #[must_use]
    pub fn always(self, call: Call, fault: Fault) -> Self {
        self.with(Rule::Always(call, fault))
    }

    /// About one in so many calls, of any method, goes wrong in one of these ways.
    #[must_use]
    pub fn seeded(self, seed: u64, one_in: u64, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.with(Rule::Chance { seed, one_in, faults: faults.into_iter().collect() })
    }

    fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    fn of(&self, call: Call, number: u64) -> Option<Fault> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::At(of, at, fault) => (*of == call && *at == number).then_some(*fault),
            Rule::Always(of, fault) => (*of == call).then_some(*fault),
            Rule::Chance { seed, one_in, faults } => {
                let drawn = mix(seed ^ mix(number ^ mix(call as u64 + 1)));
                let strikes = *one_in > 0 && drawn.is_multiple_of(*one_in) && !faults.is_empty();
                let which = usize::try_from(mix(drawn) % faults.len().max(1) as u64).unwrap_or_default();
                strikes.then(|| faults[which])
            }
        })
    }
}

/// Steele, Lea and Flood's `SplitMix64`: every bit of the answer depends on every bit of the question.
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

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

impl Failure {
    fn error(self) -> Error {
        let (backend, source) = ("faulty", "the schedule says so".into());
        match self {
            Self::Unavailable => Error::Unavailable { backend, queued: false, source },
            Self::Throttled(retry_after) => Error::Throttled { backend, retry_after },
            Self::Rejected => Error::Rejected { backend, source },
            Self::Corrupt => Error::Corrupt { backend, what: "answer", source },
        }
    }
}
