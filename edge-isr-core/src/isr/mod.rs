//! The order in which things happen, and the handle on everything.
//!
//! A request: `look_up` → `model` → `flight` → `admit`. An invalidation: `invalidate` → `worker` → `admit` →
//! `purge`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use self::hits::Hits;
use crate::chance::Chance;
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::graph::MemoryGraph;
use crate::model::authority::Scheme;
use crate::model::policy::Query;
use crate::store::{Heads, MemoryPages, PageStore, Scopes};

mod adapters;
pub mod admit;
mod answer;
pub mod born;
mod build_id;
mod builder;
mod busy;
#[cfg(feature = "compression")]
mod coding;
#[cfg(not(feature = "compression"))]
#[path = "no_coding.rs"]
mod coding;
pub(crate) mod cookie;
mod counters;
pub mod etag;
pub mod exchange;
pub mod fill;
pub mod flight;
mod foreman;
mod graph;
mod health;
mod hits;
mod hosts;
mod invalidate;
mod jobs;
mod killed;
mod limits;
pub mod lines;
pub mod look_up;
mod open;
mod plan;
mod ports;
mod progress;
mod rate;
mod receipt;
mod runs;
mod selector;
pub mod stream;
mod tell;
#[cfg(test)]
mod test_engine;
mod varies;
mod worker;
mod write;

pub use build_id::BuildId;
pub use builder::Builder;
#[cfg(feature = "compression")]
pub use coding::Compression;
pub use cookie::RECEIPT_COOKIE;
pub use counters::Stats;
pub use graph::{Graph, Urls};
pub use health::{Health, Note};
pub use limits::{Limits, WhenFull};
pub use plan::{Plan, PlannedCalls};
pub use progress::{Progress, PurgeState, Stage};
pub use receipt::Receipt;
pub use selector::Selector;
pub use write::Write;

/// How long caches in front may still be told at a shutdown once its deadline is over.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long what was broken off may take to write that down.
const A_MOMENT: Duration = Duration::from_millis(100);

/// The handle on everything, cheap to clone.
///
/// ```
/// use edge_isr_core::{Isr, tag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let isr = Isr::builder().build()?;
/// let receipt = isr.graph().revalidate_by_tags([tag("post", 42)]).await?;
/// assert_eq!(receipt.seq(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Isr(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) hits: &'static Hits,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Chance,
    pub(crate) pages: MemoryPages,
    pub(crate) graph: MemoryGraph,
    pub(crate) scopes: Scopes,
    pub(crate) heads: Heads,
    /// Keys whose answer was lately not storable, by hash. A collision passes one key too many for a while.
    pub(crate) passed: quick_cache::sync::Cache<u64, Moment>,
    pub(crate) flights: Arc<flight::Flights>,
    pub(crate) renders: Arc<Semaphore>,
    /// Requests that change something: a stranger may begin and leave any number.
    pub(crate) writes: Arc<Semaphore>,
    pub(crate) codings: coding::Codings,
    pub(crate) hosts: hosts::Hosts,
    /// See [`Isr::host`].
    pub(crate) usual_host: OnceLock<(Box<str>, Option<Scheme>)>,
    pub(crate) signer: Arc<cookie::Signer>,
    pub(crate) receipts: receipt::Receipts,
    pub(crate) store: Option<Arc<dyn PageStore>>,
    /// What that must not bring back.
    pub(crate) killed: killed::Killed,
    pub(crate) jobs: jobs::Jobs,
    /// One for each connector, in their order.
    pub(crate) outboxes: Box<[tell::Outbox]>,
    pub(crate) settling: tell::Settling,
    pub(crate) tag_headers: Box<[admit::TagHeader]>,
    pub(crate) runs: runs::Runs,
    /// How policies read a query, each way once, to read URLs as the pages' keys have them.
    pub(crate) queries: RwLock<BTreeSet<Query>>,
    /// The headers that a URL's answers vary on, on gateway routes.
    pub(crate) varies: varies::Varies,
    pub(crate) counters: counters::Counters,
    pub(crate) notes: health::Notes,
    pub(crate) busy: Arc<busy::Busy>,
    /// Whether renders in the air are to be dropped.
    pub(crate) aborted: watch::Sender<bool>,
    /// Whether what caches in front are still to be told is to be dropped, too.
    pub(crate) silenced: watch::Sender<bool>,
    pub(crate) build: Option<String>,
    pub(crate) debug: bool,
    pub(crate) off: bool,
    #[cfg(feature = "twins")]
    pub(crate) twin: Option<crate::testing::Twin>,
}

impl Isr {
    /// Settings, to be put together by [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The application's handle on tags.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::new(self.clone())
    }

    /// Connects to what has to be connected to. In memory there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// When a required backend can't be reached.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    #[expect(clippy::unused_async, reason = "shared backends connect here")]
    pub async fn ready(&self) -> Result<()> {
        Ok(())
    }

    /// Waits until no render runs and, where a worker runs, everything invalidated is rendered and purged.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn idle(&self) {
        self.0.busy.idle().await;
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.read(self.0.pages.len(), self.0.pages.bytes())
    }

    /// What an operator should know.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.notes.health()
    }

    /// Begins no further render, lets those in the air land until the deadline and aborts the rest. Hits are
    /// still served, other requests go to the handler uncached. Workers return.
    ///
    /// Caches in front are told of all that is left: at once where no render in the air is waited for, the rest at the
    /// deadline, the second purge of a hard invalidation too. Calls of connectors have a second more than the deadline;
    /// receipts say of what was broken off then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the shutdown begun, without the deadline.
    pub async fn shutdown(&self, deadline: Duration) {
        self.0.renders.close();
        self.0.writes.close();
        self.0.runs.close();
        if !self.0.runs.has_workers() {
            self.tell_the_rest();
        }
        if tokio::time::timeout(deadline, self.0.busy.idle()).await.is_err() {
            self.0.aborted.send_replace(true);
            // Aborted renders release those who wait as they drop; that takes no longer than a poll. What hung on them is
            // told now, whatever keeps a worker from doing it.
            self.tell_the_rest();
            if tokio::time::timeout(LAST_WORDS, self.0.busy.idle()).await.is_err() {
                self.0.silenced.send_replace(true);
                // So that what is broken off is written down; again no longer than a poll.
                let _ = tokio::time::timeout(A_MOMENT, self.0.busy.idle()).await;
            }
        }
    }

    /// Whether every layer is a pass-through.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.0.off
    }

    /// The name of this cache in `Cache-Status`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// Whether a protection was removed to show that its test can fail.
    #[cfg(feature = "twins")]
    pub(crate) fn lacks(&self, twin: crate::testing::Twin) -> bool {
        self.0.twin == Some(twin)
    }

    /// The ledger's counter that a hit compares.
    #[inline]
    pub(crate) fn applied(&self) -> u64 {
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::CompareSeq) {
            return self.0.graph.ledger().naive_counter();
        }
        self.0.graph.ledger().applied()
    }
}

impl fmt::Debug for Isr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isr")
            .field("name", &self.0.name)
            .field("pages", &self.0.pages)
            .field("connectors", &self.0.outboxes.len())
            .field("off", &self.0.off)
            .finish_non_exhaustive()
    }
}
