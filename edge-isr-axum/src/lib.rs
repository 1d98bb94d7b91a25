#![doc = include_str!("../../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod app;
mod facts;

pub use app::{App, AppFuture, IsrExt, WrapRouter};
pub use edge_isr_core as core;
pub use edge_isr_core::{
    BuildId, Builder, ConfigError, Connector, Cookies, Cursor, DeadLetter, Empty, Error, Graph, Health, Isr,
    Limits, Loss, Mode, Note, Plan, PlannedCalls, Policy, Priority, Progress, Purge, PurgeLimits, PurgeState,
    Rate, Reason, Receipt, Result, Selector, Stage, Stats, Tag, TagError, TagHeader, TagSet, Urls, WhenFull,
    async_trait, tag,
};
#[cfg(feature = "compression")]
pub use edge_isr_core::{Coding, Compression};
pub use edge_isr_tower as tower;
pub use edge_isr_tower::{Edge, IsrBody, IsrContext, PathTag, path_tag};
pub use facts::AxumFacts;

/// Caches the pages of a route, or of a whole router. See [`edge_isr_tower::IsrLayer`].
pub type IsrLayer = edge_isr_tower::IsrLayer<AxumFacts>;

/// What nearly every application needs: `use edge_isr_axum::prelude::*;`
pub mod prelude {
    pub use crate::{
        Cookies, Graph, Isr, IsrContext, IsrExt, IsrLayer, Policy, Receipt, Tag, WrapRouter, path_tag, tag,
    };
}
