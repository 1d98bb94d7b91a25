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
