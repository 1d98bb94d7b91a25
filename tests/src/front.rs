//! Caches in front of a story's site, and what receipts say of them.

use edge_isr_axum::{Builder, PurgeState};
use edge_isr_core::testing::RecordingConnector;

use crate::site::Position;
use crate::story::{Story, lasting};

impl Story {
    /// A site whose pages are [`lasting`], with this cache in front.
    pub fn behind(cache: &RecordingConnector, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let cache = cache.clone();
        Self::with(Position::Inside, lasting(), |builder| settings(builder.connector(cache)))
    }
}

/// The purges of a receipt, where the only cache in front confirmed.
#[must_use]
pub fn confirmed() -> Vec<(&'static str, PurgeState)> {
    vec![("recording", PurgeState::Confirmed)]
}

/// The purges of a receipt, where the only cache in front has not answered yet.
#[must_use]
pub fn pending() -> Vec<(&'static str, PurgeState)> {
    vec![("recording", PurgeState::Pending)]
}
