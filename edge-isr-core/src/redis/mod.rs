//! What the Redis backends share: how they connect, what their keys are called, what their errors mean.
//!
//! No command touches two keys that could lie in two slots, so that a cluster takes the same format.

mod names;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};

pub(crate) use self::names::Names;
pub(crate) use self::trouble::{is_called, trouble};
use crate::error::ConfigError;

/// What errors call it.
pub(crate) const REDIS: &str = "redis";

/// How long one command may take; a page is rendered in the meantime.
const COMMAND_WAIT: Duration = Duration::from_millis(250);
/// How long a connection may take to come about.
const CONNECT_WAIT: Duration = Duration::from_millis(250);
/// How often a connection is tried in a row; the next command tries again.
const CONNECT_TRIES: usize = 1;

/// A Redis server (7 or later, or Valkey 8) that several nodes share. Clones share one connection, which is made when it is
/// first needed and made again when it was lost: a server that is not there yet is no error.
///
/// Every key begins with `{edge-isr}` or the namespace of yours, so that applications don't meet.
///
/// # Examples
///
/// ```
/// use edge_isr_core::Redis;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let redis = Redis::open("redis://127.0.0.1:6379/2").unwrap().namespace("shop").unwrap();
/// assert!(Redis::open("http://127.0.0.1/").is_err());
/// assert!(redis.namespace("a{b}").is_err());
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    names: Names,
    seal_key: Option<Arc<[u8]>>,
}

impl Redis {
    /// A server by its URL: `redis://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// When the URL is none of a Redis server. The error does not repeat it: it may hold a password.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn open(url: &str) -> Result<Self, ConfigError> {
        let malformed = |error: redis::RedisError| ConfigError::Malformed {
            field: "redis",
            value: "…".to_owned(),
            reason: format!("write redis://host:port ({:?})", error.kind()),
        };
        let client = redis::Client::open(url).map_err(malformed)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(COMMAND_WAIT))
            .set_connection_timeout(Some(CONNECT_WAIT))
            .set_number_of_retries(CONNECT_TRIES);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(malformed)?;
        Ok(Self { connection, names: Names::default(), seal_key: None })
    }

    /// What all keys begin with, in place of `edge-isr`: 1 to 64 bytes without braces, spaces and control bytes.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn namespace(self, name: &str) -> Result<Self, ConfigError> {
        Ok(Self { names: Names::new(name)?, ..self })
    }

    /// Has pages sealed with this key, so that nobody else who can write to the server can make some.
    #[must_use]
    pub fn seal_key(self, key: &[u8]) -> Self {
        Self { seal_key: Some(key.into()), ..self }
    }

    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// What stored bytes are sealed with.
    pub(crate) fn sealed_with(&self) -> Option<&[u8]> {
        self.seal_key.as_deref()
    }
}

impl fmt::Debug for Redis {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("names", &self.names)
            .field("is_sealed", &self.seal_key.is_some())
            .finish_non_exhaustive()
    }
}
