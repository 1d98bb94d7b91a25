//! Who else must forget: the caches in front of this one.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::rate::Rate;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;

/// An instruction to a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purge {
    /// Mark stale or remove, where the cache knows the difference.
    pub mode: Mode,
    /// Forget what carries one of these tags.
    pub tags: Vec<Tag>,
    /// Forget these absolute URLs.
    pub urls: Vec<String>,
    /// Forget everything: the invalidation can't be said in tags or URLs this cache understands.
    pub everything: bool,
}

/// What a cache understands, and how often it may be called. Asked for once, when the [`Isr`](crate::Isr) is built.
///
/// ```
/// use edge_isr_core::{PurgeLimits, Rate};
///
/// // Five calls a minute, each of at most 30 tags, or of 30 URLs.
/// let limits = PurgeLimits { tags: 30, urls: 30, rate: Some(Rate::per_minute(5)), ..PurgeLimits::default() };
/// assert_eq!(limits.bytes, 16 << 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeLimits {
    /// The most tags in one call; zero where it knows no tags.
    pub tags: usize,
    /// The most URLs in one call; zero where it knows no URLs.
    pub urls: usize,
    /// The most bytes that the tags or URLs of one call have together, without what is written between them. One that
    /// alone has more is not sent: everything is purged instead.
    pub bytes: usize,
    /// How often it may be called, each attempt counted; `None` for as often as there is something to say. Of one that
    /// is faster than 20 a second, what 50 ms hold may come at once.
    pub rate: Option<Rate>,
}

impl Default for PurgeLimits {
    /// 100 tags or URLs, 16 KiB, no rate.
    fn default() -> Self {
        Self { tags: 100, urls: 100, bytes: 16 << 10, rate: None }
    }
}

/// Speaks to one cache in front of the application.
///
/// # Contract
///
/// 1. `limits_are_possible`: they let at least something be said, and stay as they are: a call takes at least one byte.
///    The name stays, too, and is one word of visible ASCII.
/// 2. `what_is_within_the_limits_is_understood`: in both modes, one tag or URL, and as many as the limits allow.
/// 3. `everything_is_understood`: whatever its limits are, it can purge everything.
/// 4. `purges_repeat_safely`: the same purge may come twice, the second before the first is answered. Hard ones
///    do, unless the first has not been said by then.
/// 5. `ok_means_confirmed`: `Ok` only when the cache confirmed the whole call; a call that it did not confirm is an
///    error. The clause can't have a cache confirm a part of one: that is an error, too, and the whole call is repeated.
/// 6. `refusals_are_told_from_failures`: what it can never do is [`Error::Rejected`](crate::Error), what it may do
///    later is `Unavailable`, or `Throttled` where the cache says when.
///
/// It is never given more than its limits say, and never what it does not understand. Its calls follow one another:
/// none begins before the last has ended, or had [`Limits::purge_wait`](crate::Limits::purge_wait).
///
/// What it is told in URLs (each tag, where it knows none; else what is invalidated by prefix, host or route) are those
/// of pages that this process has stored since it began. What only an earlier life of it rendered is in no list: after a
/// restart a cache that holds such pages is best told of everything once, with [`Graph::all`](crate::Graph::all).
///
/// A call that fails for a while, hangs or panics is made five times in all, with delays that grow from one second on;
/// one that is throttled, as soon as the cache allows, for ten minutes at most. What comes meanwhile waits and is said
/// once, however often it was invalidated. A call that is rejected is made again item by item, so that one bad item takes
/// no other with it: that once, beyond the five times. What was given up stands in the receipt, in
/// [`health`](crate::Isr::health) and in the counters.
///
/// # Cancellation
///
/// A dropped call may or may not have reached the cache; it is repeated.
///
/// # Testing
///
/// `edge_isr_core::connector_contract!` of the feature `testing` turns each clause into a test of your connector.
#[async_trait]
pub trait Connector: Debug + Send + Sync + 'static {
    /// Its name in receipts and in [`health`](crate::Isr::health), where logs and dashboards find it: one word of visible
    /// ASCII, such as `file` or `my-cdn`.
    fn name(&self) -> &'static str;

    /// What it understands.
    fn limits(&self) -> PurgeLimits;

    /// Makes the cache forget.
    ///
    /// # Errors
    ///
    /// When the cache did not confirm. [`Error::Throttled`](crate::Error) says when it may be asked again.
    async fn purge(&self, purge: &Purge) -> Result<()>;
}
