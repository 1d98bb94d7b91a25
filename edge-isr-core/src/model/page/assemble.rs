//! How a page is put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32};

use bytes::Bytes;
use http::header::HeaderValue;

use super::{BORDERS_BYTES, Birth, Extra, PAYS_FOR_HEAD, Page, Rope};
use crate::model::ahead::Lead;
use crate::model::head::Head;
use crate::model::key::CacheKey;
use crate::model::tag::{TagId, TagSet};
use crate::sync::modelled::AtomicU64;

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
        let rope = Rope::of(body);
        // A long body stays where it is.
        let body = if rope.is_some() { &[] } else { body };
        let body_len: usize = body.iter().map(Bytes::len).sum();
        let tail_end = key.tail().len();
        let tags_end = tail_end + BORDERS_BYTES + tags_len.saturating_sub(1);
        let ids_end = tags_end + size_of_val(ids);
        let body_start = ids_end + own_len;
        let mut buffer = Vec::with_capacity(body_start + body_len);
        buffer.extend_from_slice(key.tail());
        [tags_end, ids_end].iter().for_each(|end| buffer.extend_from_slice(&place(*end).to_le_bytes()));
        for (n, tag) in tags.iter().enumerate() {
            if n > 0 {
                buffer.push(b' ');
            }
            buffer.extend_from_slice(tag.as_str().as_bytes());
        }
        ids.iter().for_each(|id| buffer.extend_from_slice(&id.0.to_le_bytes()));
        own.iter().for_each(|value| buffer.extend_from_slice(value.as_bytes()));
        body.iter().for_each(|frame| buffer.extend_from_slice(frame));
        let buffer = Bytes::from(buffer);
        let mut at = ids_end;
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
            extra: rope.map(|rope| Box::new(Extra { rope: Some(rope), ..Extra::default() })),
            hits,
            tail_end: place(tail_end),
            body_start: place(body_start),
            facts: 0,
            codings: AtomicU8::new(0),
            lead: Lead::default(),
        }
    }

    /// Counts the head as the page's own: nobody had one like it before.
    #[must_use]
    pub fn paying_for_head(mut self) -> Self {
        self.facts |= PAYS_FOR_HEAD;
        self
    }

    /// Has hits begin a render ahead of the page's end, by this lead on average.
    #[must_use]
    pub fn with_lead(mut self, lead: Lead) -> Self {
        self.lead = lead;
        self
    }
}

/// A place in a page's buffer, in which no place is further: bodies that long are ropes.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
