//! How a page is rendered again.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::reason::Reason;
use crate::model::snapshot::Snapshot;

/// A page that should be rendered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refill {
    /// Which page. Its request is [`CacheKey::request`].
    pub key: CacheKey,
    /// A page from this snapshot or a later one needs no render.
    pub want: u64,
}

/// What became of a [`Refill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refilled {
    /// The page is at least as new as this snapshot, or was replaced by nothing.
    Done(Snapshot),
    /// The render did not succeed; the last good page is kept.
    Failed(Reason),
    /// Nothing that was asked knows the page.
    Unreached,
}

/// Renders pages again: the application itself in most cases.
///
/// # Contract
///
/// 1. `a_refill_stores_what_it_rendered`: when it returns `Done`, look-ups find the new page, or none if its answer may
///    not be stored.
/// 2. `a_refill_takes_its_own_snapshot`: the render begins after `refill` was called, unless there is a page from the
///    snapshot that is wanted or a later one: what `Done` names is not below it.
/// 3. `strangers_are_unreached`: a page that nothing knows is `Unreached`, and nothing is stored for it.
/// 4. `refills_of_one_page_meet`: refills of one page at a time are each done, whoever of them renders.
/// 5. `a_dropped_refill_harms_nobody`: it may or may not have happened; the next one finds nothing in its way.
///
/// # Cancellation
///
/// Dropping the future does not cancel a render that others wait for.
///
/// # Testing
///
/// `edge_isr_core::origin_contract!` of the feature `testing` turns each clause into a test of your origin.
#[async_trait]
pub trait Origin: Debug + Send + Sync + 'static {
    /// Renders the page and stores it.
    ///
    /// # Errors
    ///
    /// When the origin can't be reached; the worker tries again later.
    async fn refill(&self, refill: &Refill) -> Result<Refilled>;
}
