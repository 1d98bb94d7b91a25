//! Graphs that break their word.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_isr_core::graph::{Cursor, Index, Ledger, Members, MemoryGraph};
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::snapshot::{Mark, Marks, Snapshot};
use edge_isr_core::testing::{ManualClock, sample};
use edge_isr_core::{Mode, Result, Tag, TagGraph, TagSet, async_trait};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    TellsTheFuture,
    AcknowledgesBeforeMarking,
    Sets,
    MarksHardOnly,
    ForgetsAncestors,
    MarksEverything,
    CountsAgain,
    AddsTags,
    NeverUnbinds,
    IgnoresLimits,
    ListsExactly,
    PraisesItself,
}

/// A graph that is right but for one thing.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    graph: MemoryGraph,
    late: Mutex<Option<(TagSet, Mode)>>,
    last: AtomicU64,
}

fn broken(flaw: Flaw) -> Arc<Broken> {
    let incarnation =
        if flaw == Flaw::CountsAgain { sample::incarnation() } else { sample::new_incarnation() };
    let ledger = Ledger::new(incarnation, 1 << 20, Duration::from_secs(3600));
    let most_rows = if flaw == Flaw::PraisesItself { 16 } else { 1_000 };
    let clock = Arc::new(ManualClock::default());
    let graph = MemoryGraph::new(ledger, Index::new(most_rows, 1 << 20, None), clock);
    Arc::new(Broken { flaw, graph, late: Mutex::default(), last: AtomicU64::default() })
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }
}

#[async_trait]
impl TagGraph for Broken {
    async fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.graph.snapshot().await?;
        let seq = snapshot.seq + u64::from(self.has(Flaw::TellsTheFuture));
        Ok(Snapshot { seq, ..snapshot })
    }

    async fn mark(&self, tags: &TagSet, mode: Mode) -> Result<Snapshot> {
        let mode = if self.has(Flaw::MarksHardOnly) { Mode::Hard } else { mode };
        if self.has(Flaw::AcknowledgesBeforeMarking) {
            let late = self.late.lock().unwrap().replace((tags.clone(), mode));
            let seq = self.graph.snapshot().await?.seq + 1;
            if let Some((tags, mode)) = late {
                self.graph.mark(&tags, mode).await?;
            }
            return Ok(Snapshot { seq, ..self.graph.snapshot().await? });
        }
        let step = self.graph.mark(tags, mode).await?;
        if self.has(Flaw::MarksEverything) || self.has(Flaw::Sets) {
            self.last.store(step.seq, SeqCst);
        }
        Ok(step)
    }

    async fn marks(&self, tags: &TagSet) -> Result<Marks> {
        let marks = if self.has(Flaw::ForgetsAncestors) {
            let leaves = tags.iter().map(|tag| edge_isr_core::model::tag::TagId::of(tag.as_str()));
            self.graph.ledger().marks(leaves)
        } else {
            self.graph.marks(tags).await?
        };
        let last = self.last.load(SeqCst);
        let latest = match self.flaw {
            Flaw::MarksEverything => Mark { soft: last, hard: last },
            // Only the last of the two is remembered.
            Flaw::Sets if marks.latest.soft > marks.latest.hard => Mark { hard: 0, ..marks.latest },
            Flaw::Sets => Mark { soft: 0, ..marks.latest },
            _ => marks.latest,
        };
        Ok(Marks { latest, ..marks })
    }

    async fn bind(&self, key: &CacheKey, tags: &TagSet) -> Result<()> {
        let mut tags = tags.clone();
        if self.has(Flaw::AddsTags) {
            tags.extend(self.graph.tags_of(key).await?.unwrap_or_default().iter().cloned());
        }
        self.graph.bind(key, &tags).await
    }

    async fn unbind(&self, keys: &[CacheKey]) -> Result<()> {
        if self.has(Flaw::NeverUnbinds) { Ok(()) } else { self.graph.unbind(keys).await }
    }

    async fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Result<Members> {
        let limit = if self.has(Flaw::IgnoresLimits) { usize::MAX } else { limit };
        let mut members = self.graph.members(tag, after, limit).await?;
        if self.has(Flaw::ListsExactly) {
            let carries = |key: &CacheKey| {
                let tags = self.graph.with_index(|index| index.tags_of(key)).unwrap_or_default();
                tags.iter().any(|own| own == tag)
            };
            members.keys.retain(carries);
        }
        members.is_complete |= self.has(Flaw::PraisesItself);
        Ok(members)
    }

    async fn tags_of(&self, key: &CacheKey) -> Result<Option<TagSet>> {
        self.graph.tags_of(key).await
    }
}

crate::must_fail! {
    graph,
    snapshot_precedes_marks(broken(Flaw::TellsTheFuture)): "after",
    ok_means_applied(broken(Flaw::AcknowledgesBeforeMarking)): "shows 0, not 1",
    marks_only_grow(broken(Flaw::Sets)): "a mark was lowered",
    soft_and_hard_stay_apart(broken(Flaw::MarksHardOnly)): "a soft mark is not hard",
    a_tag_covers_what_is_below_it(broken(Flaw::ForgetsAncestors)): "covers",
    others_are_left_alone(broken(Flaw::MarksEverything)): "left == right",
    losing_marks_changes_the_incarnation(broken(Flaw::CountsAgain), broken(Flaw::CountsAgain)): "marks are lost",
    binding_replaces(broken(Flaw::AddsTags)): "what does not carry",
    unbound_pages_are_gone(broken(Flaw::NeverUnbinds)): "what does not carry",
    listings_are_paged(broken(Flaw::IgnoresLimits)): "10 keys, of 1",
    listings_cover_what_is_below(broken(Flaw::ListsExactly)): "a carrier is missing",
    the_index_never_lies_about_completeness(broken(Flaw::PraisesItself)): "a carrier is missing",
}
