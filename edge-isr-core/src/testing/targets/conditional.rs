//! Conditional and range requests.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::{lines, trim};
use crate::model::conditional::{Selection, Validators, select};
use crate::model::origin::date;

const ETAG: &[u8] = b"\"abc\"";
const MODIFIED: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const LEN: usize = 1000;

/// Each line of the input is a header: `n` `If-None-Match`, `s` `If-Modified-Since`, `r` `Range`, `i` `If-Range`,
/// then its value. What is selected must follow from the grammars of RFC 9110, and what is malformed never matches.
///
/// # Panics
///
/// When it does not.
pub fn conditional(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines(input).take(16) {
        let (name, value): (HeaderName, _) = match line {
            [b'n', value @ ..] => (IF_NONE_MATCH, value),
            [b's', value @ ..] => (IF_MODIFIED_SINCE, value),
            [b'r', value @ ..] => (RANGE, value),
            [b'i', value @ ..] => (IF_RANGE, value),
            _ => continue,
        };
        // As hyper hands it over: without white space around it.
        if let Ok(value) = HeaderValue::from_bytes(trim(value)) {
            headers.append(name, value);
        }
    }
    for etag in [Some(ETAG), Some(&b"W/\"abc\""[..]), None] {
        let page = Validators { etag, last_modified: Some(MODIFIED), len: LEN, is_success: true, ok: true };
        judge(&headers, &page);
    }
}

fn judge(headers: &HeaderMap, page: &Validators<'_>) {
    let (get, head) = (select(headers, false, page), select(headers, true, page));
    let is_known = is_known(headers, page);
    assert_eq!(get == Selection::NotModified, is_known, "{headers:?}");
    let part = if is_known { Selection::NotModified } else { part(headers, page) };
    assert_eq!(get, part, "{headers:?}");
    assert_eq!(head, if is_known { Selection::NotModified } else { Selection::HeadOnly }, "{headers:?}");
    let other = Validators { ok: false, ..*page };
    let expected = if is_known { Selection::NotModified } else { Selection::Whole };
    assert_eq!(select(headers, false, &other), expected, "only a page with status 200 has ranges");
    let failed = Validators { is_success: false, ..other };
    assert_eq!(select(headers, false, &failed), Selection::Whole, "only a success has conditions");
}

/// RFC 9110 §13.1.2 and §13.1.3.
fn is_known(headers: &HeaderMap, page: &Validators<'_>) -> bool {
    let opaque = page.etag.map(|etag| etag.strip_prefix(b"W/").unwrap_or(etag));
    if headers.contains_key(IF_NONE_MATCH) {
        let mut lines = headers.get_all(IF_NONE_MATCH).iter();
        return lines.any(|line| {
            trim(line.as_bytes()) == b"*"
                || tags(line.as_bytes()).iter().any(|tag| opaque.is_some_and(|opaque| *tag == opaque))
        });
    }
    one(headers, &IF_MODIFIED_SINCE).and_then(date).is_some_and(|since| date(MODIFIED) <= Some(since))
}

/// The opaque tags of a list up to the first thing that is none: commas stand between them and may stand in them.
fn tags(line: &[u8]) -> Vec<&[u8]> {
    let mut tags = Vec::new();
    let mut rest = trim(line);
    loop {
        while let [b',', after @ ..] = rest {
            rest = trim(after);
        }
        let tag = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(end) = tag.iter().skip(1).position(|&byte| byte == b'"') else { return tags };
        let (tag, after) = tag.split_at(end + 2);
        let after = trim(after);
        if tag[0] != b'"' || !matches!(after, [] | [b',', ..]) {
            return tags;
        }
        tags.push(tag);
        rest = after;
    }
}

/// RFC 9110 §13.1.5 and §14.1.2, on one range.
fn part(headers: &HeaderMap, page: &Validators<'_>) -> Selection {
    let counts = !headers.contains_key(IF_RANGE)
        || one(headers, &IF_RANGE).is_some_and(|condition| match condition {
            [b'"', ..] => page.etag == Some(condition),
            [b'W', b'/', ..] => false,
            _ => condition == MODIFIED,
        });
    let range = one(headers, &RANGE).filter(|_| counts).and_then(positions);
    match range {
        None => Selection::Whole,
        Some((None, None)) => Selection::Whole,
        Some((Some(first), Some(last))) if last < first => Selection::Whole,
        Some((Some(first), _)) if first >= LEN as u128 => Selection::Unsatisfiable,
        Some((None, Some(0))) => Selection::Unsatisfiable,
        Some((None, Some(suffix))) => Selection::Part((LEN as u128).saturating_sub(suffix) as usize..LEN),
        Some((Some(first), last)) => {
            let end = last.map_or(LEN as u128, |last| (last + 1).min(LEN as u128));
            Selection::Part(first as usize..end as usize)
        }
    }
}

type Positions = (Option<u128>, Option<u128>);

/// `bytes=first-last` with either left out; positions past what a machine counts are all the same.
fn positions(value: &[u8]) -> Option<Positions> {
    let equals = value.iter().position(|&byte| byte == b'=')?;
    if !value[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let spec = trim(&value[equals + 1..]);
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u128, |sum, digit| {
            digit.is_ascii_digit().then(|| (sum * 10 + u128::from(digit - b'0')).min(usize::MAX as u128))
        })
    };
    let optional = |digits: &[u8]| Some(if digits.is_empty() { None } else { Some(number(digits)?) });
    Some((optional(&spec[..dash])?, optional(&spec[dash + 1..])?))
}

/// The value of a header that stands on one line only.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first.as_bytes())
}

fn date(value: &[u8]) -> Option<std::time::SystemTime> {
    // A target of its own judges how dates are read.
    date::read(value, std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_562_000_000))
}
