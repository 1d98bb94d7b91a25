//! Page → bytes.

use http::HeaderValue;
use http::header::CACHE_STATUS;
use sha2::{Digest, Sha256};

use super::fields::{put_bytes, put_duration};
use super::{MAGIC, TAG_HASH_BYTES, VERSION};
use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::page::Page;
use crate::model::verdict::Loss;
use crate::model::written::{put, put_optional};

/// What a page is besides its reuse, in the upper bits of a byte.
pub(super) const CODABLE: u8 = 1 << 7;
pub(super) const REVALIDATE: u8 = 1 << 6;

pub(super) fn write(key: &CacheKey, page: &Page, now: Moment, fence: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.body_len() + 1024);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    let snapshot = page.birth().snapshot;
    out.extend_from_slice(&snapshot.incarnation.to_bytes());
    out.extend_from_slice(&snapshot.seq.to_be_bytes());
    out.extend_from_slice(&fence.to_be_bytes());
    put_tags(&mut out, page);
    put_key(&mut out, key);
    let tags: Vec<&str> = page.tags().collect();
    put_bytes(&mut out, tags.join(" ").as_bytes());
    out.extend_from_slice(&page.status().as_u16().to_le_bytes());
    let codable = if page.is_codable() { CODABLE } else { 0 };
    let loss = if page.loss() == Loss::Revalidate { REVALIDATE } else { 0 };
    out.push(page.reuse().bits() | codable | loss);
    out.extend_from_slice(&page.lead().bits().to_le_bytes());
    let lifetime = page.lifetime();
    for duration in [lifetime.fresh, lifetime.while_revalidate, lifetime.if_error, page.age(now)] {
        put_duration(&mut out, duration);
    }
    put_head(&mut out, page);
    let mut content = page.content();
    while let Some(piece) = content.take() {
        out.extend_from_slice(&piece);
    }
    out
}

fn put_tags(out: &mut Vec<u8>, page: &Page) {
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    let mut count = 0_u16;
    for tag in page.tags() {
        out.extend_from_slice(&Sha256::digest(tag)[..TAG_HASH_BYTES]);
        count += 1;
    }
    out[at..at + 2].copy_from_slice(&count.to_be_bytes());
}

/// The key, part by part, with its length before it.
pub(super) fn put_key(out: &mut Vec<u8>, key: &CacheKey) {
    let scope = key.scope();
    let mut text = vec![scope.scheme as u8, scope.audience as u8];
    put(&mut text, &scope.authority);
    put(&mut text, &scope.route);
    put_optional(&mut text, scope.tenant.as_deref());
    text.extend_from_slice(&u16::try_from(scope.vary.len()).unwrap_or(u16::MAX).to_le_bytes());
    for name in &scope.vary {
        put(&mut text, name.as_str());
    }
    text.extend_from_slice(key.tail());
    put_bytes(out, &text);
}

/// The lines of the head, without those of each answer; a nearer cache's `Cache-Status` among them.
fn put_head(out: &mut Vec<u8>, page: &Page) {
    let open = HeaderValue::from_static("");
    let shown = page.shown(None);
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    let mut count = 0_u16;
    let mut line = |name: &str, value: &[u8]| {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value);
        count += 1;
    };
    if let Some(prior) = shown.prior() {
        line(CACHE_STATUS.as_str(), prior.as_bytes());
    }
    for (name, value) in shown.fields([&open, &open], false).skip(2) {
        line(name.as_str(), value.as_bytes());
    }
    out[at..at + 2].copy_from_slice(&count.to_le_bytes());
}
