//! Who else must forget: the caches in front of this one.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
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

/// What a cache understands in one call; zero for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeLimits {
    /// The most tags in one call.
    pub tags: usize,
    /// The most URLs in one call.
    pub urls: usize,
}

impl Default for PurgeLimits {
    /// 100 of each.
    fn default() -> Self {
        Self { tags: 100, urls: 100 }
    }
}

/// Speaks to one cache in front of the application.
///
/// # Contract
///
/// 1. `ok_means_confirmed`: `Ok` only when the cache confirmed the whole call.
/// 2. `purges_repeat_safely`: the same purge may come twice, the second before the first is answered; hard ones
///    always do.
/// 3. `limits_are_kept`: it is never given more than its limits say, and never what it does not understand.
///
/// # Cancellation
///
/// A dropped call may or may not have reached the cache; it is repeated.
#[async_trait]
pub trait Connector: Debug + Send + Sync + 'static {
    /// Its name in receipts and counters.
    fn name(&self) -> &'static str;

    /// What it understands.
    fn limits(&self) -> PurgeLimits;

    /// Makes the cache forget.
    ///
    /// # Errors
    ///
    /// When the cache did not confirm.
    async fn purge(&self, purge: &Purge) -> Result<()>;
}
