//! Conditional and range requests, answered from a stored complete page (RFC 9110 §13 and §14).
//!
//! The render never sees these headers. What is malformed never matches and never fails a request.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::origin::date;

/// What of a page to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    Whole,
    /// The head, with the length the body would have.
    HeadOnly,
    /// 304.
    NotModified,
    /// 206 with these bytes.
    Part(Range<usize>),
    /// 416.
    Unsatisfiable,
}

impl Selection {
    /// What a request without conditions and ranges wants.
    #[must_use]
    #[inline]
    pub const fn unconditional(is_head: bool) -> Self {
        if is_head { Self::HeadOnly } else { Self::Whole }
    }
}

/// What a page offers to be compared with.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'a> {
    /// The entity tag, with its quotes.
    pub etag: Option<&'a [u8]>,
    /// The `Last-Modified` date.
    pub last_modified: Option<&'a [u8]>,
    /// How long the body is.
    pub len: usize,
    /// Whether the page's status is one of success: others answer no conditions (RFC 9110 §13.2.1).
    pub is_success: bool,
    /// Whether it is 200, the only one with ranges.
    pub ok: bool,
}

/// Selects by the request's headers, in the order of RFC 9110 §13.2.2.
#[must_use]
pub fn select(headers: &HeaderMap, is_head: bool, page: &Validators<'_>) -> Selection {
    let whole = Selection::unconditional(is_head);
    if !page.is_success {
        return whole;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if headers.get_all(IF_NONE_MATCH).iter().any(|line| any_matches(line.as_bytes(), page.etag)) {
            return Selection::NotModified;
        }
    } else if let Some(since) = alone(headers, &IF_MODIFIED_SINCE)
        && page.last_modified.is_some_and(|modified| is_unmodified(modified, since))
    {
        return Selection::NotModified;
    }
    match alone(headers, &RANGE) {
        // RFC 9110 §14.2: only GET has ranges.
        Some(range) if page.ok && !is_head && if_range(headers, page) => {
            self::range(range, page.len).unwrap_or(whole)
        }
        _ => whole,
    }
}

/// The value of a header that is no list, so that two lines of it are malformed.
fn alone<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first.as_bytes())
}

/// Weak comparison against a list of entity tags or `*` (RFC 9110 §8.8.3.2).
fn any_matches(line: &[u8], etag: Option<&[u8]>) -> bool {
    let Some(etag) = etag else { return line.trim_ascii() == b"*" };
    if line == etag {
        return true;
    }
    let opaque = etag.strip_prefix(b"W/").unwrap_or(etag);
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while let Some((tag, after)) = next_tag(rest) {
        if tag == opaque {
            return true;
        }
        rest = after;
    }
    false
}

/// The next opaque tag with its quotes, and what follows its comma. `None` at the end or at the first thing
/// that is no tag.
fn next_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let tag = &list[start..];
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let inside = tag.strip_prefix(b"\"")?;
    let end = inside.iter().position(|&byte| byte == b'"')?;
    let after = inside[end + 1..].trim_ascii_start();
    matches!(after, [] | [b',', ..]).then(|| (&tag[..end + 2], after))
}

/// RFC 9110 §13.1.5: the range counts only for the very page the client has a part of.
fn if_range(headers: &HeaderMap, page: &Validators<'_>) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(condition) = alone(headers, &IF_RANGE) else { return false };
    if condition.starts_with(b"\"") {
        return page.etag == Some(condition);
    }
    !condition.starts_with(b"W/") && page.last_modified == Some(condition)
}

/// One range in any of its three forms; `None` for several, other units or nonsense: the whole answers those.
fn range(value: &[u8], len: usize) -> Option<Selection> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let (unit, spec) = text.split_once('=')?;
    let (first, last) = spec.trim_ascii().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| match text {
        "" => Some(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(text.parse().unwrap_or(usize::MAX))),
        _ => None,
    };
    let part = match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(suffix)) => len.saturating_sub(suffix)..len,
        (Some(first), None) => first..len,
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(len),
    };
    Some(if part.is_empty() || part.start >= len { Selection::Unsatisfiable } else { Selection::Part(part) })
}

/// Whether a page that was modified then is what the client has from that date (RFC 9110 §13.1.3).
fn is_unmodified(modified: &[u8], since: &[u8]) -> bool {
    matches!((read(modified), read(since)), (Some(modified), Some(since)) if modified <= since)
}

fn read(value: &[u8]) -> Option<SystemTime> {
    // Mid-2019: the two digits of the obsolete form are then a year from 1970 to 2069.
    const FIFTY_YEARS_BEFORE: Duration = Duration::from_secs(1_562_000_000);
    date::read(value, SystemTime::UNIX_EPOCH + FIFTY_YEARS_BEFORE)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask(headers: &[(HeaderName, &'static str)], is_head: bool) -> Selection {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        let page = Validators {
            etag: Some(b"\"abc\""),
            last_modified: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
            len: 10,
            is_success: true,
            ok: true,
        };
        select(&map, is_head, &page)
    }

    #[test]
    fn if_none_match_compares_weakly_and_reads_lists() {
        for matching in
            ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "\"x\",W/\"abc\" , \"y\"", "*", " \"a,b\" , \"abc\""]
        {
            assert_eq!(ask(&[(IF_NONE_MATCH, matching)], false), Selection::NotModified, "{matching}");
        }
        for other in
            ["\"abd\"", "abc", "\"abc", "\"x\" abc", "", ",", "W/", "\"x\", abc, \"abc", "\"x\"\"abc\""]
        {
            assert_eq!(ask(&[(IF_NONE_MATCH, other)], false), Selection::Whole, "{other}");
        }
    }

    #[test]
    fn if_none_match_beats_if_modified_since() {
        let later = (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 09:00:00 GMT");
        assert_eq!(ask(std::slice::from_ref(&later), true), Selection::NotModified);
        assert_eq!(ask(&[later, (IF_NONE_MATCH, "\"x\"")], true), Selection::HeadOnly);
        assert_eq!(ask(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:00:00 GMT")], false), Selection::Whole);
        assert_eq!(ask(&[(IF_MODIFIED_SINCE, "yesterday")], false), Selection::Whole);
        let later = (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 09:00:00 GMT");
        assert_eq!(ask(&[later, (IF_MODIFIED_SINCE, "yesterday")], false), Selection::Whole);
    }

    #[test]
    fn d15_single_ranges_in_three_forms() {
        for (range, expected) in [
            ("bytes=0-0", Selection::Part(0..1)),
            ("bytes=2-", Selection::Part(2..10)),
            ("bytes=-3", Selection::Part(7..10)),
            ("bytes=5-99", Selection::Part(5..10)),
            ("bytes=-99", Selection::Part(0..10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=0-1,3-4", Selection::Whole),
            ("bytes=3-2", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("lines=0-1", Selection::Whole),
            ("bytes=99999999999999999999-", Selection::Unsatisfiable),
        ] {
            assert_eq!(ask(&[(RANGE, range)], false), expected, "{range}");
        }
        assert_eq!(ask(&[(RANGE, "bytes=0-0")], true), Selection::HeadOnly);
        assert_eq!(ask(&[(RANGE, "bytes=0-0"), (IF_RANGE, "\"abc\"")], false), Selection::Part(0..1));
        assert_eq!(ask(&[(RANGE, "bytes=0-0"), (IF_RANGE, "W/\"abc\"")], false), Selection::Whole);
        assert_eq!(ask(&[(RANGE, "bytes=0-0"), (IF_RANGE, "\"old\"")], false), Selection::Whole);
        assert_eq!(ask(&[(RANGE, "bytes=0-0"), (RANGE, "bytes=2-3")], false), Selection::Whole);
        let two = [(RANGE, "bytes=0-0"), (IF_RANGE, "\"abc\""), (IF_RANGE, "\"old\"")];
        assert_eq!(ask(&two, false), Selection::Whole);
    }
}
