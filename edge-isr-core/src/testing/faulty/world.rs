//! Stores and graphs that fail on a schedule.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Call, Faulty, Lie, Then};
use crate::error::Result;
use crate::graph::{Cursor, Members, TagGraph};
use crate::model::key::CacheKey;
use crate::model::page::Page;
use crate::model::snapshot::{Mark, Marks, Mode, Snapshot};
use crate::model::tag::{Tag, TagSet};
use crate::store::{PageStore, Put};
use crate::testing::sample::{self, SamplePage};

#[async_trait]
impl<T: PageStore> PageStore for Faulty<T> {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        match self.begin(Call::Get).await? {
            Then::Lies(Lie::Other) => Ok(Some(SamplePage::of(&sample::key()).build())),
            Then::Lies(_) => Ok(None),
            then => then.end(self.backend.get(key).await),
        }
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        match self.begin(Call::Put).await? {
            Then::Lies(Lie::Nothing) => Ok(Put::Kept),
            Then::Lies(Lie::Full) => Ok(Put::Refused),
            Then::Lies(Lie::Other) => {
                let snapshot = page.birth().snapshot;
                let other = SamplePage { snapshot, ..SamplePage::of(key) }.build();
                self.backend.put(key, other).await
            }
            then => then.end(self.backend.put(key, page).await),
        }
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        match self.begin(Call::Remove).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.remove(keys).await),
        }
    }
}

fn elsewhere() -> TagSet {
    TagSet::from_iter([sample::new_tag()])
}

#[async_trait]
impl<T: TagGraph> TagGraph for Faulty<T> {
    async fn snapshot(&self) -> Result<Snapshot> {
        let then = self.begin(Call::Snapshot).await?;
        let snapshot = self.backend.snapshot().await;
        match then {
            Then::Lies(Lie::Other) => Ok(Snapshot { incarnation: sample::incarnation(), ..snapshot? }),
            Then::Lies(_) => Ok(Snapshot { seq: 0, ..snapshot? }),
            then => then.end(snapshot),
        }
    }

    async fn mark(&self, tags: &TagSet, mode: Mode) -> Result<Snapshot> {
        match self.begin(Call::Mark).await? {
            Then::Lies(Lie::Other) => self.backend.mark(&elsewhere(), mode).await,
            Then::Lies(_) => {
                let snapshot = self.backend.snapshot().await?;
                Ok(Snapshot { seq: snapshot.seq + 1, ..snapshot })
            }
            then => then.end(self.backend.mark(tags, mode).await),
        }
    }

    async fn marks(&self, tags: &TagSet) -> Result<Marks> {
        let then = self.begin(Call::Marks).await?;
        let marks = self.backend.marks(tags).await;
        match then {
            Then::Lies(Lie::Other) => Ok(Marks { incarnation: sample::incarnation(), ..marks? }),
            Then::Lies(_) => Ok(Marks { latest: Mark::default(), ..marks? }),
            then => then.end(marks),
        }
    }

    async fn bind(&self, key: &CacheKey, tags: &TagSet) -> Result<()> {
        match self.begin(Call::Bind).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.bind(key, tags).await),
        }
    }

    async fn unbind(&self, keys: &[CacheKey]) -> Result<()> {
        match self.begin(Call::Unbind).await? {
            Then::Lies(_) => Ok(()),
            then => then.end(self.backend.unbind(keys).await),
        }
    }

    async fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Result<Members> {
        match self.begin(Call::Members).await? {
            Then::Lies(lie) => {
                let stranger = (lie == Lie::Other && limit > 0).then(sample::key);
                Ok(Members { keys: stranger.into_iter().collect(), next: None, is_complete: true })
            }
            then => then.end(self.backend.members(tag, after, limit).await),
        }
    }

    async fn tags_of(&self, key: &CacheKey) -> Result<Option<TagSet>> {
        match self.begin(Call::TagsOf).await? {
            Then::Lies(Lie::Other) => Ok(Some(elsewhere())),
            Then::Lies(_) => Ok(None),
            then => then.end(self.backend.tags_of(key).await),
        }
    }
}
