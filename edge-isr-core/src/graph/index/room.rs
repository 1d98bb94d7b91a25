//! Whether one more page of a URL may be bound, and which others give way to it.

use super::row::{Row, url_hash};
use super::{Index, seconds};
use crate::clock::Moment;
use crate::model::key::CacheKey;

/// The most rows of one URL on one site: its variants, in every spelling that percent-encoding has for its path.
/// They share a hash, so each store and each listing of the URL looks at all of them.
pub(super) const MOST_OF_URL: usize = 256;

impl Index {
    /// Which pages give way if one is bound beside the others of its URL: at most `most_variants` of one spelling,
    /// and a bounded number of all. What has expired counts no more, and goes. `None` without room.
    ///
    /// Only variants that are gone give way, those first that expire first; they are known until they are unbound.
    pub fn room_for(
        &mut self,
        key: &CacheKey,
        most_variants: usize,
        now: Moment,
        is_gone: impl Fn(&CacheKey) -> bool,
    ) -> Option<Vec<CacheKey>> {
        self.now = self.now.max(seconds(now));
        let expired = |row: &Row| (row.expires <= self.now).then(|| row.key()).flatten();
        let expired: Vec<CacheKey> = self.of_url(url_hash(key)).filter_map(|(_, row)| expired(row)).collect();
        expired.iter().for_each(|key| self.unbind(key));
        let (mut all, mut variants) = (0, 0);
        for (_, row) in self.of_url(url_hash(key)).filter(|(_, row)| !row.is(key)) {
            all += 1;
            variants += usize::from(row.is_variant_of(key));
        }
        let excess = (variants + 1).saturating_sub(most_variants);
        if all - excess.min(all) >= MOST_OF_URL.max(most_variants) {
            return None;
        }
        if excess == 0 {
            return Some(Vec::new());
        }
        let variants = self.of_url(url_hash(key)).filter(|(_, row)| row.is_variant_of(key) && !row.is(key));
        let keys = variants.filter_map(|(_, row)| Some((row.expires, row.key()?)));
        let mut gone: Vec<(u32, CacheKey)> = keys.filter(|(_, key)| is_gone(key)).collect();
        gone.sort_by_key(|(expires, _)| *expires);
        gone.truncate(excess);
        (gone.len() == excess).then(|| gone.into_iter().map(|(_, key)| key).collect())
    }
}
