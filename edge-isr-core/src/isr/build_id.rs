//! What tells deploys apart.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::builder::malformed;
use crate::error::ConfigError;

/// What tells the pages of one deploy from those of the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BuildId {
    /// A hash of the running executable, so that a deploy never serves the old templates as fresh. It is read
    /// only where pages outlive the process.
    #[default]
    Executable,
    /// A name of your own.
    Named(String),
    /// Pages stay usable across deploys.
    Ignore,
}

/// The first 128 bits of the SHA-256 of the running executable, as text.
fn executable_hash() -> Result<String, ConfigError> {
    let hash = |path: &Path| -> std::io::Result<String> {
        let digest = Sha256::digest(std::fs::read(path)?);
        Ok(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    };
    std::env::current_exe().and_then(|path| hash(&path)).map_err(|error| {
        malformed("build_id", "executable", &format!("it can't be read ({error}); name one with `build_id`"))
    })
}

/// The build that pages are told apart by, where they can outlive one.
pub(super) fn build_of(id: BuildId, is_kept: bool) -> Result<Option<String>, ConfigError> {
    match id {
        BuildId::Named(id) if id.is_empty() => {
            Err(malformed("build_id", &id, "it is empty; use BuildId::Ignore for none"))
        }
        BuildId::Named(id) => Ok(Some(id)),
        BuildId::Executable if is_kept => Ok(Some(executable_hash()?)),
        BuildId::Executable | BuildId::Ignore => Ok(None),
    }
}
