//! What goes wrong, and when.

use std::time::Duration;

use crate::error::Error;

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

    pub(super) fn of(&self, call: Call, number: u64) -> Option<Fault> {
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

impl Failure {
    pub(super) fn error(self) -> Error {
        let (backend, source) = ("faulty", "the schedule says so".into());
        match self {
            Self::Unavailable => Error::Unavailable { backend, queued: false, source },
            Self::Throttled(retry_after) => Error::Throttled { backend, retry_after },
            Self::Rejected => Error::Rejected { backend, source },
            Self::Corrupt => Error::Corrupt { backend, what: "answer", source },
        }
    }
}
