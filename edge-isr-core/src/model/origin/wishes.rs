//! What a request's `Cache-Control` asks of a cache that honours it (RFC 9111 §5.2.1).

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, PRAGMA};

use super::age;
use crate::model::cache_control::read_line;
use crate::model::lifetime::Lifetime;

/// The directives of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Validate before reuse.
    pub no_cache: bool,
    /// Store neither the request nor its answer.
    pub no_store: bool,
    /// The greatest age of the answer.
    pub max_age: Option<Duration>,
    /// For how long the answer must still be fresh.
    pub min_fresh: Option<Duration>,
    /// For how long it may have been stale.
    pub max_stale: Option<Duration>,
    /// 504 unless a page serves.
    pub only_if_cached: bool,
}

/// Reads a request's `Cache-Control`, or `Pragma` where there is none (RFC 9111 §5.4).
///
/// A malformed or second value is the one that reuses less. A line ends for us where it can't be read: nobody
/// asked for anything there.
#[must_use]
pub fn of(headers: &HeaderMap) -> Wishes {
    let mut wishes = Wishes::default();
    for line in headers.get_all(CACHE_CONTROL) {
        let _ = read_line(line.as_bytes(), |name, argument| wishes.note(name, argument));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        for line in headers.get_all(PRAGMA) {
            let _ = read_line(line.as_bytes(), |name, _| {
                wishes.no_cache |= name.eq_ignore_ascii_case(b"no-cache");
            });
        }
    }
    wishes
}

impl Wishes {
    fn note(&mut self, name: &[u8], argument: Option<&[u8]>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let seconds = argument.and_then(age::seconds);
        if is("no-cache") {
            self.no_cache = true;
        } else if is("no-store") {
            self.no_store = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            let seconds = seconds.unwrap_or_default();
            self.max_age = Some(self.max_age.map_or(seconds, |said| said.min(seconds)));
        } else if is("min-fresh") {
            self.min_fresh = self.min_fresh.max(Some(seconds.unwrap_or(Lifetime::LONGEST)));
        } else if is("max-stale") {
            // Without a value: however stale.
            let seconds = argument.map_or(Lifetime::LONGEST, |_| seconds.unwrap_or_default());
            self.max_stale = Some(self.max_stale.map_or(seconds, |said| said.min(seconds)));
        }
    }
}
