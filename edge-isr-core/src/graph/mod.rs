//! What invalidation knows: marks (the truth) and which URLs carry which tags (an index).

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::snapshot::{Marks, Mode, Snapshot};
use crate::model::tag::{Tag, TagSet};

mod index;
mod ledger;
mod memory;

pub use index::Index;
#[cfg(loom)]
pub use ledger::Lack;
pub use ledger::{Bump, Ledger};
pub use memory::MemoryGraph;

/// Where a paged listing goes on. Opaque, and only good for the graph and the tag it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// The keys of pages that carry the tag or something below it.
    pub keys: Vec<CacheKey>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
    /// Whether the index knows every carrier. It may have lost some for want of room; it says so and never
    /// decides about freshness.
    pub is_complete: bool,
}

/// The graph of tags and pages. An [`Isr`](crate::Isr) keeps a [`MemoryGraph`] and takes no other yet.
///
/// # Contract
///
/// 1. `snapshot_precedes_marks`: a mark made after a snapshot has a number above the snapshot's; a snapshot taken after
///    a mark is not below it.
/// 2. `ok_means_applied`: when `mark` returns `Ok`, every later `marks` of a carrier of one of its tags shows it.
/// 3. `marks_only_grow`: within an incarnation no mark is lowered, however marks of one tag race, and none is
///    forgotten without a floor.
/// 4. `soft_and_hard_stay_apart`: a soft mark kills no page.
/// 5. `a_tag_covers_what_is_below_it`: a mark of a tag shows in the marks of what carries a tag below it, at any depth,
///    and not the other way round.
/// 6. `others_are_left_alone`: a mark shows in no other tag's marks, as long as none had to be forgotten for want of
///    room.
/// 7. `losing_marks_changes_the_incarnation`: a graph that finds its marks again goes on counting; one that lost any is
///    another incarnation, so that old numbers are never compared with new ones.
/// 8. `binding_replaces`: `bind` sets a key's tags; those it had before are gone.
/// 9. `unbound_pages_are_gone`: from the lists of their tags and from `tags_of`; others stay.
/// 10. `listings_are_paged`: `members` returns at most `limit` keys, says where to go on, and comes to an end.
/// 11. `listings_cover_what_is_below`: a tag's listing holds the carriers of what is below it.
/// 12. `the_index_never_lies_about_completeness`: when a carrier may be missing, `is_complete` is false.
///
/// # Atomicity
///
/// `mark` of several tags may be observed half done until it returns.
///
/// # Cancellation
///
/// A dropped `mark` may or may not have been applied; repeating it is safe. So are all other methods.
///
/// # Testing
///
/// `edge_isr_core::tag_graph_contract!` of the feature `testing` turns each clause into a test of your graph.
#[async_trait]
pub trait TagGraph: Debug + Send + Sync + 'static {
    /// Where a render stands that begins now.
    ///
    /// # Errors
    ///
    /// When the graph can't be reached; the render's page is then not stored.
    async fn snapshot(&self) -> Result<Snapshot>;

    /// Marks tags, in one step of the sequence; returns that step.
    ///
    /// # Errors
    ///
    /// When it is not certain that the mark is applied. Repeating is safe.
    async fn mark(&self, tags: &TagSet, mode: Mode) -> Result<Snapshot>;

    /// The latest mark over these tags, what covers them, and the floors.
    ///
    /// # Errors
    ///
    /// When the graph can't be reached; nothing is then served as fresh.
    async fn marks(&self, tags: &TagSet) -> Result<Marks>;

    /// Records which tags a page carries, in place of those it carried before.
    ///
    /// # Errors
    ///
    /// When the index can't be written; listings are then incomplete.
    async fn bind(&self, key: &CacheKey, tags: &TagSet) -> Result<()>;

    /// Forgets pages.
    ///
    /// # Errors
    ///
    /// When the index can't be written.
    async fn unbind(&self, keys: &[CacheKey]) -> Result<()>;

    /// Lists the carriers of a tag and of what is below it, at most `limit` at a time.
    ///
    /// # Errors
    ///
    /// When the index can't be read.
    async fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Result<Members>;

    /// The explicit tags of a page; `None` when the index does not know it.
    ///
    /// # Errors
    ///
    /// When the index can't be read.
    async fn tags_of(&self, key: &CacheKey) -> Result<Option<TagSet>>;
}
