//! The engine of edge-isr: Incremental Static Regeneration for Rust web applications.
//!
//! Pages are stored with the tags they depend on, served at once, and rendered anew in the background when
//! they age or when a tag is invalidated. Applications use this crate through `edge-isr-axum` or
//! `edge-isr-tower`; authors of backends implement its traits.
//!
//! | room | what is in it |
//! |---|---|
//! | [`model`] | what the words mean: pure, no clock, no I/O |
//! | [`graph`], [`store`], [`queue`], [`connector`], [`origin`] | the ports: a trait each, and what needs nothing installed |
//! | [`isr`] | the order of events, and [`Isr`], the handle on everything |
//!
//! The truth about freshness is one number: see [`graph::Ledger`] and [`model::verdict`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod chance;
pub mod clock;
pub mod connector;
mod error;
pub mod graph;
mod hash;
pub mod isr;
mod ladder;
pub mod model;
pub mod origin;
pub mod queue;
#[cfg(feature = "redis")]
mod redis;
pub mod store;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(feature = "redis")]
pub use self::redis::Redis;
/// For implementing the ports: `#[async_trait] impl Connector for …`.
pub use async_trait::async_trait;
pub use connector::{Connector, Purge, PurgeLimits};
pub use error::{BoxError, ConfigError, Error, Result};
pub use graph::{Cursor, TagGraph};
#[cfg(feature = "compression")]
pub use isr::Compression;
pub use isr::admit::TagHeader;
pub use isr::{
    BuildId, Builder, Graph, Health, Isr, Limits, Note, Plan, PlannedCalls, Progress, PurgeState, Receipt,
    Selector, Stage, Stats, Urls, WhenFull,
};
#[cfg(feature = "compression")]
pub use model::coding::Coding;
pub use model::policy::{Cookies, Empty, Policy};
pub use model::rate::Rate;
pub use model::reason::Reason;
pub use model::snapshot::Mode;
pub use model::tag::{Tag, TagError, TagSet, tag};
pub use model::verdict::Loss;
pub use origin::Origin;
pub use queue::{DeadLetter, Priority, Queue};
pub use store::PageStore;
