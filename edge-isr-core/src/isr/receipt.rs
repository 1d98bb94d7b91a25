//! What an invalidation did, and how far it has come.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::cookie::Signer;
use super::progress::{Progress, PurgeState, Stage, Watched};
use crate::clock::Moment;
use crate::model::snapshot::{Incarnation, Mode, Snapshot};
use crate::model::tag::Tag;
use crate::sync::{Mutex, lock};

/// How long a receipt can be asked for.
const KEPT: Duration = Duration::from_secs(600);

/// What does not change.
struct Facts {
    snapshot: Snapshot,
    mode: Mode,
    tags: Arc<[Tag]>,
    urls: Option<usize>,
    at: Moment,
    wall: SystemTime,
    signer: Arc<Signer>,
}

/// What an invalidation did, and how far it has come. Cheap to clone.
///
/// As a response part it sets the cookie that lets this visitor read their own write: for its bearer a soft
/// invalidation up to the receipt counts as hard.
#[derive(Clone)]
pub struct Receipt {
    facts: Arc<Facts>,
    watched: Arc<Watched>,
}

impl Receipt {
    /// The invalidation's place in the order of invalidations.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.facts.snapshot.seq
    }

    /// The incarnation of the graph it belongs to.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.facts.snapshot.incarnation
    }

    /// Whether pages were made stale or dead.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.facts.mode
    }

    /// What was invalidated. URLs, hosts and the like are tags too, which begin with `~`.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.facts.tags
    }

    /// How many pages are known to carry what was invalidated; `None` when counting them would take a walk.
    #[must_use]
    pub fn urls(&self) -> Option<usize> {
        self.facts.urls
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.watched.now()
    }

    /// Waits until it has come so far, at most so long; how far it is then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use edge_isr_core::{Isr, Stage, tag};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let isr = Isr::builder().build()?;
    /// let receipt = isr.graph().revalidate_by_tags([tag("post", 42)]).await?;
    /// // No worker runs here, so nobody renders: the wait ends with its time.
    /// let progress = receipt.wait(Stage::Rendered, Duration::from_millis(1)).await;
    /// assert_eq!(progress.stage(), Stage::Marked);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn wait(&self, stage: Stage, timeout: Duration) -> Progress {
        self.watched.until(|progress| progress.has_reached(stage), timeout).await
    }

    /// Where each connector stands now. Soft purges follow the render, so they are pending at first.
    #[must_use]
    pub fn purges(&self) -> Vec<(&'static str, PurgeState)> {
        self.progress().purges
    }

    /// The `Set-Cookie` value for the visitor who made the change, good for a minute from the change on.
    #[must_use]
    pub fn cookie(&self) -> HeaderValue {
        self.facts.signer.cookie(self.facts.snapshot, self.facts.wall)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("seq", &self.seq())
            .field("mode", &self.mode())
            .field("tags", &self.tags())
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponseParts for Receipt {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum_core::response::ResponseParts,
    ) -> Result<axum_core::response::ResponseParts, Self::Error> {
        parts.headers_mut().append(http::header::SET_COOKIE, self.cookie());
        Ok(parts)
    }
}

/// What an invalidation was, for its receipt.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) snapshot: Snapshot,
    pub(crate) mode: Mode,
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) urls: Option<usize>,
    pub(crate) watched: Arc<Watched>,
}

/// The latest receipts, the last one first when they are listed.
pub(crate) struct Receipts {
    kept: Mutex<VecDeque<Receipt>>,
    most: usize,
    signer: Arc<Signer>,
}

impl Receipts {
    pub(crate) fn new(most: usize, signer: Arc<Signer>) -> Self {
        Self { kept: Mutex::default(), most, signer }
    }

    /// Writes a receipt, and keeps a copy for a while.
    pub(crate) fn write(&self, done: Done, at: Moment, wall: SystemTime) -> Receipt {
        let Done { snapshot, mode, tags, urls, watched } = done;
        let signer = Arc::clone(&self.signer);
        let facts = Arc::new(Facts { snapshot, mode, tags, urls, at, wall, signer });
        let receipt = Receipt { facts, watched };
        let mut kept = lock(&self.kept);
        kept.push_back(receipt.clone());
        let oldest = if kept.len() > self.most { kept.pop_front() } else { None };
        drop(kept);
        // Outside the lock: the last one to hold a receipt frees it.
        drop(oldest);
        receipt
    }

    pub(crate) fn latest(&self, limit: usize, now: Moment) -> Vec<Receipt> {
        let mut kept = lock(&self.kept);
        while kept.front().is_some_and(|oldest| now.since(oldest.facts.at) > KEPT) {
            kept.pop_front();
        }
        kept.iter().rev().take(limit).cloned().collect()
    }

    pub(crate) fn find(&self, seq: u64, now: Moment) -> Option<Receipt> {
        self.latest(usize::MAX, now).into_iter().find(|receipt| receipt.seq() == seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(receipts: &Receipts, seq: u64, at: u64) -> Receipt {
        let snapshot = Snapshot { incarnation: Incarnation::from_bytes([3; 16]), seq };
        let (tags, watched) = ([Tag::named("post")].into(), Arc::default());
        let done = Done { snapshot, mode: Mode::Soft, tags, urls: None, watched };
        receipts.write(done, Moment::default().after(Duration::from_secs(at)), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn p15_the_latest_receipts_are_kept_for_a_while_and_no_more_than_so_many() {
        let receipts = Receipts::new(3, Arc::new(Signer::new(b"0123456789abcdef", false)));
        for seq in 1..=5 {
            write(&receipts, seq, seq);
        }
        let at = |seconds| Moment::default().after(Duration::from_secs(seconds));
        let listed =
            |limit, now| -> Vec<u64> { receipts.latest(limit, at(now)).iter().map(Receipt::seq).collect() };
        assert_eq!(listed(9, 5), [5, 4, 3]);
        assert_eq!(listed(2, 5), [5, 4]);
        assert!(receipts.find(4, at(5)).is_some() && receipts.find(2, at(5)).is_none());
        assert_eq!(listed(9, 603), [5, 4, 3]);
        assert_eq!(listed(9, 604), [5, 4]);
        assert_eq!(listed(9, 700), Vec::<u64>::new());
    }

    #[test]
    fn p32_no_cookie_shows_in_debug() {
        let receipts = Receipts::new(3, Arc::new(Signer::new(b"a very secret key", true)));
        let receipt = write(&receipts, 1, 1);
        let cookie = receipt.cookie();
        let value = cookie.to_str().unwrap().split(['=', ';']).nth(1).unwrap();
        assert!(!format!("{receipt:?}").contains(value) && value.len() > 32);
    }
}
