//! Puts an [`Isr`] together. Every check of the settings is here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::admit::TagHeader;
use super::build_id::{BuildId, build_of};
use super::busy::Busy;
use super::coding::{Codings, Compression};
use super::cookie::Signer;
use super::counters::Counters;
use super::flight::Flights;
use super::health::Notes;
use super::hits::Hits;
use super::hosts::Hosts;
use super::jobs::Jobs;
use super::limits::Limits;
use super::receipt::Receipts;
use super::runs::Runs;
use super::tell::Outbox;
use super::{Inner, Isr};
use crate::chance::Chance;
use crate::clock::{Clock, SystemClock};
use crate::connector::Connector;
use crate::error::ConfigError;
use crate::graph::{Index, Ledger, MemoryGraph};
use crate::model::snapshot::Incarnation;
use crate::queue::Queue;
use crate::store::{Heads, MemoryPages, PageStore, Scopes};

/// The name of the cache in `Cache-Status` if none is given.
const DEFAULT_NAME: &str = "edge-isr";
/// The fewest bytes of a key that signs.
const KEY_BYTES: usize = 16;
/// Marks older than this are forgotten first: most pages live no longer, and a floor catches the rest.
const HORIZON: Duration = Duration::from_secs(24 * 3600);

/// The settings of an [`Isr`]. Empty, it works: everything in memory.
#[derive(Debug)]
#[must_use = "nothing happens until `build`"]
pub struct Builder {
    name: String,
    limits: Limits,
    clock: Arc<dyn Clock>,
    origins: Vec<String>,
    store: Option<Arc<dyn PageStore>>,
    queue: Option<Arc<dyn Queue>>,
    connectors: Vec<Arc<dyn Connector>>,
    tag_headers: Vec<TagHeader>,
    build_id: BuildId,
    pub(super) compression: Compression,
    receipt_key: Option<Secret>,
    debug: bool,
    disabled: bool,
    seed: Option<u64>,
    #[cfg(feature = "twins")]
    twin: Option<crate::testing::Twin>,
}

/// Bytes that show nowhere.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock::default()),
            origins: Vec::new(),
            store: None,
            queue: None,
            connectors: Vec::new(),
            tag_headers: Vec::new(),
            build_id: BuildId::default(),
            compression: Compression::default(),
            receipt_key: None,
            debug: false,
            disabled: false,
            seed: None,
            #[cfg(feature = "twins")]
            twin: None,
        }
    }
}

impl Builder {
    /// The name of this cache in `Cache-Status`: a token of RFC 9651, `edge-isr` by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The accepted origins, such as `https://www.example.com`. Requests for other hosts bypass. Without it
    /// any host is accepted, as far as [`Limits::hosts`] goes.
    pub fn origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        self.origins.extend(origins.into_iter().map(Into::into));
        self
    }

    /// A second tier behind memory, asked only on a miss.
    pub fn store(mut self, store: impl PageStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where jobs wait, instead of in memory.
    pub fn queue(mut self, queue: impl Queue) -> Self {
        self.queue = Some(Arc::new(queue));
        self
    }

    /// A cache in front of the application that must forget what is invalidated.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connectors.push(Arc::new(connector));
        self
    }

    /// Sends the tags of a page in this header, ancestors included, for a CDN that purges by tag.
    pub fn tag_header(mut self, header: TagHeader) -> Self {
        self.tag_headers.push(header);
        self
    }

    /// What tells deploys apart.
    pub fn build_id(mut self, id: BuildId) -> Self {
        self.build_id = id;
        self
    }

    /// The key that signs receipts: at least 16 secret bytes, the same on every node that shares a store. By
    /// default random for the life of the process.
    pub fn receipt_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.receipt_key = Some(Secret(key.as_ref().to_vec()));
        self
    }

    /// The clock. For tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds key, tags and sequence to every `Cache-Status`. Not for the public: it tells strangers what
    /// pages depend on.
    pub fn debug(mut self) -> Self {
        self.debug = true;
        self
    }

    /// Turns every layer into a pass-through. The environment variable `EDGE_ISR=off` does the same.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// What chance begins with: lifetime jitter and refresh-ahead draw the same each time. For tests.
    #[cfg(feature = "testing")]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Removes one protection, to show that its test can fail.
    #[cfg(feature = "twins")]
    pub fn twin(mut self, twin: crate::testing::Twin) -> Self {
        self.twin = Some(twin);
        self
    }

    fn ledger(&self) -> Result<Ledger, ConfigError> {
        let ledger = Ledger::new(Incarnation::from_bytes(random::<16>()?), self.limits.marks, HORIZON);
        #[cfg(feature = "twins")]
        let ledger = ledger.with_twin(self.twin);
        Ok(ledger)
    }

    /// Checks the settings and puts everything together. Neither connects nor spawns.
    ///
    /// # Errors
    ///
    /// For a setting that can't be right; the error names it and its bound.
    pub fn build(self) -> Result<Isr, ConfigError> {
        self.limits.check()?;
        check_name(&self.name)?;
        check_tag_headers(&self.tag_headers)?;
        let codings = Codings::new(&self.compression)?;
        let ledger = self.ledger()?;
        let hosts = if self.origins.is_empty() {
            Hosts::any(self.limits.hosts)
        } else {
            Hosts::listed(&self.origins)?
        };
        let key = match self.receipt_key {
            Some(Secret(key)) if key.len() < KEY_BYTES => {
                return Err(ConfigError::EmptySecret { field: "receipt_key", at_least: KEY_BYTES });
            }
            Some(Secret(key)) => key,
            None => random::<32>()?.to_vec(),
        };
        let build = build_of(self.build_id, self.store.is_some())?;
        let seed = self.seed.map_or_else(|| random().map(u64::from_le_bytes), Ok)?;
        let limits = self.limits;
        let index_bytes =
            usize::try_from(limits.index_bytes.min(limits.store_bytes / 2)).unwrap_or(usize::MAX);
        let index = Index::new(limits.index_rows, index_bytes, build.as_deref());
        let busy = Arc::new(Busy::default());
        let flights = Flights::new(limits.waiters_per_key, Arc::clone(&busy));
        #[cfg(feature = "twins")]
        let flights = flights.lacking(self.twin);
        let most_page = limits.body_bytes as u64 + limits.head_bytes as u64;
        let signer = Arc::new(Signer::new(&key, hosts.all_https()));
        let off = self.disabled || std::env::var_os("EDGE_ISR").is_some_and(|value| value == "off");
        Ok(Isr(Arc::new(Inner {
            hits: Hits::of(&self.name),
            pages: MemoryPages::new(limits.store_bytes, most_page),
            graph: MemoryGraph::new(ledger, index, Arc::clone(&self.clock)),
            scopes: Scopes::new(4096),
            heads: Heads::new(4096),
            passed: quick_cache::sync::Cache::new(16 * 1024),
            flights: Arc::new(flights),
            renders: Arc::new(Semaphore::new(limits.renders.min(Semaphore::MAX_PERMITS))),
            writes: Arc::new(Semaphore::new(limits.renders.min(Semaphore::MAX_PERMITS))),
            receipts: Receipts::new(limits.receipts, Arc::clone(&signer)),
            signer,
            jobs: Jobs::new(self.queue, limits.jobs),
            runs: Runs::new(limits.window(), Arc::clone(&busy)),
            aborted: watch::Sender::new(false),
            silenced: watch::Sender::new(false),
            counters: Counters::new(),
            notes: Notes::default(),
            outboxes: outboxes(self.connectors, &self.clock),
            settling: super::tell::Settling::default(),
            name: self.name,
            clock: self.clock,
            chance: Chance::seeded(seed),
            store: self.store,
            killed: super::killed::Killed::default(),
            tag_headers: self.tag_headers.into(),
            codings,
            debug: self.debug,
            queries: std::sync::RwLock::default(),
            varies: super::varies::Varies::default(),
            busy,
            limits,
            hosts,
            usual_host: std::sync::OnceLock::new(),
            build,
            off,
            #[cfg(feature = "twins")]
            twin: self.twin,
        })))
    }
}

fn outboxes(connectors: Vec<Arc<dyn Connector>>, clock: &Arc<dyn Clock>) -> Box<[Outbox]> {
    connectors.into_iter().map(|connector| Outbox::new(connector, clock)).collect()
}

pub(super) fn malformed(field: &'static str, value: &str, reason: &str) -> ConfigError {
    ConfigError::Malformed { field, value: value.to_owned(), reason: reason.to_owned() }
}

fn check_tag_headers(headers: &[TagHeader]) -> Result<(), ConfigError> {
    let twice = headers.iter().enumerate().find(|(n, header)| headers[..*n].contains(header));
    twice.map_or(Ok(()), |(_, header)| {
        Err(ConfigError::Duplicate { field: "tag_header", value: format!("{header:?}") })
    })
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    match sfv::TokenRef::from_str(name) {
        Ok(_) if name.len() <= 64 => Ok(()),
        _ => Err(malformed("name", name, "it must be a token of at most 64 bytes that begins with a letter")),
    }
}

fn random<const N: usize>() -> Result<[u8; N], ConfigError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        malformed("receipt_key", "random", &format!("the system gives no randomness: {error}"))
    })?;
    Ok(bytes)
}
