//! The `Cache-Status` of plain hits, which a hit clones without writing it.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

use crate::ladder::Ladder;
use crate::model::cache_status::CacheStatus;

/// `<name>; hit; ttl=…` of one cache name.
#[derive(Debug)]
pub(crate) struct Hits {
    name: &'static str,
    ladder: Ladder,
}

impl Hits {
    /// The ladder of a name. Each distinct name has one for the life of the process.
    pub(crate) fn of(name: &str) -> &'static Self {
        static ALL: Mutex<Vec<&'static Hits>> = Mutex::new(Vec::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.iter().find(|hits| hits.name == name) {
            return found;
        }
        let name = Box::leak(name.to_owned().into_boxed_str());
        let hits: &'static Self = Box::leak(Box::new(Self { name, ladder: Ladder::new() }));
        all.push(hits);
        hits
    }

    #[inline]
    pub(crate) fn value(&self, ttl: i64) -> HeaderValue {
        let write = |ttl| CacheStatus { ttl: Some(ttl), ..CacheStatus::default() }.to_value(self.name);
        match u64::try_from(ttl) {
            Ok(small) => self.ladder.value(small, |n| write(i64::try_from(n).unwrap_or(i64::MAX))),
            Err(_) => write(ttl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_on_and_above_the_ladder() {
        let hits = Hits::of("c");
        assert_eq!(hits.value(5), "c;hit;ttl=5");
        assert_eq!(hits.value(-5), "c;hit;ttl=-5");
        assert_eq!(hits.value(100_000), "c;hit;ttl=100000");
    }
}
