//! What selects a page: origin, matched route, path, declared query, declared dimensions, tenant, audience.
//!
//! A request has a [`KeyRef`], which borrows; a page has a [`CacheKey`], which is written down; what a page's key
//! shares with its neighbours is its [`Scope`].

mod cache_key;
mod dimension;
mod key_ref;
mod scope;
#[cfg(test)]
mod tests;

pub use cache_key::CacheKey;
pub(crate) use cache_key::read;
pub use dimension::{dimension, selecting};
pub use key_ref::{Dimension, KeyRef};
pub use scope::{Audience, Scope};
