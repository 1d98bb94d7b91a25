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

/// Whether the stored answer has something to ask the origin with.
#[must_use]
pub fn is_possible(stored: &HeaderMap) -> bool {
    etag(stored).is_some() || stored.contains_key(LAST_MODIFIED)
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

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, now};
    use super::*;

    const MODIFIED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:00:00 GMT");

    fn asked_with(stored: &[(&'static str, &str)], request: &[(&'static str, &str)]) -> HeaderMap {
        let mut request = headers(request);
        conditions(&headers(stored), &mut request);
        request
    }

    #[test]
    fn h09_the_origin_is_asked_with_what_it_gave() {
        for etag in ["\"a\"", "W/\"a\"", "unquoted"] {
            let expected = headers(&[("if-none-match", etag)]);
            assert_eq!(asked_with(&[("etag", etag)], &[]), expected);
        }
        let both = headers(&[("if-none-match", "\"a\""), ("if-modified-since", MODIFIED.1)]);
        assert_eq!(asked_with(&[("etag", "\"a\""), MODIFIED], &[]), both);
        let others = [
            ("if-match", "\"z\""),
            ("if-none-match", "\"y\""),
            ("if-none-match", "\"z\""),
            ("if-modified-since", "x"),
            ("if-unmodified-since", "x"),
            ("if-range", "\"z\""),
            ("accept", "x"),
        ];
        assert_eq!(asked_with(&[], &others), headers(&[("accept", "x")]), "no condition of a visitor's");
        assert_eq!(asked_with(&[("etag", "\"a\""), ("etag", "\"b\"")], &[]), headers(&[]));
    }

    #[test]
    fn h09_a_validator_is_a_tag_or_a_date() {
        for (fields, expected) in [
            (&[][..], false),
            (&[("etag", "\"a\"")], true),
            (&[("etag", "")], false),
            (&[("etag", "\"a\""), ("etag", "\"b\"")], false),
            (&[MODIFIED], true),
            (&[("last-modified", "yesterday")], false),
        ] {
            assert_eq!(has_validator(&headers(fields), now()), expected, "{fields:?}");
        }
    }

    #[test]
    fn h09_a_304_is_about_what_it_names() {
        let later = ("last-modified", "Sun, 06 Nov 1994 08:00:01 GMT");
        for (stored, not_modified, expected) in [
            (&[("etag", "\"a\"")][..], &[("etag", "\"a\"")][..], true),
            (&[("etag", "W/\"a\"")], &[("etag", "\"a\"")], true),
            (&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], true),
            (&[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
            (&[("etag", "\"a\""), MODIFIED], &[("etag", "\"b\""), MODIFIED], false),
            (&[("etag", "\"a\""), MODIFIED], &[("etag", "\"a\""), later], true),
            (&[("etag", "\"a\""), MODIFIED], &[later], false),
            (&[("etag", "\"a\""), MODIFIED], &[], true),
            (&[MODIFIED], &[MODIFIED], true),
            (&[MODIFIED], &[later], false),
            (&[MODIFIED], &[("etag", "\"a\"")], true),
        ] {
            let found = is_about(&headers(stored), &headers(not_modified));
            assert_eq!(found, expected, "{stored:?} {not_modified:?}");
        }
    }

    #[test]
    fn h09_a_304_replaces_what_it_has_and_keeps_what_it_omits() {
        let stored = headers(&[
            ("date", "Sun, 06 Nov 1994 08:00:00 GMT"),
            ("age", "7"),
            ("etag", "W/\"a\""),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("content-type", "text/html"),
            ("cache-control", "max-age=1"),
            ("link", "<a>"),
            ("link", "<b>"),
            ("x-kept", "1"),
            ("x-kept", "2"),
        ]);
        let update = headers(&[
            ("date", "Sun, 06 Nov 1994 09:00:00 GMT"),
            ("etag", "\"a\""),
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1/2"),
            ("cache-control", "max-age=2"),
            ("link", "<c>"),
            ("link", "<d>"),
            ("connection", "x-kept, close"),
            ("x-kept", "3"),
            ("transfer-encoding", "chunked"),
            ("x-new", "1"),
        ]);
        let expected = headers(&[
            ("date", "Sun, 06 Nov 1994 09:00:00 GMT"),
            ("etag", "W/\"a\""),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("content-type", "text/html"),
            ("cache-control", "max-age=2"),
            ("link", "<c>"),
            ("link", "<d>"),
            ("x-kept", "1"),
            ("x-kept", "2"),
            ("x-new", "1"),
        ]);
        assert_eq!(merged(stored, &update), expected);
    }

    #[test]
    fn h09_the_age_of_the_old_answer_is_not_that_of_the_new_one() {
        let stored = headers(&[("date", "Sun, 06 Nov 1994 08:00:00 GMT"), ("age", "7"), MODIFIED]);
        assert_eq!(merged(stored.clone(), &headers(&[])), headers(&[MODIFIED]));
        let update = headers(&[("age", "1"), ("etag", "\"a\"")]);
        assert_eq!(merged(stored, &update), headers(&[MODIFIED, ("age", "1"), ("etag", "\"a\"")]));
    }
}
