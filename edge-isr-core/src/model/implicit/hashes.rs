//! Hosts, sites and URLs as an index knows them: hashes, the same from a page's key and from a `~url` tag.

use std::hash::Hasher as _;

use super::put_path;
use crate::hash;
use crate::model::authority::without_default_port;
use crate::model::tag::MAX_TAG_BYTES;

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
    put_path(&mut text, path);
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
