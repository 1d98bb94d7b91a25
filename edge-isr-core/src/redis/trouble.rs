//! What the server's errors mean to the engine.

use redis::{ErrorKind, RedisError};

use super::REDIS;
use crate::error::Error;

/// What a person has to change: the password, the user's rights, the keys of somebody else under our names.
const LASTING: [&str; 6] = ["ERR", "NOAUTH", "NOPERM", "WRONGPASS", "WRONGTYPE", "DENIED"];

/// Whether the first thing that went wrong is called one of these.
pub(crate) fn is_called(error: &RedisError, names: &[&str]) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.first().is_some_and(|(_, error)| names.contains(&error.code())))
}

/// An error of ours. What a person has to change is told from what passes.
pub(crate) fn trouble(error: RedisError) -> Error {
    let is_lasting = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
        || is_called(&error, &LASTING);
    let source = error.into();
    if is_lasting {
        Error::Rejected { backend: REDIS, source }
    } else {
        Error::Unavailable { backend: REDIS, queued: false, source }
    }
}
