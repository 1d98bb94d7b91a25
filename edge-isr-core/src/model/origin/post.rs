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
    let explicit = || {
        let directives = directives::of(&parts.headers, &obeys.targeted).ok()?;
        terms::explicit(&parts.headers, &directives, asked)
    };
    is_target && explicit().is_some_and(|fresh| !fresh.is_zero())
}

/// Whether a reference names the target: as an absolute URI or as a path with its query, both as they stand in
/// the target. Another spelling is another URI: then nothing is stored, which is always right.
fn names(reference: &str, target: &Uri) -> bool {
    let path = target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if reference.starts_with('/') {
        return reference == path;
    }
    let Ok(reference) = reference.parse::<Uri>() else { return false };
    reference.scheme().is_some()
        && reference.scheme() == target.scheme()
        && reference.authority() == target.authority()
        && reference.path_and_query().map_or("/", http::uri::PathAndQuery::as_str) == path
}
