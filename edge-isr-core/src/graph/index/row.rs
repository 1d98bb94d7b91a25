//! What the index keeps of a page.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::implicit;
use crate::model::key::{self, CacheKey, Scope};
use crate::model::tag::TagSet;
use crate::model::written;

/// A page: its key and tags. `text` is the key's tail followed by the tags, separated by spaces.
#[derive(Debug)]
pub(super) struct Row {
    scope: Arc<Scope>,
    text: Box<[u8]>,
    tail_len: u32,
    /// Seconds on the clock's time line.
    pub(super) expires: u32,
}

impl Row {
    pub(super) fn new(key: &CacheKey, tags: &TagSet, expires: u32) -> Self {
        let mut text = key.tail().to_vec();
        for (n, tag) in tags.iter().enumerate() {
            if n > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(tag.as_str().as_bytes());
        }
        let tail_len = u32::try_from(key.tail().len()).unwrap_or(u32::MAX);
        Self { scope: Arc::clone(key.scope()), text: text.into(), tail_len, expires }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it differs from `key` in the dimensions alone.
    pub(super) fn is_variant_of(&self, key: &CacheKey) -> bool {
        self.is_in_scope_of(key) && written::url_of(self.tail()) == Some((key.path(), key.query()))
    }

    pub(super) fn tail(&self) -> &[u8] {
        &self.text[..self.tail_len as usize]
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        let text = std::str::from_utf8(&self.text[self.tail_len as usize..]).unwrap_or_default();
        text.split(' ').filter(|tag| !tag.is_empty())
    }

    /// About what it takes, its place in the tables included; the memory bench measures 57 bytes an edge.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.scope.text_bytes() + 40 + 20 * self.tags().count()
    }

    pub(super) fn key(&self) -> Option<CacheKey> {
        CacheKey::from_parts(Arc::clone(&self.scope), Bytes::copy_from_slice(self.tail()))
    }

    pub(super) fn is(&self, key: &CacheKey) -> bool {
        self.tail() == key.tail() && self.is_in_scope_of(key)
    }

    fn is_in_scope_of(&self, key: &CacheKey) -> bool {
        Arc::ptr_eq(&self.scope, key.scope()) || self.scope == *key.scope()
    }

    /// Whether the page carries the tag, explicitly, below it, or by being what it is.
    pub(super) fn carries(&self, tag: &str, build: Option<&str>) -> bool {
        if !tag.starts_with('~') {
            return self.tags().any(|own| {
                own.strip_prefix(tag).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            });
        }
        let mut found = false;
        key::read(&self.scope, self.tail(), |key| implicit::each(key, build, |own| found |= own == tag));
        found
    }

    /// Rows of one path and query on a site share a hash, so that a URL leads to all of its variants. Those of
    /// other sites don't: strangers choose hosts, and would make one long list of them.
    pub(super) fn hash(&self) -> u64 {
        let site = site(&self.scope);
        written::url_of(self.tail()).map_or(0, |(path, query)| implicit::url_hash(site, path, query))
    }
}

pub(super) fn site(scope: &Scope) -> u64 {
    implicit::site_hash(&scope.authority, scope.tenant.as_deref())
}

pub(super) fn url_hash(key: &CacheKey) -> u64 {
    implicit::url_hash(site(key.scope()), key.path(), key.query())
}
