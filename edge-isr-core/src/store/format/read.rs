//! Bytes → page.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::fields::Reader;
use super::write::{CODABLE, REVALIDATE, put_key};
use super::{FormatError, Kept, TAG_HASH_BYTES, TAGS_AT};
use crate::clock::Moment;
use crate::model::ahead::Lead;
use crate::model::head::HeadParts;
use crate::model::implicit;
use crate::model::key::CacheKey;
use crate::model::lifetime::Lifetime;
use crate::model::page::{Birth, Page};
use crate::model::reuse::Reuse;
use crate::model::snapshot::{Incarnation, Snapshot};
use crate::model::tag::{Tag, TagId, TagSet};
use crate::model::verdict::Loss;

/// What stands at its place for good.
struct Fixed {
    snapshot: Snapshot,
    tags: u16,
}

fn fixed(bytes: &[u8]) -> Option<Fixed> {
    let (_, rest) = bytes.split_at_checked(3)?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let (seq, _) = rest.split_first_chunk()?;
    let snapshot =
        Snapshot { incarnation: Incarnation::from_bytes(*incarnation), seq: u64::from_be_bytes(*seq) };
    let tags = bytes.get(TAGS_AT..)?.first_chunk()?;
    Some(Fixed { snapshot, tags: u16::from_be_bytes(*tags) })
}

pub(super) fn read(key: &CacheKey, bytes: &Bytes, kept: Kept, now: Moment) -> Result<Page, FormatError> {
    let broken = FormatError::Broken;
    let fixed = fixed(bytes).ok_or(broken)?;
    let mut reader = Reader::new(bytes, TAGS_AT + 2 + usize::from(fixed.tags) * TAG_HASH_BYTES);
    let mut own = Vec::new();
    put_key(&mut own, key);
    if reader.take(own.len()).ok_or(broken)? != own {
        return Err(FormatError::OtherKey);
    }
    page(key, fixed.snapshot, reader, kept, now).ok_or(broken)
}

fn page(key: &CacheKey, snapshot: Snapshot, mut reader: Reader<'_>, kept: Kept, now: Moment) -> Option<Page> {
    let tags = reader.text()?.split(' ').filter(|tag| !tag.is_empty());
    let tags: TagSet =
        tags.map(|tag| Tag::parse(tag).ok()).collect::<Option<Vec<Tag>>>()?.into_iter().collect();
    let status = StatusCode::from_u16(reader.short()?).ok()?;
    let facts = reader.byte()?;
    let lead = Lead::from_bits(reader.short()?);
    let lifetime = Lifetime {
        fresh: reader.duration()?,
        while_revalidate: reader.duration()?,
        if_error: reader.duration()?,
    };
    let age = reader.duration()?;
    let since = match kept {
        Kept::For(time) => time,
        Kept::Left { left, more } => {
            lifetime.total().saturating_sub(age).saturating_add(more).saturating_sub(left)
        }
    };
    let at = now.before(age.saturating_add(since));
    let headers = head(&mut reader)?;
    let loss = if facts & REVALIDATE != 0 { Loss::Revalidate } else { Loss::Miss };
    let parts = HeadParts::take(status, headers, lifetime, loss).with_reuse(Reuse::from_bits(facts));
    let own: Vec<HeaderValue> = parts.own().cloned().collect();
    let mut ids: Vec<TagId> = tags.with_ancestors().into_iter().map(TagId::of).collect();
    key.read(|key| implicit::own(key, |tag| ids.push(TagId::of(tag))));
    let id = parts.id();
    let head = Arc::new(parts.build(id));
    let birth = Birth { snapshot, at };
    let page = Page::new(key, birth, head, &own, &tags, &ids, &[reader.rest()]);
    let page = page.paying_for_head().with_lead(lead);
    Some(if facts & CODABLE != 0 { page.codable() } else { page })
}

fn head(reader: &mut Reader<'_>) -> Option<HeaderMap> {
    let count = reader.short()?;
    let mut headers = HeaderMap::with_capacity(usize::from(count).min(64));
    for _ in 0..count {
        let name = HeaderName::from_bytes(reader.bytes()?).ok()?;
        let value = HeaderValue::from_bytes(reader.bytes()?).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}
