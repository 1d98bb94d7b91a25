//! The structured fields of origins: targeted `Cache-Control`, cache groups, and tags.

use http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::origin_terms::{answer, asked};
use super::trim;
use crate::Reason;
use crate::model::head::{CACHE_TAG, SURROGATE_KEY};
use crate::model::origin::groups::{CACHE_GROUPS, groups_of};
use crate::model::origin::{CDN_CACHE_CONTROL, Obeys, tags_of, terms};
use crate::model::tag::Tag;

/// The first line of the input is a status, each other one a header, `name:value`. A targeted field replaces the
/// others or is as if it were not there (RFC 9213 §2.2); groups are the strings of a list of strings (RFC 9875 §2);
/// tags are what stands between separators.
///
/// # Panics
///
/// When they are not.
pub fn origin_fields(input: &[u8]) {
    let parts = answer(input);
    targeted(&parts);
    groups(&parts.headers);
    tags(&parts.headers);
}

/// The lines of a field as one.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    lines.join(&b", "[..])
}

fn targeted(parts: &Parts) {
    let without = |names: &[HeaderName]| {
        let mut less = parts.clone();
        for name in names {
            less.headers.remove(name);
        }
        terms(&less, &asked(), &Obeys::default())
    };
    let expected = if is_valid(&joined(&parts.headers, &CDN_CACHE_CONTROL)) {
        without(&[CACHE_CONTROL, EXPIRES])
    } else {
        without(&[CDN_CACHE_CONTROL])
    };
    assert_eq!(terms(parts, &asked(), &Obeys::default()), expected, "{parts:?}");
}

/// Whether it is a dictionary that says something, with the types that RFC 9213 §2.1 infers.
fn is_valid(field: &[u8]) -> bool {
    let Ok(members) = Parser::new(field).parse::<Dictionary>() else { return false };
    let is_right = |(name, member): (&sfv::Key, &ListEntry)| {
        let item = match member {
            ListEntry::Item(item) => Some(&item.bare_item),
            ListEntry::InnerList(_) => None,
        };
        match name.as_str() {
            "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error" => {
                matches!(item, Some(BareItem::Integer(_)))
            }
            "private" | "no-cache" => {
                matches!(item, Some(BareItem::Boolean(true) | BareItem::String(_) | BareItem::Token(_)))
            }
            "no-store" | "public" | "must-revalidate" | "proxy-revalidate" | "must-understand" => {
                matches!(item, Some(BareItem::Boolean(true)))
            }
            _ => true,
        }
    };
    !members.is_empty() && members.iter().all(is_right)
}

fn groups(headers: &HeaderMap) {
    let (field, found) = (joined(headers, &CACHE_GROUPS), groups_of(headers));
    let mut expected = strings(&field).unwrap_or_default();
    let mut distinct = Vec::new();
    expected.retain(|group| {
        !distinct.contains(group) && {
            distinct.push(group.clone());
            true
        }
    });
    // Parameters are not looked at by hand.
    if !field.contains(&b';') {
        assert_eq!(found, expected, "{field:?}");
    }
    // What is found reads back, whatever it is.
    let written: Vec<String> = found
        .iter()
        .map(|group| format!("\"{}\"", group.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    let line = HeaderValue::from_str(&written.join(",\t")).expect("strings are visible ASCII");
    assert_eq!(groups_of(&HeaderMap::from_iter([(CACHE_GROUPS, line)])), found);
}

/// A list of strings without parameters (RFC 9651 §3.1 and §3.3.3), read by hand.
fn strings(field: &[u8]) -> Option<Vec<String>> {
    let mut rest = field.trim_ascii_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let mut text = String::new();
        rest = rest.strip_prefix(b"\"")?;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            match byte {
                b'"' => break,
                b'\\' => {
                    let (&escaped, after) = rest.split_first()?;
                    rest = after;
                    text.push(char::from(escaped).to_string().parse().ok().filter(|c| "\"\\".contains(*c))?);
                }
                b' '..=b'~' => text.push(char::from(byte)),
                _ => return None,
            }
        }
        found.push(text);
        let after = trim(rest);
        rest = match after.strip_prefix(b",") {
            None if after.is_empty() => after,
            None => return None,
            // Nothing may follow the last comma.
            Some(more) if trim(more).is_empty() => return None,
            Some(more) => trim(more),
        };
    }
    Some(found)
}

/// Every tag found stands in a header, and every text between separators is found, or the answer is refused.
fn tags(headers: &HeaderMap) {
    let found = tags_of(headers, &Obeys::default());
    let mut expected: Vec<Tag> = groups_of(headers).iter().map(|group| Tag::named(group)).collect();
    let mut is_bad = false;
    for (name, separators) in [(SURROGATE_KEY, &b" \t"[..]), (CACHE_TAG, b" \t,")] {
        for line in headers.get_all(&name) {
            let texts =
                line.as_bytes().split(|byte| separators.contains(byte)).filter(|text| !text.is_empty());
            for text in texts {
                match std::str::from_utf8(text).ok().and_then(|text| Tag::parse(text).ok()) {
                    Some(tag) => expected.push(tag),
                    None => is_bad = true,
                }
            }
        }
    }
    let expected = if is_bad { Err(Reason::BadTag) } else { Ok(expected.into_iter().collect()) };
    assert_eq!(found, expected, "{headers:?}");
}
