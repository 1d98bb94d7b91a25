//! The carriers of a tag, a page of the list at a time.

use super::{Cursor, Index, Members};
use crate::model::implicit::UrlTag;
use crate::model::tag::{Tag, TagId};

/// How many rows one call walks at most, so that a listing never holds the lock for long.
const STRETCH: usize = 128;

impl Index {
    /// One page of the carriers of a tag and of what is below it.
    #[must_use]
    pub fn members(&self, tag: &Tag, after: Option<Cursor>, limit: usize) -> Members {
        let from = after.map_or(0, |Cursor(at)| usize::try_from(at).unwrap_or(usize::MAX));
        let id = TagId::of(tag.as_str());
        let (rows, next) = match self.url(tag.as_str(), limit) {
            Some(rows) => (rows, None),
            None if tag.as_str().starts_with('~') || self.below.contains_key(&id.0) => {
                self.walk(tag.as_str(), from, limit)
            }
            None => self.exact(id, from, limit),
        };
        let keys = rows.into_iter().filter_map(|at| self.rows.get(at as usize)?.as_ref()?.key()).collect();
        Members { keys, next, is_complete: self.is_complete() }
    }

    /// The pages of a URL at once; `None` when that takes a walk.
    fn url(&self, tag: &str, limit: usize) -> Option<Vec<u32>> {
        let url = UrlTag::read(tag)?;
        let mut rows = Vec::new();
        for site in self.sites.of(url.host)? {
            let hash = url.hash(site);
            if self.below.contains_key(&hash) {
                return None;
            }
            let found = self.of_url(hash).filter(|(_, row)| row.carries(tag, None)).map(|(at, _)| at);
            rows.extend(found.take(limit + 1 - rows.len()));
            if rows.len() > limit {
                return None;
            }
        }
        Some(rows)
    }

    fn exact(&self, id: TagId, from: usize, limit: usize) -> (Vec<u32>, Option<Cursor>) {
        let (rows, next) = self.members.list(id, u32::try_from(from).unwrap_or(u32::MAX), limit);
        (rows, next.map(|at| Cursor(u64::from(at))))
    }

    fn walk(&self, tag: &str, from: usize, limit: usize) -> (Vec<u32>, Option<Cursor>) {
        let mut found = Vec::new();
        let end = self.rows.len().min(from.saturating_add(STRETCH));
        for at in from..end {
            if self.rows[at].as_ref().is_some_and(|row| row.carries(tag, self.build.as_deref())) {
                found.push(u32::try_from(at).unwrap_or(u32::MAX));
                if found.len() >= limit {
                    return (found, (at + 1 < self.rows.len()).then_some(Cursor(at as u64 + 1)));
                }
            }
        }
        (found, (end < self.rows.len()).then_some(Cursor(end as u64)))
    }
}
