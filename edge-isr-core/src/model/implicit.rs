//! The tags every page carries without being told: `~all`, `~host`, `~route`, `~build`, `~path`, `~url`.
//!
//! Paths and URLs carry them twice, once for their host and once for any host (written `%`, which no host is),
//! so that `revalidate_by_url("/posts/1")` needs no host. A host is named without the default ports of both
//! schemes: what is invalidated on `https://h` is invalidated on `http://h` and on either's port, too.

use std::hash::Hasher as _;

use super::authority::without_default_port;
use super::fold::encode_exact;
use super::key::KeyRef;
use super::tag::{MAX_TAG_BYTES, Tag};
use crate::hash;

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

/// The hash of a host, by which an index knows its sites.
pub(crate) fn host_hash(authority: &str) -> u64 {
    hash::of(without_default_port(authority).as_bytes())
}

/// The hash of a host or, where there are tenants, of one of them.
pub(crate) fn site_hash(authority: &str, tenant: Option<&str>) -> u64 {
    let mut hasher = hash::hasher();
    hash::segment(&mut hasher, authority.as_bytes());
    match tenant {
        None => hasher.write_usize(usize::MAX),
        Some(tenant) => hash::segment(&mut hasher, tenant.as_bytes()),
    }
    hasher.finish()
}

/// The hash under which an index finds the pages of a path and query on a site.
pub(crate) fn url_hash(site: u64, path: &str, query: Option<&str>) -> u64 {
    if !path.contains('%') {
        return hash_url(site, path.as_bytes(), query.map(str::as_bytes));
    }
    let mut text = String::new();
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            text.push_str("%2f");
        }
        encode_path(&mut text, segment);
    }
    hash_url(site, &decode(&text), query.map(str::as_bytes))
}

/// A `~url` tag, read back.
#[derive(Debug)]
pub(crate) struct UrlTag {
    /// The hash of its host; `None` for every host.
    pub(crate) host: Option<u64>,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

impl UrlTag {
    /// `None` for any other tag, and for one cut short.
    pub(crate) fn read(tag: &str) -> Option<Self> {
        if tag.len() >= MAX_TAG_BYTES {
            return None;
        }
        let mut parts = tag.strip_prefix("~url:")?.split(':');
        let host = parts.next()?;
        let host = (host != "%").then(|| hash::of(&decode(host)));
        let path = decode(parts.next()?);
        Some(Self { host, path, query: parts.next().filter(|query| !query.is_empty()).map(decode) })
    }

    /// The same as [`url_hash`] of its pages.
    pub(crate) fn hash(&self, site: u64) -> u64 {
        hash_url(site, &self.path, self.query.as_deref())
    }
}

fn hash_url(site: u64, path: &[u8], query: Option<&[u8]>) -> u64 {
    let mut hasher = hash::hasher();
    hasher.write_u64(site);
    hash::segment(&mut hasher, path);
    match query {
        None => hasher.write_usize(usize::MAX),
        Some(query) => hash::segment(&mut hasher, query),
    }
    hasher.finish()
}

fn decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// One spelling per segment: `%70` is `p`, `%c3%B6` is `%C3%B6`. An encoded slash stays apart from a slash.
fn encode_path(text: &mut String, segment: &str) {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
    for part in decoded.split_inclusive(|&byte| byte == b'/') {
        match part.split_last() {
            Some((b'/', before)) => {
                encode_exact(text, before);
                text.push_str("%252f");
            }
            _ => encode_exact(text, part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_query_covers_its_queries_and_no_longer_path() {
        let page = url(At::Host("h:3000"), "/a/b", Some("x=1"));
        let above: Vec<_> = page.ancestors().map(str::to_owned).collect();
        assert!(above.contains(&url(At::Host("h:3000"), "/a/b", None).to_string()));
        assert!(!above.contains(&url(At::Host("h:3000"), "/a", None).to_string()));
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let below: Vec<_> = prefix(At::Anywhere, "/blog/1").ancestors().map(str::to_owned).collect();
        assert!(below.contains(&prefix(At::Anywhere, "/blog/").to_string()));
        assert_eq!((prefix(At::Anywhere, "/"), prefix(At::Host("h"), "")), (all(), host("h")));
        assert!(!below.contains(&prefix(At::Anywhere, "/blo").to_string()));
    }

    #[test]
    fn a_url_tag_leads_to_the_hash_of_its_page() {
        for (path, query) in
            [("/posts/1", None), ("/a%20b/%C3%B6", Some("x=%41")), ("/a%2fb", None), ("/", None)]
        {
            let page = url_hash(7, path, query);
            for (at, host) in [(At::Anywhere, None), (At::Host("h:1"), Some(host_hash("h:1")))] {
                let read = UrlTag::read(url(at, path, query).as_str()).unwrap();
                assert_eq!((read.hash(7), read.host), (page, host), "{path}");
                assert_ne!(read.hash(8), page);
            }
        }
        let read = |tag: &Tag| UrlTag::read(tag.as_str());
        assert_eq!(read(&url(At::Anywhere, "/a", Some(""))).unwrap().hash(7), url_hash(7, "/a", None));
        assert!(read(&url(At::Anywhere, &"/a".repeat(200), None)).is_none(), "cut short");
        assert!(read(&prefix(At::Host("h"), "/a")).is_none());
    }

    #[test]
    fn b07_a_host_is_tagged_without_the_default_port_of_either_scheme() {
        for authority in ["h:443", "h:80"] {
            assert_eq!(host(authority), host("h"));
            assert_eq!(prefix(At::Host(authority), "/a"), prefix(At::Host("h"), "/a"));
            assert_eq!(url(At::Host(authority), "/a", Some("b")), url(At::Host("h"), "/a", Some("b")));
            assert_eq!(host_hash(authority), host_hash("h"));
        }
        assert_eq!(host("[::1]:443"), host("[::1]"));
        for authority in ["h:8443", "h:8080", "[::443]"] {
            assert_ne!(host(authority), host("h"));
        }
        assert_eq!(
            UrlTag::read(url(At::Host("h:443"), "/", None).as_str()).unwrap().host,
            Some(host_hash("h"))
        );
    }

    #[test]
    fn b06_spellings_of_one_path_share_a_tag_and_an_encoded_slash_does_not() {
        let tag = |path| url(At::Anywhere, path, None);
        assert_eq!(tag("/%70osts/%c3%b6"), tag("/posts/%C3%B6"));
        assert_ne!(tag("/a%2fb"), tag("/a/b"));
        assert_ne!(tag("/a"), tag("/A"));
    }
}
