//! The tags every page carries without being told: `~all`, `~host`, `~route`, `~build`, `~path`, `~url`.
//!
//! Paths and URLs carry them twice, once for their host and once for any host (written `%`, which no host is),
//! so that `revalidate_by_url("/posts/1")` needs no host. A host is named without the default ports of both
//! schemes: what is invalidated on `https://h` is invalidated on `http://h` and on either's port, too.

use super::authority::without_default_port;
use super::fold::encode_exact;
use super::key::KeyRef;
use super::tag::{MAX_TAG_BYTES, Tag};

mod hashes;
#[cfg(test)]
mod tests;

pub(crate) use hashes::{UrlTag, host_hash, site_hash, url_hash};

/// The depth to which `~path` tags are carried.
pub const MAX_PATH_DEPTH: usize = 16;

/// Where a path or URL is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// On this host, normalized.
    Host(&'a str),
    /// On every host.
    Anywhere,
}

/// Every page.
#[must_use]
pub fn all() -> Tag {
    Tag::reserved("~all".to_owned())
}

/// The pages of one host.
#[must_use]
pub fn host(authority: &str) -> Tag {
    one("~host:", without_default_port(authority))
}

/// The pages of one route, by its pattern.
#[must_use]
pub fn route(pattern: &str) -> Tag {
    one("~route:", pattern)
}

/// The pages rendered by one build.
#[must_use]
pub fn build(id: &str) -> Tag {
    one("~build:", id)
}

/// The pages below a path; ends at a segment. `/blog` covers `/blog` and `/blog/1`, not `/blogs`.
#[must_use]
pub fn prefix(at: At<'_>, path: &str) -> Tag {
    if segments(path).next().is_none() {
        return match at {
            At::Host(authority) => host(authority),
            At::Anywhere => all(),
        };
    }
    let mut text = String::new();
    start(&mut text, "~path:", at);
    for segment in segments(path).take(MAX_PATH_DEPTH) {
        text.push(':');
        encode_path(&mut text, segment);
    }
    Tag::reserved(text)
}

/// A URL. Without a query it covers every query and variant of its path, never a longer path; with an empty
/// one, which no key has, it is the page without a query alone.
#[must_use]
pub fn url(at: At<'_>, path: &str, query: Option<&str>) -> Tag {
    let mut text = String::new();
    put_url(&mut text, at, path);
    if let Some(query) = query {
        text.push(':');
        encode_exact(&mut text, query.as_bytes());
    }
    Tag::reserved(text)
}

/// A cache group of a host: compared character by character, and not folded as tags are (RFC 9875 §2).
#[must_use]
pub fn group(host: &str, group: &str) -> Tag {
    let mut text = String::from("~group:");
    encode_exact(&mut text, without_default_port(host).as_bytes());
    text.push(':');
    encode_exact(&mut text, group.as_bytes());
    Tag::reserved(text)
}

/// Calls `each` with the text of every implicit tag of a page.
pub fn each(key: &KeyRef<'_>, build_id: Option<&str>, mut each: impl FnMut(&str)) {
    each("~all");
    each(host(key.authority).as_str());
    each(route(key.route).as_str());
    if let Some(id) = build_id {
        each(build(id).as_str());
    }
    own(key, each);
}

/// Calls `each` with those implicit tags that the page does not share with its whole [`Scope`](super::key::Scope).
pub fn own(key: &KeyRef<'_>, mut each: impl FnMut(&str)) {
    let mut text = String::with_capacity(96);
    for at in [At::Host(key.authority), At::Anywhere] {
        text.clear();
        start(&mut text, "~path:", at);
        // The root itself is the host, or everything.
        for segment in segments(key.path).take(MAX_PATH_DEPTH) {
            text.push(':');
            encode_path(&mut text, segment);
            bounded(&text, &mut each);
        }
        text.clear();
        put_url(&mut text, at, key.path);
        bounded(&text, &mut each);
        text.push(':');
        encode_exact(&mut text, key.query.unwrap_or_default().as_bytes());
        bounded(&text, &mut each);
    }
}

/// Calls `each` with the text as a tag has it: an over-long one is shortened just as when it is invalidated.
fn bounded(text: &str, each: &mut impl FnMut(&str)) {
    if text.len() <= MAX_TAG_BYTES {
        each(text);
    } else {
        each(Tag::reserved(text.to_owned()).as_str());
    }
}

fn one(family: &str, name: &str) -> Tag {
    let mut text = family.to_owned();
    encode_exact(&mut text, name.as_bytes());
    Tag::reserved(text)
}

fn start(text: &mut String, family: &str, at: At<'_>) {
    text.push_str(family);
    match at {
        At::Host(authority) => encode_exact(text, without_default_port(authority).as_bytes()),
        At::Anywhere => text.push('%'),
    }
}

fn put_url(text: &mut String, at: At<'_>, path: &str) {
    start(text, "~url:", at);
    text.push(':');
    put_path(text, path);
}

fn put_path(text: &mut String, path: &str) {
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            text.push_str("%2f");
        }
        encode_path(text, segment);
    }
}

/// The segments of a path, without the empty ones at its ends.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/').filter(|segment| !segment.is_empty())
}

/// One spelling per segment: `%70` is `p`, `%c3%B6` is `%C3%B6`. An encoded slash stays apart from a slash, and so
/// must an encoded percent sign, or `%252f` would be the encoded slash.
fn encode_path(text: &mut String, segment: &str) {
    for byte in percent_encoding::percent_decode_str(segment) {
        match byte {
            b'/' => text.push_str("%252f"),
            b'%' => text.push_str("%2525"),
            _ => encode_exact(text, &[byte]),
        }
    }
}
