//! Pages as bytes, for stores that keep them outside the process.
//!
//! # Layout, version 1
//!
//! | bytes | what |
//! |---|---|
//! | 2 | `ei` |
//! | 1 | the version |
//! | 16 | the incarnation of the page's snapshot |
//! | 8 | the number of its snapshot, big end first |
//! | 8 | the fence that orders pages of one snapshot, big end first |
//! | 2 + 16 × n | how many explicit tags, big end first, and the first 16 bytes of the SHA-256 of each |
//! | … | the key, the tags, status, lifetime, age, head and body: see `write` |
//! | 4 or 16 | CRC-32 of all before it, or the first 16 bytes of an HMAC-SHA-256 where there is a key |
//!
//! What stands up to the hashes has its place for good: a store's script compares it without reading the rest. Version 1
//! stays readable.

mod fields;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::page::Page;

const MAGIC: [u8; 2] = *b"ei";
const VERSION: u8 = 1;
/// How many bytes have their place for good; the number of tags comes next.
#[cfg(feature = "redis")]
pub(super) const HEADER_BYTES: usize = TAGS_AT;
const TAGS_AT: usize = 35;
/// How much of a tag's SHA-256 is written.
const TAG_HASH_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
const SEAL_BYTES: usize = 16;

/// How pages are written down and read again.
///
/// ```
/// use std::time::Duration;
///
/// use edge_isr_core::clock::Moment;
/// use edge_isr_core::store::{Format, Kept};
/// use edge_isr_core::testing::sample::{self, SamplePage};
///
/// let (format, key) = (Format::new(), sample::key());
/// let page = SamplePage { at: Moment::from_nanos(5_000), ..SamplePage::of(&key) }.build();
/// let written = format.write(&key, &page, Moment::from_nanos(6_000), 0);
/// // Two seconds later, by another process whose clock stands elsewhere.
/// let now = Moment::from_nanos(9_000_000_000);
/// let read = format.read(&key, &written.into(), Kept::For(Duration::from_secs(2)), now)?;
/// assert_eq!(read.body(), page.body());
/// assert_eq!(read.age(now), Duration::from_nanos(2_000_001_000));
/// assert!(format.read(&sample::key(), &"ei\u{1}".into(), Kept::For(Duration::ZERO), now).is_err());
/// # Ok::<_, edge_isr_core::store::FormatError>(())
/// ```
#[derive(Clone, Default)]
pub struct Format {
    seal: Option<Arc<Hmac<Sha256>>>,
}

/// How long a page has been kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// For so long.
    For(Duration),
    /// So that `left` remains of its life, which is its lifetime and its stale windows as they were when it was written,
    /// and of `more` after that.
    Left {
        /// What remains of both.
        left: Duration,
        /// How long it is kept beyond its life.
        more: Duration,
    },
}

/// Why bytes are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// They begin as nothing of ours does.
    #[error("these bytes are no page of edge-isr's")]
    Foreign,
    /// They were written by a later version.
    #[error("a later version wrote this page")]
    Newer,
    /// They are not what was written, or were sealed with another key.
    #[error("the page was cut off, changed, or sealed with another key")]
    Broken,
    /// They are the page of another key.
    #[error("this is the page of another key")]
    OtherKey,
}

impl Format {
    /// Pages that anybody may write who can reach the store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pages that only the bearers of this key can write: for a store that others share. An HMAC-SHA-256 stands in place
    /// of the checksum.
    #[must_use]
    pub fn sealed(key: &[u8]) -> Self {
        // Any length is right for an HMAC (RFC 2104 §3).
        Self { seal: Hmac::new_from_slice(key).ok().map(Arc::new) }
    }

    /// A page as bytes. `fence` orders pages of one snapshot: of those a store keeps the one with the higher fence.
    #[must_use]
    pub fn write(&self, key: &CacheKey, page: &Page, now: Moment, fence: u64) -> Vec<u8> {
        let mut out = write::write(key, page, now, fence);
        match &self.seal {
            None => out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes()),
            Some(seal) => out.extend_from_slice(&sum(seal, &out)),
        }
        out
    }

    /// The page that bytes are of.
    ///
    /// # Errors
    ///
    /// When they are not what [`write`](Self::write) made of a page of this key.
    pub fn read(&self, key: &CacheKey, bytes: &Bytes, kept: Kept, now: Moment) -> Result<Page, FormatError> {
        let [magic @ .., version] = bytes.first_chunk::<3>().ok_or(FormatError::Foreign)?;
        match version {
            _ if *magic != MAGIC => return Err(FormatError::Foreign),
            &VERSION => {}
            _ => return Err(FormatError::Newer),
        }
        let end = self.whole(bytes).ok_or(FormatError::Broken)?;
        read::read(key, &bytes.slice(..end), kept, now)
    }

    /// Whether a page from a later snapshot of the same incarnation, of which this is the beginning, is to stay.
    #[cfg(feature = "redis")]
    pub(super) fn is_outrun(new: &[u8], old: &[u8]) -> bool {
        let order = |bytes: &[u8]| bytes.get(19..TAGS_AT).map(<[u8]>::to_vec);
        old.len() == TAGS_AT && old[..19] == new[..19] && order(old) > order(new)
    }

    /// Where the bytes end that the sum is of, if it is right.
    fn whole(&self, bytes: &[u8]) -> Option<usize> {
        match &self.seal {
            None => {
                let (text, sum) = bytes.split_last_chunk::<CRC_BYTES>()?;
                (u32::from_le_bytes(*sum) == crc32fast::hash(text)).then_some(text.len())
            }
            Some(seal) => {
                let (text, told) = bytes.split_last_chunk::<SEAL_BYTES>()?;
                let mut seal = Hmac::clone(seal);
                seal.update(text);
                seal.verify_truncated_left(told).ok().map(|()| text.len())
            }
        }
    }
}

fn sum(seal: &Hmac<Sha256>, text: &[u8]) -> [u8; SEAL_BYTES] {
    let mut seal = seal.clone();
    seal.update(text);
    let mut sum = [0; SEAL_BYTES];
    sum.copy_from_slice(&seal.finalize().into_bytes()[..SEAL_BYTES]);
    sum
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format").field("is_sealed", &self.seal.is_some()).finish()
    }
}
