//! What the doorman removes from requests, and what it takes back from answers.

use edge_isr_core::model::cache_control;
use edge_isr_core::model::cache_status::is_ours;
use edge_isr_core::model::claims::is_claim;
use edge_isr_core::model::page::keep_private;
use edge_isr_core::model::storable::is_targeted;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, SET_COOKIE};

/// Removes what only we may say, and what a client must not claim about itself: where it came from, which
/// URL or method it really means.
pub(crate) fn strip(headers: &mut HeaderMap, keep_forwarded: bool) {
    // One look at each name; nearly always there is nothing to remove.
    if !headers.keys().any(|name| is_claim(name, keep_forwarded)) {
        return;
    }
    let claimed: Vec<HeaderName> =
        headers.keys().filter(|name| is_claim(name, keep_forwarded)).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
}

/// Something outside the page's layer added a cookie or said `private`: then the answer is for one visitor,
/// whatever the page said before.
#[inline]
pub(super) fn take_back(headers: &mut HeaderMap, name: &str) {
    if !headers.contains_key(SET_COOKIE) && !says_private(headers) {
        return;
    }
    if is_private_page(headers) {
        return;
    }
    if is_ours(headers, name) {
        keep_private(headers);
    }
}

/// A page whose own layer keeps it from shared caches, as it is for computed dimensions: browsers may hold on
/// to it and ask.
fn is_private_page(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CACHE_CONTROL).iter();
    let ours = lines.next().is_some_and(|line| line.as_bytes().starts_with(b"private, max-age="));
    ours && lines.next().is_none() && !headers.contains_key(SET_COOKIE) && !headers.keys().any(is_targeted)
}

#[inline]
fn says_private(headers: &HeaderMap) -> bool {
    if !headers.get_all(CACHE_CONTROL).iter().any(|line| has_word(line.as_bytes())) {
        return false;
    }
    let found = cache_control::of(headers);
    // What stands behind a fault isn't read, and may be the word.
    found.private || found.malformed
}

/// Whether `private` stands anywhere in the line, also as part of something else.
#[inline]
fn has_word(line: &[u8]) -> bool {
    // A page's own line begins so, as nearly all do.
    let rest = line.strip_prefix(b"public, max-age=").unwrap_or(line);
    rest.windows(7).any(|part| part.eq_ignore_ascii_case(b"private"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// What `Cache-Control` says once a page's answer has passed something that added `line`.
    fn after(line: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, s-maxage=60"));
        headers.insert("cache-status", HeaderValue::from_static("edge-isr; hit"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        take_back(&mut headers, "edge-isr");
        let lines = headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap());
        lines.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn p29_private_from_outside_counts_also_behind_a_fault() {
        for line in ["private", "PRIVATE=\"x\"", "a b, private", "=1, Private", "x=\"private"] {
            assert_eq!(after(line), "private, no-store", "{line:?}");
        }
        for line in ["no-transform", "a b", "x=\"private\"", "max-age=0, x=unprivate"] {
            assert_eq!(after(line), format!("public, max-age=0, s-maxage=60 | {line}"));
        }
    }
}
