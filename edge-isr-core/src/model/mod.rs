//! What the words mean: tags, keys, pages, lifetimes, verdicts. Pure: nothing here is async, does I/O or reads
//! a clock; ages come in as values.

pub mod ahead;
pub mod authority;
pub mod cache_control;
pub mod cache_status;
pub mod claims;
pub mod coding;
pub mod conditional;
pub mod decide;
mod fold;
mod from_origin;
pub mod head;
pub mod implicit;
pub mod key;
pub mod lifetime;
pub mod origin;
pub mod page;
pub mod policy;
pub mod rate;
pub mod reason;
pub mod reuse;
mod rules;
pub mod snapshot;
pub mod storable;
pub mod tag;
pub mod verdict;
pub(crate) mod written;
