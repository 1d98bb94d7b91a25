//! Where pages are kept.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::key::CacheKey;
use crate::model::page::Page;

mod format;
mod interned;
mod memory;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::RedisPages;
pub use format::{Format, FormatError, Kept};
pub use interned::{Heads, Scopes};
pub use memory::MemoryPages;

/// What became of a page that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is kept.
    Kept,
    /// A page from a later snapshot stands there already; that one is kept.
    Outrun,
    /// It is too large to be kept.
    Refused,
}

/// Keeps pages. What it holds is a convenience, never the truth: a page is judged anew at each read.
///
/// # Contract
///
/// 1. `put_then_get_round_trips`: a kept page comes back as it was put: key, status, head, body, tags, lifetime,
///    snapshot, and what the loss of marks makes of it.
/// 2. `bodies_are_bytes`: a body comes back byte by byte: an empty one, one that is no text, one of 1 MiB, one of
///    2 MiB, which a page keeps in parts.
/// 3. `many_tags_round_trip`: a page with a hundred tags comes back with all of them.
/// 4. `keys_are_compared_whole`: `get` never returns the page of another key, whatever their hashes.
/// 5. `later_snapshots_win`: within an incarnation a page from an earlier snapshot does not replace one from a later
///    one, and `put` says so. One from the same snapshot, a later one or another incarnation does.
/// 6. `the_latest_of_racing_puts_stands`: however puts of one key race.
/// 7. `removed_pages_are_gone`: after `remove`, `get` finds nothing until the next `put`, which may be of an earlier
///    snapshot. Others stay.
/// 8. `room_is_bounded`: at its bound the store evicts or refuses, and never errs for it; what it refused is not
///    there.
///
/// # Cancellation
///
/// A dropped call may or may not have taken effect; repeating it is safe.
///
/// # Testing
///
/// `edge_isr_core::page_store_contract!` of the feature `testing` turns each clause into a test of your store.
#[async_trait]
pub trait PageStore: Debug + Send + Sync + 'static {
    /// The page of a key.
    ///
    /// # Errors
    ///
    /// When the store can't be reached, or what it holds can't be read.
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>>;

    /// Keeps a page.
    ///
    /// # Errors
    ///
    /// When the store can't be reached.
    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put>;

    /// Makes room. Not needed for correctness.
    ///
    /// # Errors
    ///
    /// When the store can't be reached.
    async fn remove(&self, keys: &[CacheKey]) -> Result<()>;
}
