//! How often each thing happened.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::model::reason::Reason;

const SHARDS: usize = 16;

/// One thread's counters, on cache lines of their own.
#[repr(align(128))]
struct Shard([AtomicU64; Reason::ALL.len()]);

/// Counters that threads add to without meeting each other.
pub(crate) struct Counters {
    shards: Box<[Shard]>,
    renders: AtomicU64,
    stored: AtomicU64,
    collapsed: AtomicU64,
    coded: AtomicU64,
}

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % SHARDS
    };
}

impl Counters {
    pub(crate) fn new() -> Self {
        let shard = |_| Shard(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            renders: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            collapsed: AtomicU64::new(0),
            coded: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn count(&self, reason: Reason) {
        let shard = SHARD.with(|shard| *shard);
        self.shards[shard].0[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn render(&self) {
        self.renders.fetch_add(1, Relaxed);
    }

    pub(crate) fn stored(&self) {
        self.stored.fetch_add(1, Relaxed);
    }

    pub(crate) fn collapsed(&self) {
        self.collapsed.fetch_add(1, Relaxed);
    }

    #[cfg(feature = "compression")]
    pub(crate) fn coded(&self) {
        self.coded.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, pages: usize, bytes: u64) -> Stats {
        let sum =
            |reason: &Reason| self.shards.iter().map(|shard| shard.0[*reason as usize].load(Relaxed)).sum();
        Stats {
            counts: Reason::ALL.iter().map(sum).collect(),
            renders: self.renders.load(Relaxed),
            stored: self.stored.load(Relaxed),
            collapsed: self.collapsed.load(Relaxed),
            coded: self.coded.load(Relaxed),
            pages,
            bytes,
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// The counters at one moment, since the start of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    counts: Box<[u64]>,
    /// Renders begun.
    pub renders: u64,
    /// Pages stored.
    pub stored: u64,
    /// Requests that were answered by another's render.
    pub collapsed: u64,
    /// Coded forms made of pages.
    pub coded: u64,
    /// Pages in memory now.
    pub pages: usize,
    /// Bytes they hold, as accounted.
    pub bytes: u64,
}

impl Stats {
    /// How often something happened for this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// Answers from fresh pages.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.count(Reason::Hit)
    }

    /// Every reason that was counted, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|&reason| (reason, self.count(reason))).filter(|(_, count)| *count > 0)
    }

    /// Hands the counters to the `metrics` recorder, under `edge_isr_requests_total{reason}` and the like. Call
    /// it from where metrics are collected; hits never touch the recorder.
    #[cfg(feature = "metrics")]
    pub fn publish(&self) {
        for (reason, count) in self.iter() {
            metrics::counter!("edge_isr_requests_total", "reason" => reason.as_str()).absolute(count);
        }
        metrics::counter!("edge_isr_renders_total").absolute(self.renders);
        metrics::counter!("edge_isr_stored_total").absolute(self.stored);
        metrics::counter!("edge_isr_collapsed_total").absolute(self.collapsed);
        metrics::counter!("edge_isr_coded_total").absolute(self.coded);
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        {
            metrics::gauge!("edge_isr_pages").set(self.pages as f64);
            metrics::gauge!("edge_isr_bytes").set(self.bytes as f64);
        }
    }
}

#[cfg(test)]
mod tests;
