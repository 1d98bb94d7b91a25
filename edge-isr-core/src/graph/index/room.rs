//! Whether one more page of a URL may be bound.

use super::row::{Row, url_hash};
use super::{Index, seconds};
use crate::clock::Moment;
use crate::model::key::CacheKey;

/// The most rows of one URL on one site: its variants, in every spelling that percent-encoding has for its path.
/// They share a hash, so each store and each listing of the URL looks at all of them.
pub(super) const MOST_OF_URL: usize = 256;

impl Index {
    /// Whether a page may be bound beside the others of its URL: at most `most_variants` of one spelling, and a
    /// bounded number of all. What has expired counts no more, and goes.
    pub fn has_room_for(&mut self, key: &CacheKey, most_variants: usize, now: Moment) -> bool {
        self.now = self.now.max(seconds(now));
        let expired = |row: &Row| (row.expires <= self.now).then(|| row.key()).flatten();
        let expired: Vec<CacheKey> = self.of_url(url_hash(key)).filter_map(|(_, row)| expired(row)).collect();
        expired.iter().for_each(|key| self.unbind(key));
        let (mut all, mut variants) = (0, 0);
        for (_, row) in self.of_url(url_hash(key)).filter(|(_, row)| !row.is(key)) {
            all += 1;
            variants += usize::from(row.is_variant_of(key));
        }
        variants < most_variants && all < MOST_OF_URL.max(most_variants)
    }
}
