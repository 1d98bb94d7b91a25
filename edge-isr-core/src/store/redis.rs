//! Pages on a Redis server: one string each, that ends with the page's life.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Script, pipe};

use super::format::{Format, FormatError, HEADER_BYTES, Kept};
use super::{PageStore, Put};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::key::CacheKey;
use crate::model::page::Page;
use crate::redis::{REDIS, Redis, is_called, trouble};

/// Writes a page unless one from a later snapshot stands there.
static STORE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("store.lua")));

/// How long a page is kept beyond its life.
const MORE: Duration = Duration::from_secs(60);
/// The longest that a server is asked to keep one, some 142,000 years: it adds the time of day, in 63 bits.
const MOST_MILLIS: u64 = 1 << 52;
/// A body above this is not sent through a script, which copies it: two trips are cheaper then.
const MOST_IN_SCRIPT_BYTES: usize = 4 << 10;

/// Pages on a Redis server that several nodes share.
///
/// A page is kept until its lifetime and its stale windows have passed, and for a minute more, in which its origin may say
/// that it is unchanged. Its age goes by the server's own clock: nodes need
/// not agree on the time of day.
pub struct RedisPages {
    redis: Redis,
    format: Format,
    clock: Arc<dyn Clock>,
    build: Box<str>,
}

impl RedisPages {
    /// The pages of one build of the application: those of others are under other names.
    #[must_use]
    pub fn new(redis: &Redis, clock: Arc<dyn Clock>, build: &str) -> Self {
        let format = redis.sealed_with().map_or_else(Format::new, Format::sealed);
        Self { redis: redis.clone(), format, clock, build: build.into() }
    }

    fn name(&self, key: &CacheKey) -> String {
        self.redis.names().page(&key.digest(&self.build))
    }

    async fn put_in_script(&self, name: &str, bytes: &[u8], millis: u64) -> redis::RedisResult<bool> {
        let mut script = STORE.key(name);
        script.arg(bytes).arg(millis).invoke_async(&mut self.redis.connection()).await
    }

    /// The gap between the trips can only let an older page win for a moment: it is judged when it is read.
    async fn put_in_two_trips(&self, name: &str, bytes: &[u8], millis: u64) -> redis::RedisResult<bool> {
        let mut connection = self.redis.connection();
        let header = redis::cmd("GETRANGE").arg(name).arg(0).arg(HEADER_BYTES - 1).take();
        // What is no page of ours is written over.
        let old: Vec<u8> = match header.query_async(&mut connection).await {
            Err(error) if is_called(&error, &["WRONGTYPE"]) => Vec::new(),
            old => old?,
        };
        if Format::is_outrun(bytes, &old) {
            return Ok(false);
        }
        let set = redis::cmd("SET").arg(name).arg(bytes).arg("PX").arg(millis).take();
        set.query_async::<()>(&mut connection).await.map(|()| true)
    }
}

#[async_trait]
impl PageStore for RedisPages {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        let name = self.name(key);
        let mut both = pipe();
        both.cmd("GET").arg(&name).cmd("PTTL").arg(&name);
        let now = self.clock.now();
        let (bytes, left): (Option<Bytes>, i64) =
            both.query_async(&mut self.redis.connection()).await.map_err(trouble)?;
        // It ended between the two, or never ends, which no page of ours does.
        let (Some(bytes), Ok(left)) = (bytes, u64::try_from(left)) else { return Ok(None) };
        let kept = Kept::Left { left: Duration::from_millis(left), more: MORE };
        match self.format.read(key, &bytes, kept, now) {
            Ok(page) => Ok(Some(Arc::new(page))),
            Err(FormatError::OtherKey | FormatError::Newer) => Ok(None),
            Err(error) => Err(Error::Corrupt { backend: REDIS, what: "page", source: error.into() }),
        }
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        let now = self.clock.now();
        let left = page.lifetime().total().saturating_sub(page.age(now)).saturating_add(MORE);
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(MOST_MILLIS);
        let (name, bytes) = (self.name(key), self.format.write(key, &page, now, 0));
        let put = if bytes.len() > MOST_IN_SCRIPT_BYTES {
            self.put_in_two_trips(&name, &bytes, millis).await
        } else {
            self.put_in_script(&name, &bytes, millis).await
        };
        match put {
            Ok(true) => Ok(Put::Kept),
            Ok(false) => Ok(Put::Outrun),
            Err(error) if is_called(&error, &["OOM"]) => Ok(Put::Refused),
            Err(error) => Err(trouble(error)),
        }
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        // One command a key: they lie in slots of their own.
        let mut all = pipe();
        for key in keys {
            all.cmd("UNLINK").arg(self.name(key)).ignore();
        }
        all.query_async(&mut self.redis.connection()).await.map_err(trouble)
    }
}

impl fmt::Debug for RedisPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPages").field("redis", &self.redis).finish_non_exhaustive()
    }
}
