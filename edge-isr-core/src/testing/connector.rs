//! A cache in front that writes down what it is told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::contract::connector::{Answer, FarEnd};
use crate::connector::{Connector, Purge, PurgeLimits};
use crate::error::{Error, Result};
use crate::model::tag::Tag;
use crate::sync::{Mutex, lock};

/// How a [`RecordingConnector`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeFault {
    /// It can't be reached now.
    Unavailable,
    /// It asks to be left alone for so long.
    Throttled(Duration),
    /// It refuses, today and tomorrow.
    Rejected,
    /// It never answers.
    Hangs,
    /// It panics.
    Panics,
}

/// Records purges, also those that it fails. Clones share the record.
///
/// ```
/// use edge_isr_core::testing::{PurgeFault, RecordingConnector};
/// use edge_isr_core::{Isr, PurgeState, tag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cdn = RecordingConnector::default();
/// let isr = Isr::builder().connector(cdn.clone()).build()?;
/// cdn.fail_next(1, PurgeFault::Rejected);
/// let receipt = isr.graph().revalidate_by_tags([tag("post", 42)]).await?;
/// assert_eq!(cdn.seen()[0].tags, [tag("post", 42)]);
/// assert!(matches!(receipt.purges()[..], [("recording", PurgeState::Failed(_))]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RecordingConnector {
    name: &'static str,
    limits: PurgeLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Purge>,
    confirmed: usize,
    faults: VecDeque<PurgeFault>,
    always: Option<PurgeFault>,
    rejected: BTreeSet<Tag>,
}

impl Default for RecordingConnector {
    fn default() -> Self {
        Self { name: "recording", limits: PurgeLimits::default(), state: Arc::default() }
    }
}

impl RecordingConnector {
    /// One that understands so much in a call.
    #[must_use]
    pub fn with_limits(limits: PurgeLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Of this name, instead of `recording`.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// From now on it can't be reached, or again.
    pub fn set_failing(&self, fails: bool) {
        lock(&self.state).always = fails.then_some(PurgeFault::Unavailable);
    }

    /// The next calls fail in this way, after those that were said before.
    pub fn fail_next(&self, times: usize, fault: PurgeFault) {
        lock(&self.state).faults.extend(std::iter::repeat_n(fault, times));
    }

    /// From now on it refuses each call that has one of these tags.
    pub fn reject(&self, tags: impl IntoIterator<Item = Tag>) {
        lock(&self.state).rejected.extend(tags);
    }

    /// What it was told so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Purge> {
        lock(&self.state).seen.clone()
    }
}

/// It is its own cache.
impl FarEnd for RecordingConnector {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    fn answers(&self, answer: Answer) {
        lock(&self.state).always = match answer {
            Answer::Confirms => None,
            Answer::Fails => Some(PurgeFault::Unavailable),
            Answer::Refuses => Some(PurgeFault::Rejected),
            Answer::Throttles(wait) => Some(PurgeFault::Throttled(wait)),
        };
    }

    fn confirmed(&self) -> usize {
        lock(&self.state).confirmed
    }
}

#[async_trait]
impl Connector for RecordingConnector {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limits(&self) -> PurgeLimits {
        self.limits
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        let fault = {
            let mut state = lock(&self.state);
            state.seen.push(purge.clone());
            let is_rejected = purge.tags.iter().any(|tag| state.rejected.contains(tag));
            let rejected = is_rejected.then_some(PurgeFault::Rejected);
            let fault = state.faults.pop_front().or(state.always).or(rejected);
            state.confirmed += usize::from(fault.is_none());
            fault
        };
        let (backend, source) = (self.name, "told to fail".into());
        Err(match fault {
            None => return Ok(()),
            Some(PurgeFault::Unavailable) => Error::Unavailable { backend, queued: false, source },
            Some(PurgeFault::Throttled(retry_after)) => Error::Throttled { backend, retry_after },
            Some(PurgeFault::Rejected) => Error::Rejected { backend, source },
            Some(PurgeFault::Hangs) => std::future::pending().await,
            Some(PurgeFault::Panics) => panic!("told to panic"),
        })
    }
}
