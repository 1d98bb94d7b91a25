//! A cache in front that writes down what it is told.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::connector::{Connector, Purge, PurgeLimits};
use crate::error::{Error, Result};

/// Records purges. Clones share the record.
#[derive(Debug, Clone, Default)]
pub struct RecordingConnector {
    seen: Arc<Mutex<Vec<Purge>>>,
    limits: PurgeLimits,
    fails: Arc<std::sync::atomic::AtomicBool>,
}

impl RecordingConnector {
    /// One that understands so much in a call.
    #[must_use]
    pub fn with_limits(limits: PurgeLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// From now on it confirms nothing, or everything again.
    pub fn set_failing(&self, fails: bool) {
        self.fails.store(fails, std::sync::atomic::Ordering::SeqCst);
    }

    /// What it was told so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Purge> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Connector for RecordingConnector {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn limits(&self) -> PurgeLimits {
        self.limits
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(purge.clone());
        if self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            let source = "told to fail".into();
            return Err(Error::Unavailable { backend: "recording", queued: false, source });
        }
        Ok(())
    }
}
