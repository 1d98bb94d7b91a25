//! Asking the origin whether a stale page is still right (RFC 9111 §4.3).

use std::time::SystemTime;

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};

use super::date;
use crate::model::storable::strip_hop_by_hop;

/// Whether there is something to ask the origin with.
pub(super) fn has_validator(headers: &HeaderMap, now: SystemTime) -> bool {
    etag(headers).is_some() || date::of(headers, &LAST_MODIFIED, now).is_some()
}

/// The one entity tag. An empty field or two of them are none.
fn etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(ETAG).iter();
    let first = lines.next().filter(|line| !line.is_empty())?;
    lines.next().is_none().then_some(first)
}

/// Makes a request ask whether the stored answer is still right, in place of the conditions of its own.
pub fn conditions(stored: &HeaderMap, request: &mut HeaderMap) {
    for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE] {
        request.remove(name);
    }
    // As they came, byte for byte: the origin compares them with its own.
    if let Some(etag) = etag(stored) {
        request.insert(IF_NONE_MATCH, etag.clone());
    }
    if let Some(modified) = stored.get(LAST_MODIFIED) {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
}

/// Whether a 304 speaks of the stored answer (RFC 9111 §4.3.4): what it names is what was asked for. Compared
/// weakly, since servers that compress weaken the tag of the answer and not that of the 304.
#[must_use]
pub fn is_about(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    let opaque = |tag: &HeaderValue| tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes()).to_vec();
    match (etag(stored), etag(not_modified)) {
        (Some(ours), Some(theirs)) => opaque(ours) == opaque(theirs),
        _ => match (stored.get(LAST_MODIFIED), not_modified.get(LAST_MODIFIED)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        },
    }
}

/// The stored fields after a 304 (RFC 9111 §3.2): what it has replaces, what it omits stays.
#[must_use]
pub fn merged(mut stored: HeaderMap, not_modified: &HeaderMap) -> HeaderMap {
    let mut update = not_modified.clone();
    strip_hop_by_hop(&mut update);
    // They describe the stored bytes, which stay. Of the tag only a weaker or a stronger form could come.
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE] {
        update.remove(name);
    }
    if stored.contains_key(ETAG) {
        update.remove(ETAG);
    }
    // They tell the age of the answer they came with, and this one is newer (RFC 9111 §4.2.3).
    for name in [AGE, DATE] {
        stored.remove(name);
    }
    for name in update.keys() {
        stored.remove(name);
    }
    let mut last = None;
    for (name, value) in update {
        last = name.or(last);
        if let Some(name) = &last {
            stored.append(name, value);
        }
    }
    stored
}
