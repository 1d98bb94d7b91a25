//! Stores that break their word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::model::tag::TagSet;
use edge_isr_core::store::{PageStore, Put};
use edge_isr_core::testing::sample::SamplePage;
use edge_isr_core::{Error, Result, Tag, async_trait};
use tokio::sync::Barrier;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    KeepsSomethingElse,
    KeepsTextOnly,
    KeepsFewTags,
    LooksAtPathsOnly,
    LooksAtHashesOnly,
    LetsOlderPagesWin,
    LooksThenLeaps,
    RemovesOneOnly,
    HasNoBound,
    ErrsAtItsBound,
}

/// A store that is right but for one thing.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    pages: Mutex<HashMap<String, Arc<Page>>>,
    /// As many as race.
    race: Barrier,
}

fn broken(flaw: Flaw) -> Arc<Broken> {
    Arc::new(Broken { flaw, pages: Mutex::default(), race: Barrier::new(8) })
}

impl Broken {
    fn name(&self, key: &CacheKey) -> String {
        match self.flaw {
            Flaw::LooksAtPathsOnly => key.path().to_owned(),
            Flaw::LooksAtHashesOnly => key.hash().to_string(),
            _ => format!("{:?}", key.digest("")),
        }
    }

    fn changed(&self, key: &CacheKey, page: Arc<Page>) -> Arc<Page> {
        let sample = SamplePage::of(key).since(page.birth().snapshot.seq);
        match self.flaw {
            Flaw::KeepsSomethingElse => sample.build(),
            Flaw::KeepsTextOnly => {
                sample.with_body(String::from_utf8_lossy(&page.body()).into_owned()).build()
            }
            Flaw::KeepsFewTags => {
                let tags: TagSet = page.tags().take(64).filter_map(|tag| Tag::parse(tag).ok()).collect();
                SamplePage { tags, ..sample }.build()
            }
            _ => page,
        }
    }
}

fn is_outrun(standing: &Page, page: &Page) -> bool {
    let (old, new) = (standing.birth().snapshot, page.birth().snapshot);
    old.incarnation == new.incarnation && old.seq > new.seq
}

#[async_trait]
impl PageStore for Broken {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        Ok(self.pages.lock().unwrap().get(&self.name(key)).cloned())
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        let name = self.name(key);
        if self.flaw == Flaw::LooksThenLeaps {
            let standing = self.pages.lock().unwrap().get(&name).cloned();
            self.race.wait().await;
            if standing.is_some_and(|standing| is_outrun(&standing, &page)) {
                return Ok(Put::Outrun);
            }
            self.pages.lock().unwrap().insert(name, page);
            return Ok(Put::Kept);
        }
        let mut pages = self.pages.lock().unwrap();
        let standing = pages.get(&name).filter(|_| self.flaw != Flaw::LetsOlderPagesWin);
        if standing.is_some_and(|standing| is_outrun(standing, &page)) {
            return Ok(Put::Outrun);
        }
        let bytes: usize = pages.values().map(|page| page.body().len()).sum();
        if self.flaw == Flaw::ErrsAtItsBound && bytes > 1 << 20 {
            let source = "the disk is full".into();
            return Err(Error::Unavailable { backend: "broken", queued: false, source });
        }
        pages.insert(name, self.changed(key, page));
        Ok(Put::Kept)
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        let most = if self.flaw == Flaw::RemovesOneOnly { 1 } else { usize::MAX };
        for key in keys.iter().take(most) {
            self.pages.lock().unwrap().remove(&self.name(key));
        }
        Ok(())
    }
}

crate::must_fail! {
    store,
    put_then_get_round_trips(broken(Flaw::KeepsSomethingElse)): "it came back as another",
    bodies_are_bytes(broken(Flaw::KeepsTextOnly)): "a body of 256 bytes",
    many_tags_round_trip(broken(Flaw::KeepsFewTags)): "it came back as another",
    keys_are_compared_whole(broken(Flaw::LooksAtPathsOnly)): "another key's page",
    later_snapshots_win(broken(Flaw::LetsOlderPagesWin)): "right: Outrun",
    the_latest_of_racing_puts_stands(broken(Flaw::LooksThenLeaps)): "an earlier one overtook it",
    removed_pages_are_gone(broken(Flaw::RemovesOneOnly)): "is_none()",
    room_is_bounded(broken(Flaw::HasNoBound), 2 << 20): "bytes are there",
}

#[test]
#[should_panic(expected = "their hashes are alike")]
fn keys_are_compared_whole_and_not_by_their_hashes() {
    let clause = edge_isr_core::testing::contract::store::keys_are_compared_whole;
    edge_isr_core::testing::contract::run(clause(broken(Flaw::LooksAtHashesOnly)));
}

#[test]
#[should_panic(expected = "a store that is there takes pages")]
fn room_is_bounded_without_errors() {
    let clause = edge_isr_core::testing::contract::store::room_is_bounded;
    edge_isr_core::testing::contract::run(clause(broken(Flaw::ErrsAtItsBound), 2 << 20));
}
