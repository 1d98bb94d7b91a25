//! Which pages carry which tags: for warming and for caches that purge by URL, never for a verdict.
//!
//! Small on purpose, a few tens of bytes an edge. An exact tag leads to its pages through `members`; what is
//! rare (ancestors, paths, hosts) is found by walking the rows, a bounded stretch at a time.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

use super::carriers::Carriers;
use super::sites::Sites;
use super::{Cursor, Members};
use crate::clock::Moment;
use crate::hash::IdentityState;
use crate::model::implicit::{self, UrlTag};
use crate::model::key::{self, CacheKey, Scope};
use crate::model::tag::{Tag, TagId, TagSet, ancestors};
use crate::model::written;

/// How many rows one call walks at most, so that a listing never holds the lock for long.
const STRETCH: usize = 128;

/// The most rows of one URL on one site: its variants, in every spelling that percent-encoding has for its path.
/// They share a hash, so each store and each listing of the URL looks at all of them.
const MOST_OF_URL: usize = 256;

/// A page: its key and tags. `text` is the key's tail followed by the tags, separated by spaces.
#[derive(Debug)]
struct Row {
    scope: Arc<Scope>,
    text: Box<[u8]>,
    tail_len: u32,
    /// Seconds on the clock's time line.
    expires: u32,
}

impl Row {
    fn tail(&self) -> &[u8] {
        &self.text[..self.tail_len as usize]
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        let text = std::str::from_utf8(&self.text[self.tail_len as usize..]).unwrap_or_default();
        text.split(' ').filter(|tag| !tag.is_empty())
    }

    /// About what it takes, its place in the tables included; the memory bench measures 57 bytes an edge.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.scope.text_bytes() + 40 + 20 * self.tags().count()
    }

    fn key(&self) -> Option<CacheKey> {
        CacheKey::from_parts(Arc::clone(&self.scope), Bytes::copy_from_slice(self.tail()))
    }

    fn is(&self, key: &CacheKey) -> bool {
        self.tail() == key.tail() && (Arc::ptr_eq(&self.scope, key.scope()) || self.scope == *key.scope())
    }

    /// Whether the page carries the tag, explicitly, below it, or by being what it is.
    fn carries(&self, tag: &str, build: Option<&str>) -> bool {
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
    fn hash(&self) -> u64 {
        let site = site(&self.scope);
        written::url_of(self.tail()).map_or(0, |(path, query)| implicit::url_hash(site, path, query))
    }
}

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
        self.unbind(key);
        self.now = self.now.max(seconds(now));
        self.expire_some();
        let had_room = !self.is_full();
        for _ in 0..=self.rows.len() {
            if !self.is_full() {
                break;
            }
            self.drop_one();
        }
        let mut text = key.tail().to_vec();
        for (n, tag) in tags.iter().enumerate() {
            if n > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(tag.as_str().as_bytes());
        }
        let row = Row {
            scope: Arc::clone(key.scope()),
            text: text.into(),
            tail_len: u32::try_from(key.tail().len()).unwrap_or(u32::MAX),
            expires: seconds(expires).saturating_add(1),
        };
        let at = self.free.pop().unwrap_or_else(|| {
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
        let rows = &self.rows;
        let found = self
            .by_url
            .find_entry(url_hash(key), |&at| rows[at as usize].as_ref().is_some_and(|row| row.is(key)));
        if let Ok(entry) = found {
            let (at, _) = entry.remove();
            self.drop_row(at);
        }
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
        let site = site(&row.scope);
        self.sites.remove(implicit::host_hash(&row.scope.authority), site);
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

    /// Whether a page may be bound beside the others of its URL: at most `most_variants` of one spelling, and a
    /// bounded number of all. What has expired counts no more, and goes.
    pub fn has_room_for(&mut self, key: &CacheKey, most_variants: usize, now: Moment) -> bool {
        self.now = self.now.max(seconds(now));
        let expired = |row: &Row| (row.expires <= self.now).then(|| row.key()).flatten();
        let expired: Vec<CacheKey> = self.of_url(url_hash(key)).filter_map(|(_, row)| expired(row)).collect();
        expired.iter().for_each(|key| self.unbind(key));
        let (mut all, mut variants) = (0, 0);
        for (_, row) in self.of_url(url_hash(key)).filter(|(_, row)| !row.is(key)) {
            let is_variant = (Arc::ptr_eq(&row.scope, key.scope()) || row.scope == *key.scope())
                && written::url_of(row.tail()) == Some((key.path(), key.query()));
            all += 1;
            variants += usize::from(is_variant);
        }
        variants < most_variants && all < MOST_OF_URL.max(most_variants)
    }

    fn of_url(&self, hash: u64) -> impl Iterator<Item = (u32, &Row)> {
        let row = |at: u32| Some((at, self.rows.get(at as usize)?.as_ref()?));
        // The table also gives rows whose hash merely looks alike.
        self.by_url.iter_hash(hash).filter_map(move |&at| row(at)).filter(move |(_, row)| row.hash() == hash)
    }

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

fn seconds(moment: Moment) -> u32 {
    u32::try_from(moment.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

fn site(scope: &Scope) -> u64 {
    implicit::site_hash(&scope.authority, scope.tenant.as_deref())
}

fn url_hash(key: &CacheKey) -> u64 {
    implicit::url_hash(site(key.scope()), key.path(), key.query())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::authority::Scheme;
    use crate::model::key::{Audience, Dimension, KeyRef};

    fn key(path: &str, query: Option<&str>) -> CacheKey {
        on("h", path, query, &[])
    }

    fn on(authority: &str, path: &str, query: Option<&str>, dimensions: &[Dimension<'_>]) -> CacheKey {
        let key = KeyRef {
            scheme: Scheme::Http,
            authority,
            route: "/r",
            tenant: None,
            audience: Audience::Public,
            vary: &[],
            path,
            query,
            dimensions,
        };
        key.to_owned(Arc::new(key.scope()))
    }

    fn tags(names: &[&str]) -> TagSet {
        names.iter().map(|name| Tag::named(name)).collect()
    }

    fn at(second: u64) -> Moment {
        Moment::from_nanos(second * 1_000_000_000)
    }

    fn paths(index: &Index, tag: &Tag) -> Vec<String> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let members = index.members(tag, after, 2);
            assert!(members.keys.len() <= 2, "a page of a listing is bounded");
            all.extend(members.keys.iter().map(CacheKey::path_and_query));
            after = members.next;
            if after.is_none() {
                all.sort();
                return all;
            }
        }
    }

    #[test]
    fn a_tag_leads_to_its_pages_and_an_ancestor_to_those_below() {
        let mut index = Index::new(1000, usize::MAX, None);
        for (path, names) in
            [("/1", ["post:1", "list"]), ("/2", ["post:2", "list"]), ("/3", ["postal:1", "x"])]
        {
            assert!(index.bind(&key(path, None), &tags(&names), at(0), at(60)));
        }
        assert_eq!(paths(&index, &Tag::named("list")), ["/1", "/2"]);
        assert_eq!(paths(&index, &Tag::named("post")), ["/1", "/2"]);
        assert_eq!(paths(&index, &Tag::named("post:2")), ["/2"]);
        assert_eq!(paths(&index, &implicit::all()), ["/1", "/2", "/3"]);
        assert_eq!((index.count(&Tag::named("list")), index.count(&Tag::named("post"))), (Some(2), None));
    }

    #[test]
    fn a_url_leads_to_its_queries_and_to_no_other_path() {
        let mut index = Index::new(1000, usize::MAX, None);
        for (path, query) in [("/a", None), ("/a", Some("p=1")), ("/a", Some("p=2")), ("/a/b", None)] {
            index.bind(&key(path, query), &tags(&[]), at(0), at(60));
        }
        let url = |query| implicit::url(implicit::At::Anywhere, "/a", query);
        assert_eq!(paths(&index, &url(None)), ["/a", "/a?p=1", "/a?p=2"]);
        assert_eq!(paths(&index, &url(Some("p=2"))), ["/a?p=2"]);
        index.unbind(&key("/a", Some("p=2")));
        assert_eq!(paths(&index, &url(None)), ["/a", "/a?p=1"]);
    }

    #[test]
    fn p15_hosts_share_no_bucket_and_a_url_leads_to_each_of_few_or_to_its_own_of_many() {
        let mut index = Index::new(10_000, usize::MAX, None);
        let url = |at| implicit::url(at, "/", None);
        for n in 0..1_000 {
            let key = on(&format!("h{n}"), "/", None, &[]);
            index.bind(&key, &tags(&[]), at(0), at(60));
            assert_eq!(index.of_url(url_hash(&key)).count(), 1);
            assert_eq!(index.members(&url(implicit::At::Host("h0")), None, 9).keys.len(), 1);
            if n < 5 {
                let all = index.members(&url(implicit::At::Anywhere), None, 9);
                assert_eq!((all.keys.len(), all.next), (n + 1, None), "at once");
            }
        }
        assert!(index.members(&url(implicit::At::Host("nobody")), None, 9).keys.is_empty());
        let some = index.members(&url(implicit::At::Anywhere), None, 9);
        assert_eq!((some.keys.len(), some.next), (9, Some(Cursor(9))), "a walk, in stretches");
    }

    #[test]
    fn p15_spellings_of_one_url_are_bounded() {
        let mut index = Index::new(10_000, usize::MAX, None);
        let spelling = |n: usize| {
            let letter = |(at, byte): (usize, u8)| {
                if n >> at & 1 == 1 { format!("%{byte:02x}") } else { char::from(byte).to_string() }
            };
            key(&format!("/{}", (b'a'..b'k').enumerate().map(letter).collect::<String>()), None)
        };
        let stored = (0..1_000).filter(|&n| {
            let room = index.has_room_for(&spelling(n), 32, at(0));
            room && index.bind(&spelling(n), &tags(&[]), at(0), at(60))
        });
        assert_eq!(stored.count(), MOST_OF_URL);
        assert!(index.has_room_for(&spelling(0), 32, at(0)), "what is there may be bound again");
        assert!(index.has_room_for(&key("/other", None), 32, at(0)));
        assert!(index.has_room_for(&spelling(999), 32, at(62)), "what has expired makes room");
    }

    #[test]
    fn p15_x06_variants_that_have_expired_count_no_more() {
        let mut index = Index::new(1_000, usize::MAX, None);
        let variant = |n: u32| on("h", "/", None, &[Some(n.to_string().into())]);
        for n in 0..4 {
            assert!(index.has_room_for(&variant(n), 4, at(0)));
            index.bind(&variant(n), &tags(&["list"]), at(0), at(60 + u64::from(n)));
        }
        assert!(!index.has_room_for(&variant(4), 4, at(60)));
        assert!(index.has_room_for(&variant(4), 4, at(61)), "one of four has expired");
        assert_eq!(index.len(), 3, "and is gone");
    }

    #[test]
    fn binding_replaces_and_leaves_nothing_behind() {
        let mut index = Index::new(1000, usize::MAX, None);
        for round in 0..50 {
            index.bind(&key("/1", None), &tags(&["list", &format!("post:{round}")]), at(0), at(60));
        }
        assert_eq!(index.len(), 1);
        assert_eq!(index.tags_of(&key("/1", None)), Some(tags(&["list", "post:49"])));
        assert!(paths(&index, &Tag::named("post:48")).is_empty());
        index.unbind(&key("/1", None));
        assert_eq!((index.len(), index.bytes, index.below.len()), (0, 0, 0));
        assert!(index.sites.is_empty());
        assert!(paths(&index, &Tag::named("list")).is_empty());
    }

    #[test]
    fn x06_rows_expire_with_their_pages() {
        let mut index = Index::new(1000, usize::MAX, None);
        for id in 0..100 {
            index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(0), at(60));
        }
        for id in 0..100 {
            index.bind(&key(&format!("/later/{id}"), None), &tags(&["list"]), at(62), at(200));
        }
        assert_eq!(index.len(), 100);
        assert!(index.is_complete(), "expiring is not losing");
    }

    #[test]
    fn p15_at_its_bounds_the_oldest_go_and_it_says_so_until_they_would_have_expired() {
        let by_bytes = Index::new(1000, 10 * 200, None);
        for mut index in [Index::new(10, usize::MAX, None), by_bytes] {
            for id in 0..100 {
                index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(0), at(60));
            }
            assert!(index.len() <= 20, "{}", index.len());
            assert!(paths(&index, &Tag::named("list")).contains(&"/99".to_owned()), "what is new stays");
            assert!(!index.is_complete());
            index.bind(&key("/x", None), &tags(&["list"]), at(62), at(100));
            assert!(index.is_complete());
        }
    }
}
