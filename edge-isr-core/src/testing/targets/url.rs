//! Hosts in one spelling, and the tags of paths and URLs.

use std::collections::BTreeSet;

use super::lines;
use crate::model::authority::{Scheme, normalize};
use crate::model::implicit::{self, At, MAX_PATH_DEPTH, UrlTag, url_hash};
use crate::model::key::KeyRef;
use crate::model::tag::MAX_TAG_BYTES;

/// The lines of the input are a host, two paths and a query.
///
/// Hosts and paths have one spelling, which is a spelling of itself; paths share a tag where they mean the same
/// bytes in the same segments and nowhere else; prefixes end at segments; the index finds by hash what the tags name.
///
/// # Panics
///
/// When they do not.
pub fn url(input: &[u8]) {
    let mut parts = lines(input).map(|line| String::from_utf8_lossy(line).into_owned());
    let mut next = || parts.next().unwrap_or_default();
    let (host, one, two, query) = (next(), next(), next(), next());
    for scheme in [Scheme::Http, Scheme::Https] {
        authority(&host, scheme);
    }
    let host = normalize(&host, Scheme::Http).map_or_else(|| "h".to_owned(), Into::into);
    // As an URI has them: a path begins with a slash and ends before a query.
    let [one, two] =
        [one, two].map(|path| format!("/{}", path.replace(['?', '#'], "").trim_start_matches('/')));
    let query = Some(&*query).filter(|query| !query.is_empty());
    for at in [At::Anywhere, At::Host(&host)] {
        spellings(at, &one, &two, query);
        carried(at, &host, [&one, &two], query);
    }
    hashes(&host, [&one, &two], query);
}

/// RFC 9110 §4.2.3, written out.
fn authority(text: &str, scheme: Scheme) {
    let found = normalize(text, scheme);
    assert_eq!(found.as_deref(), expected(text, scheme).as_deref(), "{text:?}");
    if let Some(found) = found {
        assert_eq!(normalize(&found, scheme).as_deref(), Some(&*found), "one spelling of {text:?}");
    }
}

fn expected(text: &str, scheme: Scheme) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (host, port) = match lower.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (&*lower, ""),
    };
    let default = if scheme == Scheme::Http { "80" } else { "443" };
    let is_port = port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
    let host = if host.ends_with("].") { host } else { host.strip_suffix('.').unwrap_or(host) };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c))
        }
        None => {
            let is_known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !host.is_empty() && !host.ends_with('.') && host.chars().all(is_known)
        }
    };
    if text.len() > 255 || !is_host || !(port.is_empty() || is_port) {
        return None;
    }
    Some(if port.is_empty() || port == default { host.to_owned() } else { format!("{host}:{port}") })
}

/// The bytes of each segment.
fn segments(path: &str) -> Vec<Vec<u8>> {
    path.split('/').map(|segment| percent_encoding::percent_decode_str(segment).collect()).collect()
}

/// The segments by which a prefix covers: no empty ones, and not too many.
fn covering(path: &str) -> Vec<Vec<u8>> {
    segments(path).into_iter().filter(|segment| !segment.is_empty()).take(MAX_PATH_DEPTH).collect()
}

fn spellings(at: At<'_>, one: &str, two: &str, query: Option<&str>) {
    let (a, b) = (implicit::url(at, one, query), implicit::url(at, two, query));
    for tag in [&a, &b, &implicit::prefix(at, one)] {
        let text = tag.as_str();
        let is_inert =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._~%:-".contains(&byte);
        assert!(text.len() <= MAX_TAG_BYTES && text.starts_with('~') && text.bytes().all(is_inert), "{text}");
    }
    // A tag cut short ends in a hash, which a path may spell out.
    if a.as_str().len() < MAX_TAG_BYTES || b.as_str().len() < MAX_TAG_BYTES {
        assert_eq!(a == b, segments(one) == segments(two), "{one} {two}: {a} {b}");
    } else if segments(one) == segments(two) {
        assert_eq!(a, b);
    }
    let (above, below) = (implicit::prefix(at, one), implicit::prefix(at, two));
    if above.as_str().len() < MAX_TAG_BYTES {
        assert_eq!(above == below, covering(one) == covering(two), "{one} {two}: {above} {below}");
    }
    // The path in the tag is a spelling of the path.
    let plain = implicit::url(at, one, None);
    if let Some(path) = plain.as_str().splitn(3, ':').nth(2).filter(|_| plain.as_str().len() < MAX_TAG_BYTES)
    {
        let decoded = percent_encoding::percent_decode_str(path);
        let spell =
            |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let path: String = decoded.map(spell).collect();
        assert_eq!(implicit::url(at, &path, None), plain, "one spelling of {one}");
        assert_eq!(segments(&path), segments(one));
    }
}

fn key<'a>(host: &'a str, path: &'a str, query: Option<&'a str>) -> KeyRef<'a> {
    KeyRef { query, ..KeyRef::new(Scheme::Http, host, "/{*rest}", path) }
}

/// A page carries the tags of its own URL and of the paths above it, and no other's.
fn carried(at: At<'_>, host: &str, [one, two]: [&str; 2], query: Option<&str>) {
    let mut carried = BTreeSet::new();
    implicit::each(&key(host, one, query), Some("build"), |tag| {
        assert!(tag.len() <= MAX_TAG_BYTES && tag.starts_with('~'), "{tag}");
        carried.insert(tag.to_owned());
    });
    let has = |tag: crate::Tag| carried.contains(tag.as_str());
    let is_whole = |tag: &crate::Tag| tag.as_str().len() < MAX_TAG_BYTES;
    assert!(has(implicit::all()) && has(implicit::host(host)) && has(implicit::build("build")));
    for query in [None, Some(query.unwrap_or_default())] {
        assert!(has(implicit::url(at, one, query)), "its own URL: {one}");
        let other = implicit::url(at, two, query);
        if is_whole(&other) {
            assert_eq!(has(other), segments(one) == segments(two), "another's URL: {one} {two}");
        }
    }
    assert!(has(implicit::prefix(at, one)), "its own path: {one}");
    let above = implicit::prefix(at, two);
    if is_whole(&above) {
        assert_eq!(has(above), covering(one).starts_with(&covering(two)), "{two} above {one}");
    }
}

/// The index finds a page by the hash of its URL, from the page and from the tag.
fn hashes(host: &str, [one, two]: [&str; 2], query: Option<&str>) {
    let same = segments(one) == segments(two);
    assert_eq!(url_hash(7, one, query) == url_hash(7, two, query), same, "{one} {two}");
    assert_ne!(url_hash(7, one, query), url_hash(8, one, query));
    for (at, its_host) in [(At::Anywhere, None), (At::Host(host), Some(implicit::host_hash(host)))] {
        let tag = implicit::url(at, one, query);
        match UrlTag::read(tag.as_str()) {
            Some(read) => {
                assert_eq!((read.host, read.hash(7)), (its_host, url_hash(7, one, query)), "{tag}");
            }
            None => assert_eq!(tag.as_str().len(), MAX_TAG_BYTES, "{tag}"),
        }
        assert!(UrlTag::read(implicit::prefix(at, one).as_str()).is_none());
    }
}
