//! Must-fail twins: the engine with one protection removed, on which its test has to turn red.

/// The protection that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Twin {
    /// The snapshot is taken when the page is stored, not before the handler is polled.
    LateSnapshot,
    /// A flight that an invalidation has overtaken is joined, and its page handed out unjudged.
    JoinOvertaken,
    /// A stale or overtaken answer keeps its downstream freshness.
    FreshDownstream,
    /// A permit that is dropped releases nobody.
    SilentDrop,
    /// A flight's outcome is told while the flight can still be joined.
    TellBeforeLeaving,
    /// A follower who leaves keeps its place.
    KeepPlace,
    /// Pages compare `seq`, which moves before the marks are written, instead of `applied`.
    CompareSeq,
    /// `applied` moves before the marks are written.
    AppliedFirst,
    /// The slots of the tags move when the invalidation is applied already.
    SlotsLate,
    /// A mark is set to the number of its invalidation, even where a later one stands.
    MarkSet,
    /// A tag that was invalidated less than 30 seconds ago is not invalidated again.
    SkipRecent,
    /// Marks that make room raise no floor.
    NoFloor,
    /// Stored pages are found by the index and deleted; nothing is marked.
    DeleteListed,
    /// Only the tags that are known before the render decide about its page.
    LayerTagsOnly,
    /// A page of the second tier is taken as if it had just been judged.
    TrustStore,
    /// Receipts are not read.
    IgnoreReceipt,
    /// Every miss renders for itself.
    NoCollapse,
    /// A page with a coded form takes the place of whatever stands there by now.
    CodeOverNewer,
}
