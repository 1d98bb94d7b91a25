//! Which pages carry which tags: for warming and for caches that purge by URL, never for a verdict.
//!
//! Small on purpose, a few tens of bytes an edge. An exact tag leads to its pages through `carriers`; what is
//! rare (ancestors, paths, hosts) is found by walking the rows, a bounded stretch at a time.

use std::collections::HashMap;

use hashbrown::HashTable;

use self::carriers::Carriers;
use self::row::{Row, site, url_hash};
use self::sites::Sites;
use super::{Cursor, Members};
use crate::clock::Moment;
use crate::hash::IdentityState;
use crate::model::implicit;
use crate::model::key::CacheKey;
use crate::model::tag::{Tag, TagId, TagSet, ancestors};
use crate::model::written;

mod carriers;
mod listing;
mod room;
mod row;
mod sites;
#[cfg(test)]
mod tests;

/// See the module's text.
#[derive(Debug)]
pub struct Index {
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    by_url: HashTable<u32>,
    sites: Sites,
    members: Carriers,
    /// How many rows carry something below a tag.
    below: HashMap<u64, u32, IdentityState>,
    build: Option<Box<str>>,
    most_rows: usize,
    most_bytes: usize,
    bytes: usize,
    /// The next row to be looked at for expiry, or dropped for room.
    hand: usize,
    /// The latest second seen, and the one until which a row that was dropped for room may still be missed.
    now: u32,
    incomplete_until: u32,
}

impl Index {
    /// An empty index of at most `most_rows` pages in about `most_bytes`.
    #[must_use]
    pub fn new(most_rows: usize, most_bytes: usize, build: Option<&str>) -> Self {
        Self {
            rows: Vec::new(),
            free: Vec::new(),
            by_url: HashTable::new(),
            sites: Sites::default(),
            members: Carriers::default(),
            below: HashMap::default(),
            build: build.map(Into::into),
            most_rows,
            most_bytes,
            bytes: 0,
            hand: 0,
            now: 0,
            incomplete_until: 0,
        }
    }

    /// How many pages it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it knows every page. Once it dropped one for want of room it says no until that page would have
    /// expired.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.now >= self.incomplete_until
    }

    /// Sets the tags of a page. `false` when another page was dropped for it.
    pub fn bind(&mut self, key: &CacheKey, tags: &TagSet, now: Moment, expires: Moment) -> bool {
        let own = self.take_row(key);
        self.now = self.now.max(seconds(now));
        self.expire_some();
        let had_room = !self.is_full();
        for _ in 0..=self.rows.len() {
            if !self.is_full() {
                break;
            }
            self.drop_one();
        }
        let row = Row::new(key, tags, seconds(expires).saturating_add(1));
        // Its own row, if it had one: in another one a listing that goes on may have passed by it already.
        let at = own.and_then(|own| self.free.iter().rposition(|&at| at == own));
        let at = at.map(|nth| self.free.swap_remove(nth)).or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.rows.push(None);
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        });
        self.bytes += row.bytes();
        self.rows[at as usize] = Some(row);
        let rows = &self.rows;
        self.by_url.insert_unique(url_hash(key), at, |&at| rows[at as usize].as_ref().map_or(0, Row::hash));
        let site = site(key.scope());
        self.sites.add(implicit::host_hash(&key.scope().authority), site);
        if key.query().is_some() {
            // A URL covers its queries: with any there, listing it takes a walk.
            *self.below.entry(implicit::url_hash(site, key.path(), None)).or_default() += 1;
        }
        for tag in tags {
            self.members.add(TagId::of(tag.as_str()), at);
            for above in tag.ancestors() {
                *self.below.entry(TagId::of(above).0).or_default() += 1;
            }
        }
        had_room
    }

    /// Forgets a page.
    pub fn unbind(&mut self, key: &CacheKey) {
        self.take_row(key);
    }

    /// Forgets a page; which row it had.
    fn take_row(&mut self, key: &CacheKey) -> Option<u32> {
        let rows = &self.rows;
        let found = self
            .by_url
            .find_entry(url_hash(key), |&at| rows[at as usize].as_ref().is_some_and(|row| row.is(key)));
        let (at, _) = found.ok()?.remove();
        self.drop_row(at);
        Some(at)
    }

    fn drop_row(&mut self, at: u32) {
        let Some(row) = self.rows.get_mut(at as usize).and_then(Option::take) else { return };
        self.bytes = self.bytes.saturating_sub(row.bytes());
        for tag in row.tags() {
            self.members.remove(TagId::of(tag), at);
            for above in ancestors(tag) {
                release(&mut self.below, TagId::of(above).0);
            }
        }
        let site = site(row.scope());
        self.sites.remove(implicit::host_hash(&row.scope().authority), site);
        if let Some((path, Some(_))) = written::url_of(row.tail()) {
            release(&mut self.below, implicit::url_hash(site, path, None));
        }
        self.free.push(at);
    }

    fn is_full(&self) -> bool {
        self.len() >= self.most_rows || self.bytes >= self.most_bytes
    }

    /// Drops the row at hand. They are dropped in turn, so that what is new stays longest.
    fn drop_one(&mut self) {
        self.hand = if self.hand + 1 < self.rows.len() { self.hand + 1 } else { 0 };
        let Some(Some(row)) = self.rows.get(self.hand) else { return };
        let (expires, key) = (row.expires, row.key());
        if let Some(key) = key {
            self.unbind(&key);
            self.incomplete_until = self.incomplete_until.max(expires);
        }
    }

    /// Looks at two more rows on each call, so that what is bound expires without a sweep of everything.
    fn expire_some(&mut self) {
        let now = self.now;
        for _ in 0..2 {
            self.hand = if self.hand + 1 < self.rows.len() { self.hand + 1 } else { 0 };
            let Some(Some(row)) = self.rows.get(self.hand) else { continue };
            if row.expires <= now
                && let Some(key) = row.key()
            {
                self.unbind(&key);
            }
        }
    }

    /// The explicit tags of a page.
    #[must_use]
    pub fn tags_of(&self, key: &CacheKey) -> Option<TagSet> {
        let at = self
            .by_url
            .find(url_hash(key), |&at| self.rows[at as usize].as_ref().is_some_and(|row| row.is(key)))?;
        let row = self.rows[*at as usize].as_ref()?;
        Some(row.tags().filter_map(|tag| Tag::parse(tag).ok()).collect())
    }

    /// How many pages carry exactly this tag; `None` when that takes a walk to know.
    #[must_use]
    pub fn count(&self, tag: &Tag) -> Option<usize> {
        let id = TagId::of(tag.as_str());
        if tag.as_str().starts_with('~') || self.below.contains_key(&id.0) {
            return None;
        }
        Some(self.members.count(id))
    }

    fn of_url(&self, hash: u64) -> impl Iterator<Item = (u32, &Row)> {
        let row = |at: u32| Some((at, self.rows.get(at as usize)?.as_ref()?));
        // The table also gives rows whose hash merely looks alike.
        self.by_url.iter_hash(hash).filter_map(move |&at| row(at)).filter(move |(_, row)| row.hash() == hash)
    }
}

fn seconds(moment: Moment) -> u32 {
    u32::try_from(moment.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Counts one down; a count of zero is no entry.
fn release(counts: &mut HashMap<u64, u32, IdentityState>, id: u64) {
    if let Some(count) = counts.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&id);
        }
    }
}
