//! The second tier: what memory evicts is still there, and others come before and after each call.

use std::sync::Arc;

use async_trait::async_trait;
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::store::{MemoryPages, Put};
use edge_isr_core::{PageStore, Result};

use crate::stage::gate;

#[derive(Debug)]
pub(crate) struct Tier(MemoryPages);

impl Default for Tier {
    fn default() -> Self {
        Self(MemoryPages::new(1 << 20, 1 << 12))
    }
}

#[async_trait]
impl PageStore for Tier {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        gate().await;
        let found = self.0.get(key).await;
        gate().await;
        found
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        gate().await;
        self.0.put(key, page).await
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        gate().await;
        self.0.remove(keys).await
    }
}
