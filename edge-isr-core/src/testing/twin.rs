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
}
