//! The one answer to a POST that is a page (RFC 9110 §9.3.3).

use http::header::CONTENT_LOCATION;
use http::{Method, Uri, response};

use super::{Asked, Obeys, directives, terms};

/// Whether the answer to a POST of `target` (its absolute URI) is what a later GET would get: it says for how
/// long it is fresh, and that it is the representation of the target itself. [`terms`](super::terms()) must allow
/// storing it, too.
#[must_use]
pub fn is_stored_for_get(
    method: &Method,
    target: &Uri,
    parts: &response::Parts,
    asked: &Asked,
    obeys: &Obeys,
) -> bool {
    if *method != Method::POST || !parts.status.is_success() {
        return false;
    }
    let mut lines = parts.headers.get_all(CONTENT_LOCATION).iter();
    let (Some(location), None) = (lines.next(), lines.next()) else { return false };
    let is_target = location.to_str().is_ok_and(|location| names(location, target));
    let is_fresh = || {
        let directives = directives::of(&parts.headers, &obeys.targeted).ok()?;
        let fresh = terms::explicit(&parts.headers, &directives, asked)?;
        Some(!directives.no_cache && !fresh.is_zero())
    };
    is_target && is_fresh().unwrap_or_default()
}

/// Whether a reference names the target: as an absolute URI or as a path with its query, both as they stand in
/// the target. Another spelling is another URI: then nothing is stored, which is always right.
fn names(reference: &str, target: &Uri) -> bool {
    let path = target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if reference.starts_with('/') {
        // With two slashes it begins with a host.
        return reference == path && !reference.starts_with("//");
    }
    let Ok(reference) = reference.parse::<Uri>() else { return false };
    reference.scheme().is_some()
        && reference.scheme() == target.scheme()
        && reference.authority() == target.authority()
        && reference.path_and_query().map_or("/", http::uri::PathAndQuery::as_str) == path
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, asked};
    use super::*;

    const FRESH: (&str, &str) = ("cache-control", "max-age=9");

    fn is_stored(method: &Method, status: u16, fields: &[(&'static str, &str)]) -> bool {
        let target = Uri::from_static("http://example.com/a/b?c");
        is_stored_for_get(method, &target, &answer(status, fields), &asked(), &Obeys::default())
    }

    #[test]
    fn h21_a_post_is_stored_when_it_answers_for_its_own_url() {
        for location in ["/a/b?c", "http://example.com/a/b?c"] {
            assert!(is_stored(&Method::POST, 200, &[FRESH, ("content-location", location)]), "{location}");
        }
        let elsewhere = [
            "/a/b",
            "b?c",
            "//a/b?c",
            "https://example.com/a/b?c",
            "http://example.org/a/b?c",
            "http://example.com/",
            "",
            "\u{e9}",
        ];
        for location in elsewhere {
            assert!(!is_stored(&Method::POST, 200, &[FRESH, ("content-location", location)]), "{location}");
        }
        let target = Uri::from_static("http://example.com//a");
        let parts = answer(200, &[FRESH, ("content-location", "//a")]);
        assert!(!is_stored_for_get(&Method::POST, &target, &parts, &asked(), &Obeys::default()));
    }

    #[test]
    fn h21_no_other_method_and_not_without_explicit_freshness() {
        let own = ("content-location", "/a/b?c");
        assert!(!is_stored(&Method::PUT, 200, &[FRESH, own]));
        assert!(!is_stored(&Method::GET, 200, &[FRESH, own]));
        assert!(!is_stored(&Method::POST, 303, &[FRESH, own]));
        assert!(!is_stored(&Method::POST, 200, &[FRESH, own, own]));
        assert!(!is_stored(&Method::POST, 200, &[FRESH]));
        let modified = ("last-modified", "Sun, 06 Nov 1993 08:49:37 GMT");
        assert!(!is_stored(&Method::POST, 200, &[own, modified]));
        for line in ["max-age=0", "max-age=x", "no-cache, max-age=9", "public", "max-age=9 x"] {
            assert!(!is_stored(&Method::POST, 200, &[("cache-control", line), own]), "{line}");
        }
        let expires = ("expires", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert!(is_stored(&Method::POST, 200, &[expires, own]));
        assert!(!is_stored(&Method::POST, 200, &[("cache-control", "max-age=x"), expires, own]));
    }
}
