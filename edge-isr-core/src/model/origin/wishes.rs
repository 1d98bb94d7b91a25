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

#[cfg(test)]
mod tests {
    use super::super::tests::headers;
    use super::*;

    fn seconds(fields: &[(&'static str, &str)]) -> (Option<u64>, Option<u64>, Option<u64>) {
        let Wishes { max_age, min_fresh, max_stale, .. } = of(&headers(fields));
        let seconds = |wish: Option<Duration>| wish.map(|wish| wish.as_secs());
        (seconds(max_age), seconds(min_fresh), seconds(max_stale))
    }

    #[test]
    fn h16_numbers_go_towards_less_reuse() {
        let most = Some(2_147_483_647);
        for (line, expected) in [
            ("", (None, None, None)),
            ("max-age=5, min-fresh=\"6\", Max-Stale=7", (Some(5), Some(6), Some(7))),
            ("max-stale", (None, None, most)),
            ("max-stale=99999999999999999999", (None, None, most)),
            ("max-age=5, max-age=3", (Some(3), None, None)),
            ("min-fresh=5, min-fresh=3", (None, Some(5), None)),
            ("max-stale=5, max-stale=3, max-stale", (None, None, Some(3))),
            ("max-age=x", (Some(0), None, None)),
            ("max-age", (Some(0), None, None)),
            ("min-fresh=-1", (None, most, None)),
            ("max-stale=1.5", (None, None, Some(0))),
            ("x=\"max-age=5\"", (None, None, None)),
            ("max-age=5 x, max-age=3", (Some(5), None, None)),
        ] {
            assert_eq!(seconds(&[("cache-control", line)]), expected, "{line}");
        }
        assert_eq!(seconds(&[("cache-control", "max-age=5"), ("cache-control", "max-age=3")]).0, Some(3));
    }

    #[test]
    fn h16_words_are_whole_and_pragma_counts_alone() {
        let flags = |fields: &[(&'static str, &str)]| {
            let wishes = of(&headers(fields));
            [wishes.no_cache, wishes.no_store, wishes.only_if_cached]
        };
        assert_eq!(flags(&[("cache-control", "No-Cache, no-store, only-if-cached")]), [true; 3]);
        assert_eq!(flags(&[("cache-control", "no-cache=\"x\"")]), [true, false, false]);
        assert_eq!(flags(&[("cache-control", "no-cached, x-no-cache, foo")]), [false; 3]);
        assert_eq!(flags(&[("pragma", "no-cache")]), [true, false, false]);
        assert_eq!(flags(&[("pragma", "no-store, x=no-cache")]), [false; 3]);
        assert_eq!(flags(&[("pragma", "no-cache"), ("cache-control", "max-age=9")]), [false; 3]);
    }
}
