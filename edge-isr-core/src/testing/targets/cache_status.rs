//! `Cache-Status`, written and read.

use http::header::{HeaderMap, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

use super::lines;
use crate::Reason;
use crate::model::cache_status::{CACHE_STATUS, CacheStatus, Forward, is_ours};

/// Each line of the input is a line of the field. Whether its last member is ours is known as `sfv` knows it from
/// all lines joined; in doubt it is ours. The input as a debug text stays inside its parameter.
///
/// # Panics
///
/// When it is not.
pub fn cache_status(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines(input).take(16) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(CACHE_STATUS, value);
        }
    }
    ours(&headers);
    written(input);
}

fn ours(headers: &HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(CACHE_STATUS).iter().map(HeaderValue::as_bytes).collect();
    let found = is_ours(headers, "edge-isr");
    let Some(last) = all.last() else { return assert!(!found, "there is none") };
    match last_is_ours(&all.join(&b", "[..])) {
        Some(true) => assert!(found, "ours and not known: {headers:?}"),
        Some(false) if last_is_ours(last).is_some() => assert!(!found, "another's: {headers:?}"),
        Some(false) => {}
        // What can't be read is in doubt, unless its last line can be read and ends in another's.
        None => assert!(found || last_is_ours(last) == Some(false), "in doubt: {headers:?}"),
    }
    // Whatever stood there: what we add is ours.
    let mut headers = headers.clone();
    headers.append(CACHE_STATUS, CacheStatus::default().to_value("edge-isr"));
    assert!(is_ours(&headers, "edge-isr") && !is_ours(&headers, "edge-isr2"), "{headers:?}");
}

/// `None` for what is no list, and for an empty one.
fn last_is_ours(field: &[u8]) -> Option<bool> {
    let members: List = Parser::new(field).parse().ok()?;
    Some(match members.last()? {
        ListEntry::Item(item) => item.bare_item.as_token().is_some_and(|token| token.as_str() == "edge-isr"),
        ListEntry::InnerList(_) => false,
    })
}

fn written(input: &[u8]) {
    let text = std::str::from_utf8(input).unwrap_or("");
    let number = input.iter().fold(0_u64, |sum, &byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
    let status = CacheStatus {
        forward: (number & 1 == 1).then_some(Forward::UriMiss),
        status: (number & 2 == 2).then_some(200),
        ttl: (number & 4 == 4).then_some(number.cast_signed()),
        stored: number & 8 == 8,
        collapsed: number & 16 == 16,
        detail: (number & 32 == 32).then_some(Reason::Absent),
        key: Some(text),
        seq: Some(number),
        tags: Some("a b"),
    };
    let value = status.to_value("edge-isr");
    let members: List = Parser::new(value.as_bytes()).parse().expect("a list");
    let [ListEntry::Item(item)] = &members[..] else { panic!("one member: {value:?}") };
    assert_eq!(item.bare_item.as_token().map(|token| token.as_str()), Some("edge-isr"));
    let text_of = |name: &str| match item.params.get(name)? {
        BareItem::String(text) => Some(text.as_str()),
        BareItem::Token(token) => Some(token.as_str()),
        _ => None,
    };
    let is = |name: &str| item.params.get(name).and_then(BareItem::as_boolean) == Some(true);
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    assert_eq!(text_of("key"), printable.then_some(text));
    assert_eq!(text_of("tags"), Some("a b"));
    assert_eq!(text_of("fwd"), status.forward.map(|_| "uri-miss"));
    assert_eq!((is("hit"), is("stored")), (status.forward.is_none(), status.stored));
    assert_eq!((is("collapsed"), text_of("detail")), (status.collapsed, status.detail.map(|_| "absent")));
}
