//! A stored response and the facts of its birth, flat: key, own values, tags and body stand in one buffer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;

use super::ahead::Lead;
use super::head::Head;
use super::key::{Audience, CacheKey, KeyRef, Scope};
use super::lifetime::Lifetime;
use super::snapshot::{Marks, Seen, Snapshot};
use super::tag::{TagId, TagSet};
use super::verdict::{Staleness, Verdict, verdict};
use crate::clock::Moment;
use crate::sync::modelled::AtomicU64;

mod answer;
mod downstream;
mod of_origin;

pub use downstream::{keep_private, zero_freshness};

/// What the allocator and the store add to a page, roughly; the memory bench pins the sum.
const OVERHEAD_BYTES: usize = 120;

/// `verified` of a page that a late tag killed. No graph ever applies this many invalidations.
const KILLED: u64 = u64::MAX;

/// How a page came into the world.
#[derive(Debug, Clone, Copy)]
pub struct Birth {
    /// Taken before the handler was polled.
    pub snapshot: Snapshot,
    /// When the render was complete.
    pub at: Moment,
}

/// A stored response.
pub struct Page {
    scope: Arc<Scope>,
    head: Arc<Head>,
    /// The key's tail, the tags, their ids, the own values, the body.
    buffer: Bytes,
    /// The values that the head's template leaves open, in its order: slices of the buffer, checked once.
    own: Box<[HeaderValue]>,
    birth: Birth,
    /// The graph's `applied` as it was before the page's marks were last read and found harmless.
    verified: AtomicU64,
    /// The graph's `changes` for the page's tags, as they were then.
    changes: AtomicU64,
    hits: AtomicU32,
    tail_end: u32,
    tags_end: u32,
    ids_end: u32,
    body_start: u32,
    /// Whether the head was made for this page, which then counts its bytes.
    pays_for_head: bool,
    /// Two of the three bytes that remain of the last eight: see [`Lead`] for how they suffice.
    lead: Lead,
}

impl Page {
    /// Puts a page together. `own` are the values the head's template leaves open, in its order; `ids` those of
    /// the explicit tags, their ancestors, and the implicit tags that the scope does not share.
    #[must_use]
    pub fn new(
        key: &CacheKey,
        birth: Birth,
        head: Arc<Head>,
        own: &[HeaderValue],
        tags: &TagSet,
        ids: &[TagId],
        body: &[Bytes],
    ) -> Self {
        let own_len: usize = own.iter().map(HeaderValue::len).sum();
        let tags_len: usize = tags.iter().map(|tag| tag.as_str().len() + 1).sum();
        let body_len: usize = body.iter().map(Bytes::len).sum();
        let len = key.tail().len() + tags_len.saturating_sub(1) + size_of_val(ids) + own_len + body_len;
        let mut buffer = Vec::with_capacity(len);
        let end = |buffer: &Vec<u8>| u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(key.tail());
        let tail_end = end(&buffer);
        for (n, tag) in tags.iter().enumerate() {
            if n > 0 {
                buffer.push(b' ');
            }
            buffer.extend_from_slice(tag.as_str().as_bytes());
        }
        let tags_end = end(&buffer);
        ids.iter().for_each(|id| buffer.extend_from_slice(&id.0.to_le_bytes()));
        let ids_end = end(&buffer);
        own.iter().for_each(|value| buffer.extend_from_slice(value.as_bytes()));
        let body_start = end(&buffer);
        body.iter().for_each(|frame| buffer.extend_from_slice(frame));
        let buffer = Bytes::from(buffer);
        let mut at = ids_end as usize;
        let own = own.iter().map(|value| {
            let start = at;
            at += value.len();
            HeaderValue::from_maybe_shared(buffer.slice(start..at)).unwrap_or_else(|_| value.clone())
        });
        let (own, scope) = (own.collect(), Arc::clone(key.scope()));
        let (verified, changes, hits) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU32::new(0));
        Self {
            scope,
            head,
            buffer,
            own,
            birth,
            verified,
            changes,
            hits,
            tail_end,
            tags_end,
            ids_end,
            body_start,
            pays_for_head: false,
            lead: Lead::default(),
        }
    }

    /// Counts the head as the page's own: nobody had one like it before.
    #[must_use]
    pub fn paying_for_head(mut self) -> Self {
        self.pays_for_head = true;
        self
    }

    /// Has hits begin a render ahead of the page's end, by this lead on average.
    #[must_use]
    pub fn with_lead(mut self, lead: Lead) -> Self {
        self.lead = lead;
        self
    }

    /// Whether this is the page of that key, part by part.
    #[must_use]
    pub fn is_of(&self, key: &KeyRef<'_>) -> bool {
        key.matches(&self.scope, &self.buffer[..self.tail_end as usize])
    }

    /// The key, written down.
    #[must_use]
    pub fn key(&self) -> Option<CacheKey> {
        let tail = Bytes::copy_from_slice(&self.buffer[..self.tail_end as usize]);
        CacheKey::from_parts(Arc::clone(&self.scope), tail)
    }

    /// What the page's key shares with its neighbours.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The facts of its birth.
    #[must_use]
    pub const fn birth(&self) -> &Birth {
        &self.birth
    }

    /// For how long it is of use.
    #[must_use]
    #[inline]
    pub fn lifetime(&self) -> &Lifetime {
        self.head.lifetime()
    }

    /// How long before its end it is rendered anew, on average.
    #[must_use]
    #[inline]
    pub const fn lead(&self) -> Lead {
        self.lead
    }

    /// The current age.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.birth.at)
    }

    /// The explicit tags, as text.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let text = std::str::from_utf8(&self.buffer[self.tail_end as usize..self.tags_end as usize])
            .unwrap_or_default();
        text.split(' ').filter(|tag| !tag.is_empty())
    }

    /// The ids of the tags that decide about the page, without those of its scope.
    pub fn ids(&self) -> impl Iterator<Item = TagId> {
        let (ids, _) = self.buffer[self.tags_end as usize..self.ids_end as usize].as_chunks::<8>();
        ids.iter().map(|id| TagId(u64::from_le_bytes(*id)))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The body, sharing the page's buffer.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.buffer.slice(self.body_start as usize..)
    }

    /// How many bytes of memory the page holds, for the bound on bytes. The same for as long as it lives.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        // A head never changes, nor does its weight.
        let head = if self.pays_for_head { self.head.weight_bytes() } else { 0 };
        let texts = self.buffer.len() + self.scope.text_bytes() + head;
        size_of::<Self>() + texts + size_of_val(&*self.own) + OVERHEAD_BYTES
    }

    /// Judges the page by marks that were read after `seen` was.
    pub fn judge(&self, now: Moment, marks: &Marks, seen: Seen) -> Verdict {
        if self.is_killed() {
            return Verdict::Dead;
        }
        let snapshot = self.birth.snapshot;
        let judged = verdict(snapshot, self.lifetime(), self.head.loss(), self.age(now), marks);
        let untouched = marks.incarnation == snapshot.incarnation
            && marks.latest.soft.max(marks.latest.hard) <= snapshot.seq;
        if untouched {
            // Pair with the Acquire in `is_verified` and `judge_unchanged`. Never lower, and never revive a killed page.
            self.changes.fetch_max(seen.changes, Ordering::Release);
            self.verified.fetch_max(seen.applied, Ordering::Release);
        }
        judged
    }

    /// Whether nothing was applied since the page's marks were found harmless. One load.
    #[must_use]
    pub fn is_verified(&self, applied: u64) -> bool {
        self.verified.load(Ordering::Acquire) == applied
    }

    /// Judges the page without its marks, if none of them can have changed since they were found harmless: what
    /// was applied meanwhile concerned others.
    #[must_use]
    pub fn judge_unchanged(&self, now: Moment, seen: Seen) -> Option<Verdict> {
        if self.changes.load(Ordering::Acquire) != seen.changes || self.is_killed() {
            return None;
        }
        self.verified.fetch_max(seen.applied, Ordering::Release);
        let is_fresh = self.lifetime().is_fresh(self.age(now));
        Some(if is_fresh { Verdict::Fresh } else { Verdict::Stale(Staleness::Aged) })
    }

    /// Takes the page as judged, for the must-fail twin that believes its store.
    #[cfg(feature = "twins")]
    pub(crate) fn trust(&self, applied: u64) {
        self.verified.store(applied, Ordering::Release);
    }

    /// Kills the page: a tag was added after it was sealed, so its marks can't be trusted.
    pub fn kill(&self) {
        // A read-modify-write as in `judge`: `loom` does not order a plain store with one.
        self.verified.fetch_max(KILLED, Ordering::Release);
    }

    fn is_killed(&self) -> bool {
        self.verified.load(Ordering::Acquire) == KILLED
    }

    /// Counts a visit; says how many there were.
    pub fn visit(&self) -> u32 {
        self.hits.fetch_add(1, Ordering::Relaxed)
    }

    /// How often the page was served.
    #[must_use]
    pub fn visits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Whether only the bearers of a draft secret may see it.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.scope.audience == Audience::Draft
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("route", &self.scope.route)
            .field("status", &self.status())
            .field("seq", &self.birth.snapshot.seq)
            .field("bytes", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_size_that_the_memory_bench_was_run_with() {
        assert_eq!(size_of::<Page>(), 136);
    }
}
