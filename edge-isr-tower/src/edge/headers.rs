//! What the doorman removes from requests, and what it takes back from answers.

use edge_isr_core::model::cache_control;
use edge_isr_core::model::cache_status::is_ours;
use edge_isr_core::model::page::keep_private;
use edge_isr_core::model::storable::is_targeted;
use http::header::{CACHE_CONTROL, FORWARDED, HeaderMap, HeaderName, SET_COOKIE};

/// Removes what only we may say, and what a client must not claim about itself: where it came from, which
/// URL or method it really means.
pub(crate) fn strip(headers: &mut HeaderMap, keep_forwarded: bool) {
    // One look at each name; nearly always there is nothing to remove.
    if !headers.keys().any(|name| is_forbidden(name, keep_forwarded)) {
        return;
    }
    let forbidden: Vec<HeaderName> =
        headers.keys().filter(|name| is_forbidden(name, keep_forwarded)).cloned().collect();
    for name in forbidden {
        headers.remove(name);
    }
}

#[inline]
fn is_forbidden(name: &HeaderName, keep_forwarded: bool) -> bool {
    if *name == FORWARDED {
        return !keep_forwarded;
    }
    // Header names are lower case.
    let Some(rest) = name.as_str().strip_prefix(['x']) else { return false };
    let Some(rest) = rest.strip_prefix(['-', '_']) else { return false };
    // CGI and its kin tell an application `-` and `_` as one; nearly no name has the second.
    if rest.as_bytes().contains(&b'_') {
        return is_forbidden_after_x(&rest.replace('_', "-"), keep_forwarded);
    }
    is_forbidden_after_x(rest, keep_forwarded)
}

#[inline]
fn is_forbidden_after_x(rest: &str, keep_forwarded: bool) -> bool {
    match rest {
        "original-url"
        | "rewrite-url"
        | "http-method-override"
        | "http-method"
        | "method-override"
        | "original-host"
        | "host" => true,
        _ if rest.starts_with("edge-isr-") => true,
        _ => !keep_forwarded && rest.starts_with("forwarded"),
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
    fn d01_underscores_in_a_name_are_dashes() {
        let left = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("a"));
            strip(&mut headers, false);
            headers.len()
        };
        for claim in ["x_forwarded_for", "x-forwarded_host", "x_original-url", "x_host", "x-edge_isr-a"] {
            assert_eq!(left(claim), 0, "{claim}");
        }
        for other in ["x_mine", "xforwarded-for", "x-hostess", "x_request_id"] {
            assert_eq!(left(other), 1, "{other}");
        }
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
