//! The memory tier: pages bounded by bytes, found by a keyed hash and compared by their full key.

use std::sync::Arc;

use async_trait::async_trait;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::{PageStore, Put};
use crate::error::Result;
use crate::hash::IdentityState;
use crate::model::key::{CacheKey, KeyRef};
use crate::model::page::{Birth, Page};
use crate::sync::{Mutex, lock};

#[cfg(any(test, feature = "compression"))]
mod forms;

/// Locks that order two stores of one key; far more than threads, so that they hardly ever meet.
const PUT_LOCKS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<u64, Arc<Page>> for Bytes {
    fn weight(&self, _: &u64, page: &Arc<Page>) -> u64 {
        page.weight_bytes() as u64
    }
}

/// Pages in memory.
///
/// The store never decides about freshness; whoever reads a page judges it.
pub struct MemoryPages {
    cache: Cache<u64, Arc<Page>, Bytes, IdentityState>,
    puts: Box<[Mutex<()>]>,
    most_bytes: u64,
}

impl MemoryPages {
    /// Room for `most_bytes` of pages, none of which has more than about `most_page_bytes`.
    ///
    /// The bound on bytes is split among shards and not lent between them, so there are as few shards as it
    /// takes for the largest page to fit into one with room to spare.
    #[must_use]
    pub fn new(most_bytes: u64, most_page_bytes: u64) -> Self {
        let shards = (most_bytes / most_page_bytes.saturating_mul(4).max(1)).clamp(1, 64);
        let shards = usize::try_from(shards).unwrap_or(1);
        let items = usize::try_from(most_bytes / 4096).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items)
            .weight_capacity(most_bytes)
            .build();
        let cache = match options {
            Ok(options) => {
                Cache::with_options(options, Bytes, IdentityState::default(), DefaultLifecycle::default())
            }
            // Only a missing setting can fail, and both are set.
            Err(_) => {
                Cache::with(items, most_bytes, Bytes, IdentityState::default(), DefaultLifecycle::default())
            }
        };
        Self { cache, puts: (0..PUT_LOCKS).map(|_| Mutex::new(())).collect(), most_bytes }
    }

    /// The page of a key. The full key is compared, so a collision of hashes is a miss. So is a page whose host
    /// has lost its place to another.
    #[must_use]
    #[inline]
    pub fn find(&self, key: &KeyRef<'_>) -> Option<Arc<Page>> {
        self.cache.get(&key.hash()).filter(|page| page.is_of(key) && !page.scope().is_displaced())
    }

    /// The page of a written key, without counting as a visit.
    #[must_use]
    pub fn peek(&self, key: &CacheKey) -> Option<Arc<Page>> {
        let page = self.cache.peek(&key.hash())?;
        let is_it = key.read(|key| page.is_of(key)).unwrap_or(false) && !page.scope().is_displaced();
        is_it.then_some(page)
    }

    /// The page with this hash of its key, without counting as a visit.
    #[must_use]
    pub(crate) fn peek_hash(&self, hash: u64) -> Option<Arc<Page>> {
        self.cache.peek(&hash).filter(|page| !page.scope().is_displaced())
    }

    /// Keeps a page, unless one from a later snapshot stands there.
    pub fn keep(&self, key: &CacheKey, page: Arc<Page>) -> Put {
        self.keep_if(key, page, || true).unwrap_or(Put::Refused)
    }

    /// The same, if it may be kept now; `None` if not.
    pub(crate) fn keep_if(&self, key: &CacheKey, page: Arc<Page>, may: impl FnOnce() -> bool) -> Option<Put> {
        // Whoever kills what stands here says so first, and comes before this or after it.
        let _order = lock(self.order(key.hash()));
        if !may() {
            return None;
        }
        if let Some(standing) = self.peek(key) {
            let (old, new) = (&standing.birth().snapshot, &page.birth().snapshot);
            if old.incarnation == new.incarnation && old.seq > new.seq {
                return Some(Put::Outrun);
            }
        }
        self.cache.insert(key.hash(), page);
        Some(if self.cache.contains_key(&key.hash()) { Put::Kept } else { Put::Refused })
    }

    /// Removes the page of a key, unless it is from a later snapshot than `seq`.
    pub fn remove_up_to(&self, key: &CacheKey, seq: u64) {
        let _order = lock(self.order(key.hash()));
        if self.peek(key).is_some_and(|page| page.birth().snapshot.seq <= seq) {
            self.cache.remove(&key.hash());
        }
    }

    /// Removes this very page, and no other that has taken its place.
    pub fn remove_page(&self, hash: u64, page: &Arc<Page>) {
        self.cache.remove_if(&hash, |standing| Arc::ptr_eq(standing, page));
    }

    /// Kills the page of this birth, if it stands there.
    pub(crate) fn kill(&self, hash: u64, birth: &Birth) {
        // So that it comes before a form is added, which then is not, or after.
        let _order = lock(self.order(hash));
        if let Some(standing) = self.cache.peek(&hash).filter(|standing| standing.birth() == birth) {
            standing.kill();
        }
    }

    /// How many pages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// How many bytes they hold, as accounted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    fn order(&self, hash: u64) -> &Mutex<()> {
        &self.puts[hash as usize % PUT_LOCKS]
    }
}

impl std::fmt::Debug for MemoryPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPages")
            .field("pages", &self.len())
            .field("bytes", &self.bytes())
            .field("most_bytes", &self.most_bytes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl PageStore for MemoryPages {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        Ok(self.peek(key))
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        Ok(self.keep(key, page))
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        keys.iter().for_each(|key| self.remove_up_to(key, u64::MAX));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::clock::Moment;
    use crate::model::authority::Scheme;
    use crate::model::head::HeadParts;
    use crate::model::lifetime::Lifetime;
    use crate::model::page::Birth;
    use crate::model::snapshot::{Incarnation, Snapshot};
    use crate::model::tag::TagSet;
    use crate::model::verdict::Loss;

    pub(super) fn key(path: &str) -> KeyRef<'_> {
        KeyRef::new(Scheme::Http, "h", "/{*path}", path)
    }

    pub(super) fn page(key: &CacheKey) -> Arc<Page> {
        let lifetime = Lifetime { fresh: Duration::from_secs(9), ..Lifetime::default() };
        let parts = HeadParts::take(StatusCode::OK, HeaderMap::new(), lifetime, Loss::default());
        let id = parts.id();
        let snapshot = Snapshot { incarnation: Incarnation::from_bytes([0; 16]), seq: 0 };
        let birth = Birth { snapshot, at: Moment::from_nanos(0) };
        let head = Arc::new(parts.build(id));
        Arc::new(Page::new(key, birth, head, &[], &TagSet::default(), &[], &[]))
    }

    #[test]
    fn d08_a_collision_of_hashes_is_a_miss_and_never_the_other_page() {
        let store = MemoryPages::new(1 << 20, 1 << 10);
        let owned = |path| key(path).to_owned(Arc::new(key(path).scope()));
        let victim = owned("/a");
        let attacker = owned("/b").colliding_with(&victim);
        assert_eq!(attacker.hash(), victim.hash());
        assert_ne!(attacker, victim);
        store.keep(&attacker, page(&attacker));
        assert!(store.peek(&attacker).is_some(), "it is there");
        assert!(store.find(&key("/a")).is_none());
        assert!(store.peek(&victim).is_none());
        store.remove_up_to(&victim, u64::MAX);
        assert!(store.peek(&attacker).is_some(), "and removing the victim's leaves it");
        store.keep(&victim, page(&victim));
        assert!(store.find(&key("/a")).is_some());
        assert!(store.peek(&attacker).is_none(), "they share a place, not a page");
    }
}
