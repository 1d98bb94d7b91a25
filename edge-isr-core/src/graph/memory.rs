//! The graph of one process: the ledger and the index.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Cursor, Index, Ledger, Members, TagGraph};
use crate::clock::Clock;
use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::snapshot::{Marks, Mode, Snapshot};
use crate::model::tag::{Tag, TagId, TagSet};
use crate::sync::{Mutex, lock};

/// The graph that needs nothing installed. Its marks live as long as the process.
#[derive(Debug)]
pub struct MemoryGraph {
    ledger: Ledger,
    /// One lock: it is taken when a page is stored, never on a hit.
    index: Mutex<Index>,
    clock: Arc<dyn Clock>,
}

impl MemoryGraph {
    /// Puts a graph together.
    #[must_use]
    pub fn new(ledger: Ledger, index: Index, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, index: Mutex::new(index), clock }
    }

    /// The truth.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Calls `f` with the index. Keep it short: every store of a page waits for this lock.
    pub fn with_index<T>(&self, f: impl FnOnce(&mut Index) -> T) -> T {
        f(&mut lock(&self.index))
    }
}

#[async_trait]
impl TagGraph for MemoryGraph {
    async fn snapshot(&self) -> Result<Snapshot> {
        Ok(self.ledger.snapshot())
    }

    async fn mark(&self, tags: &TagSet, mode: Mode) -> Result<Snapshot> {
        let ids: Vec<TagId> = tags.iter().map(|tag| TagId::of(tag.as_str())).collect();
        let seq = self.ledger.mark(&ids, mode, self.clock.now());
        Ok(Snapshot { incarnation: self.ledger.incarnation(), seq })
    }

    async fn marks(&self, tags: &TagSet) -> Result<Marks> {
        Ok(self.ledger.marks(tags.with_ancestors().into_iter().map(TagId::of)))
    }

    async fn bind(&self, key: &CacheKey, tags: &TagSet) -> Result<()> {
        let forever = crate::clock::Moment::from_nanos(u64::MAX);
        self.with_index(|index| index.bind(key, tags, self.clock.now(), forever));
        Ok(())
    }

    async fn unbind(&self, keys: &[CacheKey]) -> Result<()> {
        self.with_index(|index| keys.iter().for_each(|key| index.unbind(key)));
        Ok(())
    }

    async fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Result<Members> {
        Ok(self.with_index(|index| index.members(tag, after, limit)))
    }

    async fn tags_of(&self, key: &CacheKey) -> Result<Option<TagSet>> {
        Ok(self.with_index(|index| index.tags_of(key)))
    }
}
