//! Header values that a hit clones without an allocation or a reference count: small numbers, and the few
//! texts that most pages share. They are leaked on purpose, and how many is bounded.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use http::HeaderValue;

use crate::model::cache_status::CacheStatus;

const RUNGS: usize = 4096;

/// The values of a small number, made when first needed.
#[derive(Debug)]
struct Ladder(Box<[OnceLock<HeaderValue>]>);

impl Ladder {
    fn new() -> Self {
        Self((0..RUNGS).map(|_| OnceLock::new()).collect())
    }

    fn value(&self, number: u64, write: impl Fn(u64) -> HeaderValue) -> HeaderValue {
        match usize::try_from(number).ok().and_then(|rung| self.0.get(rung)) {
            Some(rung) => rung.get_or_init(|| leak(&write(number))).clone(),
            None => write(number),
        }
    }
}

fn leak(value: &HeaderValue) -> HeaderValue {
    match value.to_str() {
        Ok(text) => HeaderValue::from_static(Box::leak(text.to_owned().into_boxed_str())),
        Err(_) => value.clone(),
    }
}

/// The `Age` of so many seconds.
pub(crate) fn age(seconds: u64) -> HeaderValue {
    static AGES: LazyLock<Ladder> = LazyLock::new(Ladder::new);
    // RFC 9111 §1.2.2: saturate instead of overflowing the receiver.
    AGES.value(seconds.min(i32::MAX as u64), HeaderValue::from)
}

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

    pub(crate) fn value(&self, ttl: i64) -> HeaderValue {
        let write = |ttl| CacheStatus { ttl: Some(ttl), ..CacheStatus::default() }.to_value(self.name);
        match u64::try_from(ttl) {
            Ok(small) => self.ladder.value(small, |n| write(i64::try_from(n).unwrap_or(i64::MAX))),
            Err(_) => write(ttl),
        }
    }
}

/// The same value, static if the text is short and among the first few thousand distinct ones.
pub(crate) fn intern(value: HeaderValue) -> HeaderValue {
    const MOST: usize = 4096;
    const MOST_BYTES: usize = 128;
    static SEEN: LazyLock<Mutex<HashMap<Vec<u8>, HeaderValue>>> = LazyLock::new(Mutex::default);
    if value.len() > MOST_BYTES || value.is_sensitive() {
        return value;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = seen.get(value.as_bytes()) {
        return known.clone();
    }
    if seen.len() >= MOST {
        return value;
    }
    let leaked = leak(&value);
    seen.insert(value.as_bytes().to_vec(), leaked.clone());
    leaked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_and_above_the_ladder() {
        assert_eq!(age(0), "0");
        assert_eq!(age(4095), "4095");
        assert_eq!(age(4096), "4096");
        assert_eq!(age(u64::MAX), "2147483647");
        let hits = Hits::of("c");
        assert_eq!(hits.value(5), "c;hit;ttl=5");
        assert_eq!(hits.value(-5), "c;hit;ttl=-5");
        assert_eq!(hits.value(100_000), "c;hit;ttl=100000");
    }
}
