//! What every [`TagGraph`] promises. Clauses may share one graph: their tags and keys are their own.

use std::collections::HashSet;
use std::sync::Arc;

use crate::graph::{Members, TagGraph};
use crate::model::key::CacheKey;
use crate::model::snapshot::{Mark, Marks, Mode, Snapshot};
use crate::model::tag::{Tag, TagSet};
use crate::testing::sample;

/// Makes a test of each clause of [`TagGraph`](crate::TagGraph)'s contract.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use edge_isr_core::graph::{Index, Ledger, MemoryGraph};
/// use edge_isr_core::model::snapshot::Incarnation;
/// use edge_isr_core::testing::ManualClock;
/// use edge_isr_core::testing::sample;
///
/// fn graph() -> MemoryGraph {
///     let ledger = Ledger::new(sample::new_incarnation(), 1 << 20, Duration::from_secs(3600));
///     MemoryGraph::new(ledger, Index::new(1_000, 1 << 20, None), Arc::new(ManualClock::default()))
/// }
///
/// edge_isr_core::tag_graph_contract!(memory, graph());
/// ```
///
/// The second argument is evaluated twice in one clause: what makes a graph anew either finds the marks of the one
/// before, or is another incarnation. Room for 16 pages is enough, and better for `the_index_never_lies_about_completeness`
/// than plenty: run the suite with both.
#[macro_export]
macro_rules! tag_graph_contract {
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::__contract_clauses!(
                graph,
                (::std::sync::Arc::new($make)),
                [
                    snapshot_precedes_marks,
                    ok_means_applied,
                    marks_only_grow,
                    soft_and_hard_stay_apart,
                    a_tag_covers_what_is_below_it,
                    others_are_left_alone,
                ]
            );
            $crate::__contract_clauses!(
                graph,
                (::std::sync::Arc::new($make), ::std::sync::Arc::new($make)),
                [losing_marks_changes_the_incarnation,]
            );
            $crate::__contract_clauses!(
                graph,
                (::std::sync::Arc::new($make)),
                [
                    binding_replaces,
                    unbound_pages_are_gone,
                    listings_are_paged,
                    listings_cover_what_is_below,
                    the_index_never_lies_about_completeness,
                ]
            );
        }
    };
}

fn set(tags: &[&Tag]) -> TagSet {
    tags.iter().copied().cloned().collect()
}

async fn snapshot(graph: &Arc<dyn TagGraph>) -> Snapshot {
    graph.snapshot().await.expect("a graph that is there knows where it stands")
}

async fn mark(graph: &Arc<dyn TagGraph>, tags: &[&Tag], mode: Mode) -> u64 {
    graph.mark(&set(tags), mode).await.expect("a graph that is there marks").seq
}

async fn marks(graph: &Arc<dyn TagGraph>, tags: &[&Tag]) -> Marks {
    graph.marks(&set(tags)).await.expect("a graph that is there knows its marks")
}

async fn bind(graph: &Arc<dyn TagGraph>, key: &CacheKey, tags: &[&Tag]) {
    graph.bind(key, &set(tags)).await.expect("a graph that is there binds");
}

async fn members(graph: &Arc<dyn TagGraph>, tag: &Tag, limit: usize) -> (HashSet<CacheKey>, bool) {
    let (mut keys, mut after, mut is_complete) = (HashSet::new(), None, true);
    // A listing that walks may give pages of it that are empty; one without end gives too many.
    for _ in 0..10_000 {
        let page = graph.members(tag, after, limit).await.expect("a graph that is there lists");
        let Members { keys: some, next, is_complete: is_so } = page;
        assert!(some.len() <= limit, "{} keys, of {limit}", some.len());
        keys.extend(some);
        is_complete &= is_so;
        match next {
            Some(next) => assert!(after.replace(next) != Some(next), "it does not go on"),
            None => return (keys, is_complete),
        }
    }
    panic!("the listing does not end");
}

/// Whether a listing holds exactly these; only one that says it is incomplete may lack some.
async fn assert_members(graph: &Arc<dyn TagGraph>, tag: &Tag, expected: &[&CacheKey]) {
    let (found, is_complete) = members(graph, tag, 100).await;
    let expected: HashSet<CacheKey> = expected.iter().copied().cloned().collect();
    assert!(found.is_subset(&expected), "it lists what does not carry `{tag}`");
    assert!(found == expected || !is_complete, "a carrier is missing, and nothing says so");
}

/// A mark made after a snapshot has a number above the snapshot's; a snapshot taken after a mark is not below it.
pub async fn snapshot_precedes_marks(graph: Arc<dyn TagGraph>) {
    let tag = sample::new_tag();
    for mode in [Mode::Soft, Mode::Hard, Mode::Soft] {
        let before = snapshot(&graph).await;
        let step = mark(&graph, &[&tag], mode).await;
        assert!(step > before.seq, "{step} after {}", before.seq);
        let after = snapshot(&graph).await;
        assert_eq!(after.incarnation, before.incarnation);
        assert!(after.seq >= step, "{} after {step}", after.seq);
    }
}

/// When `mark` returns `Ok`, every later `marks` of a carrier of one of its tags shows it.
pub async fn ok_means_applied(graph: Arc<dyn TagGraph>) {
    let (one, two, unmarked) = (sample::new_tag(), sample::new_tag(), sample::new_tag());
    for mode in [Mode::Soft, Mode::Hard] {
        let step = mark(&graph, &[&one, &two], mode).await;
        for carried in [vec![&one], vec![&unmarked, &two], vec![&one, &two]] {
            let Mark { soft, hard } = marks(&graph, &carried).await.latest;
            let shown = if mode == Mode::Soft { soft } else { hard };
            assert!(shown >= step, "{carried:?} shows {shown}, not {step}");
        }
    }
}

/// Within an incarnation no mark is lowered, however marks of one tag race.
pub async fn marks_only_grow(graph: Arc<dyn TagGraph>) {
    let (tag, runtime) = (sample::new_tag(), tokio::runtime::Handle::current());
    let mut latest = Mark::default();
    for _ in 0..10 {
        let racers = (0..8).map(|n| {
            let (graph, tag, runtime) = (Arc::clone(&graph), tag.clone(), runtime.clone());
            let mode = if n % 2 == 0 { Mode::Soft } else { Mode::Hard };
            // Threads, not tasks, so that marks meet inside the graph.
            tokio::task::spawn_blocking(move || runtime.block_on(async { mark(&graph, &[&tag], mode).await }))
        });
        let mut most = 0;
        for racer in racers.collect::<Vec<_>>() {
            most = most.max(racer.await.expect("a mark does not panic"));
        }
        let raced = marks(&graph, &[&tag]).await.latest;
        assert!(raced.soft.max(raced.hard) >= most, "the last of the race is lost");
        for mode in [Mode::Soft, Mode::Hard] {
            mark(&graph, &[&tag], mode).await;
            let now = marks(&graph, &[&tag]).await.latest;
            assert_eq!(now.max(raced).max(latest), now, "a mark was lowered");
            latest = now;
        }
    }
}

/// A soft mark kills no page: the hard number stays, and the other way round.
pub async fn soft_and_hard_stay_apart(graph: Arc<dyn TagGraph>) {
    let tag = sample::new_tag();
    let before = marks(&graph, &[&tag]).await.latest;
    let soft = mark(&graph, &[&tag], Mode::Soft).await;
    let softened = marks(&graph, &[&tag]).await.latest;
    assert_eq!(softened.hard, before.hard, "a soft mark is not hard");
    mark(&graph, &[&tag], Mode::Hard).await;
    let hardened = marks(&graph, &[&tag]).await.latest;
    assert!(softened.soft >= soft && hardened.soft == softened.soft, "a hard mark is not soft");
}

/// A mark of a tag shows in the marks of what carries a tag below it, at any depth, and not the other way round.
pub async fn a_tag_covers_what_is_below_it(graph: Arc<dyn TagGraph>) {
    let word = sample::word();
    let [top, middle, leaf] = [format!("t{word}"), format!("t{word}:m"), format!("t{word}:m:l")];
    let [top, middle, leaf, alike] = [top, middle, leaf, format!("t{word}x")].map(|text| Tag::named(&text));
    let first = marks(&graph, &[&alike]).await;
    let step = mark(&graph, &[&top], Mode::Hard).await;
    for tag in [&top, &middle, &leaf] {
        assert!(marks(&graph, &[tag]).await.latest.hard >= step, "`{top}` covers `{tag}`");
    }
    assert_eq!(marks(&graph, &[&alike]).await, first, "`{top}` is no part of `{alike}`");
    let above = marks(&graph, &[&top]).await;
    let step = mark(&graph, &[&middle], Mode::Soft).await;
    assert!(marks(&graph, &[&leaf]).await.latest.soft >= step);
    assert_eq!(marks(&graph, &[&top]).await, above, "`{middle}` is only a part of `{top}`");
}

/// A mark shows in no other tag's marks, as long as none had to be forgotten for want of room.
pub async fn others_are_left_alone(graph: Arc<dyn TagGraph>) {
    let (other, tag) = (sample::new_tag(), sample::new_tag());
    mark(&graph, &[&other], Mode::Soft).await;
    let before = marks(&graph, &[&other]).await;
    mark(&graph, &[&tag], Mode::Soft).await;
    mark(&graph, &[&tag], Mode::Hard).await;
    assert_eq!(marks(&graph, &[&other]).await, before);
    assert_eq!(marks(&graph, &[]).await.incarnation, before.incarnation, "also without any tag");
}

/// A graph that finds its marks again goes on counting; one that lost any is another incarnation, so that old
/// numbers are never compared with new ones.
pub async fn losing_marks_changes_the_incarnation(graph: Arc<dyn TagGraph>, again: Arc<dyn TagGraph>) {
    let tag = sample::new_tag();
    for _ in 0..3 {
        mark(&graph, &[&tag], Mode::Hard).await;
    }
    let (old, new) = (marks(&graph, &[&tag]).await, marks(&again, &[&tag]).await);
    if new.incarnation == old.incarnation {
        assert_eq!(new.latest, old.latest, "its marks are lost");
        let step = mark(&again, &[&tag], Mode::Soft).await;
        assert!(step > old.latest.hard, "it counts from {step} again");
    }
    assert_eq!(snapshot(&again).await.incarnation, new.incarnation, "snapshots and marks are of one life");
}

/// `bind` sets a key's tags; those it had before are gone.
pub async fn binding_replaces(graph: Arc<dyn TagGraph>) {
    let (key, other) = (sample::key(), sample::key());
    let (old, kept, new) = (sample::new_tag(), sample::new_tag(), sample::new_tag());
    bind(&graph, &other, &[&old]).await;
    bind(&graph, &key, &[&old, &kept]).await;
    bind(&graph, &key, &[&kept, &new]).await;
    assert_members(&graph, &old, &[&other]).await;
    assert_members(&graph, &kept, &[&key]).await;
    assert_members(&graph, &new, &[&key]).await;
    let tags = graph.tags_of(&key).await.expect("a graph that is there lists");
    assert!(
        tags.is_none_or(|tags| tags == set(&[&kept, &new])),
        "they are not the tags it was bound with last"
    );
}

/// From the lists of their tags and from `tags_of`; others stay.
pub async fn unbound_pages_are_gone(graph: Arc<dyn TagGraph>) {
    let (tag, keys) = (sample::new_tag(), sample::neighbors());
    for key in &keys[..4] {
        bind(&graph, key, &[&tag]).await;
    }
    let gone = [keys[0].clone(), sample::key(), keys[2].clone()];
    for _ in 0..2 {
        graph.unbind(&gone).await.expect("unbinding what is not there is no error");
        assert_members(&graph, &tag, &[&keys[1], &keys[3]]).await;
        assert_eq!(graph.tags_of(&keys[0]).await.expect("it is there"), None);
    }
    bind(&graph, &keys[0], &[&tag]).await;
    assert_members(&graph, &tag, &[&keys[0], &keys[1], &keys[3]]).await;
}

/// `members` returns at most `limit` keys, says where to go on, and comes to an end; each key is there once.
pub async fn listings_are_paged(graph: Arc<dyn TagGraph>) {
    let tag = sample::new_tag();
    let keys: HashSet<CacheKey> = (0..10).map(|_| sample::key()).collect();
    for key in &keys {
        bind(&graph, key, &[&tag]).await;
    }
    for limit in [1, 3, 10, 100] {
        let (found, is_complete) = members(&graph, &tag, limit).await;
        assert!(found.is_subset(&keys));
        assert!(found == keys || !is_complete, "{} of 10 with a limit of {limit}", found.len());
    }
    let (nobody, _) = members(&graph, &sample::new_tag(), 10).await;
    assert!(nobody.is_empty(), "nobody carries it");
}

/// A tag's listing holds the carriers of what is below it, and each of them once.
pub async fn listings_cover_what_is_below(graph: Arc<dyn TagGraph>) {
    let word = sample::word();
    let [top, leaf, both] = ["", ":m:l", ":k"].map(|below| Tag::named(&format!("t{word}{below}")));
    let alike = Tag::named(&format!("t{word}x"));
    let [a, b, c, d] = [sample::key(), sample::key(), sample::key(), sample::key()];
    bind(&graph, &a, &[&top]).await;
    bind(&graph, &b, &[&leaf]).await;
    bind(&graph, &c, &[&leaf, &both]).await;
    bind(&graph, &d, &[&alike]).await;
    assert_members(&graph, &top, &[&a, &b, &c]).await;
    assert_members(&graph, &leaf, &[&b, &c]).await;
    assert_members(&graph, &alike, &[&d]).await;
}

/// When a carrier may be missing, `is_complete` is false.
pub async fn the_index_never_lies_about_completeness(graph: Arc<dyn TagGraph>) {
    let tag = sample::new_tag();
    let keys: Vec<CacheKey> = (0..64).map(|_| sample::key()).collect();
    for (n, key) in keys.iter().enumerate() {
        bind(&graph, key, &[&tag]).await;
        if n % 16 == 15 {
            assert_members(&graph, &tag, &keys[..=n].iter().collect::<Vec<_>>()).await;
        }
    }
}
