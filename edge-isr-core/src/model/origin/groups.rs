//! Cache groups (RFC 9875): an origin's own names for pages that change together.

use http::header::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

/// The groups an answer belongs to.
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// The groups that a successful unsafe request invalidates.
pub const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The groups an answer belongs to, in order, each once. They are compared character by character.
#[must_use]
pub fn groups_of(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUPS)
}

/// The groups an answer invalidates, in order, each once; of answers to unsafe methods alone (RFC 9875 §3).
#[must_use]
pub fn invalidated_by(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUP_INVALIDATION)
}

/// A list of strings, whose parameters mean nothing. A member of another type drops the field.
fn strings(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let Ok(members) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Vec::new() };
    let mut found = Vec::with_capacity(members.len());
    for member in &members {
        let ListEntry::Item(item) = member else { return Vec::new() };
        let BareItem::String(group) = &item.bare_item else { return Vec::new() };
        found.push(group.as_str().to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|group| seen.insert(group.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::headers;
    use super::*;

    fn read(lines: &[&str]) -> Vec<String> {
        let fields: Vec<_> = lines.iter().map(|line| ("cache-groups", *line)).collect();
        groups_of(&headers(&fields))
    }

    #[test]
    fn h20_groups_are_strings_as_they_stand() {
        let none: &[&str] = &[];
        for (lines, expected) in [
            (none, none),
            (&["\"a\""], &["a"]),
            (&["\"B\", \"a\"", "\"b\""], &["B", "a", "b"]),
            (&["\"a\";x=1, \"a\""], &["a"]),
            (&["\"\", \" \", \"a, b\", \"\\\"\""], &["", " ", "a, b", "\""]),
            // One member of another type, or a fault, and nothing of the field counts.
            (&["\"a\", b"], none),
            (&["\"a\", 1"], none),
            (&["\"a\", (\"b\")"], none),
            (&["\"a\"", "\"b"], none),
            (&["\"a\","], none),
            (&["\"\u{e9}\""], none),
        ] {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn h20_many_long_groups_are_taken() {
        let groups: Vec<String> = (0..100).map(|n| format!("{n:0>300}")).collect();
        let lines: Vec<String> = groups.iter().map(|group| format!("\"{group}\"")).collect();
        assert_eq!(read(&[&lines.join(", ")]), groups);
    }

    #[test]
    fn h20_each_field_is_read_from_its_own_name() {
        let map = headers(&[("cache-groups", "\"a\""), ("cache-group-invalidation", "\"b\"")]);
        assert_eq!((groups_of(&map), invalidated_by(&map)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }
}
