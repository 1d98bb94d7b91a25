//! Which request headers the answers of a URL vary on, as far as they said so (RFC 9111 §4.1).
//!
//! Kept by the hash of the key without dimensions. A collision, or an entry that made room, is a miss and no
//! wrong page: the names and values are part of a page's key, which is compared in full.

use std::fmt;
use std::sync::Arc;

use http::header::HeaderName;
use quick_cache::sync::Cache;

use super::Isr;
use super::exchange::Exchange;
use crate::model::key::{CacheKey, KeyRef, selecting};
use crate::model::page::Page;
use crate::model::reason::Reason;

/// How many URLs' names are kept.
const URLS: usize = 65_536;

/// The most names for one URL. One that has more varies on everything.
const NAMES: usize = 16;

/// The names, by URL.
pub(crate) struct Varies(Cache<u64, Arc<[HeaderName]>>);

impl Default for Varies {
    fn default() -> Self {
        Self(Cache::new(URLS))
    }
}

impl fmt::Debug for Varies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Varies").field(&self.0.len()).finish()
    }
}

impl Varies {
    /// The names that a URL's answers vary on with those of one more: what varied on them once is asked for with them
    /// from now on. At the bound they are this answer's alone.
    fn with(&self, url: u64, names: Vec<HeaderName>) -> Result<Arc<[HeaderName]>, Reason> {
        if names.len() > NAMES {
            return Err(Reason::VariantLimit);
        }
        let Some(known) = self.0.get(&url) else { return Ok(names.into()) };
        if names.iter().all(|name| known.contains(name)) {
            return Ok(known);
        }
        let mut all = known.to_vec();
        all.extend(names.iter().cloned());
        all.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        all.dedup();
        Ok(if all.len() > NAMES { names.into() } else { all.into() })
    }

    fn keep(&self, url: u64, names: &[HeaderName]) {
        if self.0.get(&url).is_none_or(|known| *known != *names) {
            self.0.insert(url, names.into());
        }
    }
}

impl Isr {
    /// The headers that the answers of a URL vary on; `None` where none did so far. `key` has no dimensions.
    #[must_use]
    pub fn varies_on(&self, key: &KeyRef<'_>) -> Option<Arc<[HeaderName]>> {
        self.0.varies.0.get(&key.hash())
    }

    /// The key of the page that a request with these headers gets, as far as is known by now.
    #[must_use]
    pub fn reselected(&self, key: &CacheKey, headers: &http::HeaderMap) -> Option<CacheKey> {
        key.read(|key| {
            let url = KeyRef { vary: &[], dimensions: &[], ..*key };
            let names = self.varies_on(&url)?;
            self.selected(&url, &names, headers).ok()
        })?
    }

    /// Notes what the page of this key varies on, for whoever looks for it.
    pub(super) fn note_varies(&self, key: &CacheKey) {
        if !key.scope().vary.is_empty() {
            key.read(|key| {
                let url = KeyRef { vary: &[], dimensions: &[], ..*key };
                self.0.varies.keep(url.hash(), key.vary);
            });
        }
    }

    /// Whether a request with these headers, whose URL is that of `key`, selects this page (RFC 9111 §4.1).
    #[must_use]
    pub fn selects(&self, page: &Page, key: &CacheKey, headers: &http::HeaderMap) -> bool {
        let names = &page.scope().vary;
        let dimensions = names.iter().map(|name| selecting(headers, name)).collect::<Result<Vec<_>, _>>();
        let Ok(dimensions) = dimensions else { return false };
        key.read(|key| page.is_of(&KeyRef { vary: names, dimensions: &dimensions, ..*key })) == Some(true)
    }

    /// The key of an answer: what its `Vary` names is taken from the request that it answers.
    pub(super) fn key_of_answer(
        &self,
        asked: &CacheKey,
        varies: Vec<HeaderName>,
        exchange: &Exchange,
    ) -> Result<CacheKey, Reason> {
        asked
            .read(|key| {
                let url = KeyRef { vary: &[], dimensions: &[], ..*key };
                let names = self.0.varies.with(url.hash(), varies)?;
                if *names == *key.vary {
                    return Ok(asked.clone());
                }
                self.selected(&url, &names, &exchange.headers)
            })
            .unwrap_or(Err(Reason::BadHeader))
    }

    fn selected(
        &self,
        url: &KeyRef<'_>,
        names: &[HeaderName],
        headers: &http::HeaderMap,
    ) -> Result<CacheKey, Reason> {
        let dimensions = names.iter().map(|name| selecting(headers, name)).collect::<Result<Vec<_>, _>>()?;
        let key = KeyRef { vary: names, dimensions: &dimensions, ..*url };
        if key.len_bytes() > self.0.limits.key_bytes {
            return Err(Reason::KeyTooLong);
        }
        Ok(self.own_key(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h07_names_are_joined_and_have_a_bound() {
        let varies = Varies::default();
        let named = |names: &[&'static str]| -> Vec<HeaderName> {
            names.iter().map(|name| HeaderName::from_static(name)).collect()
        };
        let join = |names: &[&'static str]| {
            let names = varies.with(1, named(names))?;
            varies.keep(1, &names);
            Ok::<_, Reason>(names)
        };
        assert!(varies.with(1, Vec::new()).unwrap().is_empty());
        join(&["b"]).unwrap();
        assert_eq!(&*join(&["a"]).unwrap(), ["a", "b"]);
        assert_eq!(&*join(&[]).unwrap(), ["a", "b"], "an answer without takes none away");
        let many: Vec<String> = (0..=NAMES).map(|n| format!("x-{n}")).collect();
        let many: Vec<HeaderName> = many.iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(varies.with(1, many.clone()).err(), Some(Reason::VariantLimit));
        assert_eq!(varies.with(1, many[1..].to_vec()).unwrap().len(), NAMES, "only its own");
    }
}
