//! Header values that a hit clones without an allocation or a reference count: small numbers, and the few
//! texts that most pages share. They are leaked on purpose, and how many is bounded.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use http::HeaderValue;

const RUNGS: usize = 4096;

/// The values of a small number, made when first needed.
#[derive(Debug)]
pub(crate) struct Ladder(Box<[OnceLock<HeaderValue>]>);

impl Ladder {
    pub(crate) fn new() -> Self {
        Self((0..RUNGS).map(|_| OnceLock::new()).collect())
    }

    #[inline]
    pub(crate) fn value(&self, number: u64, write: impl Fn(u64) -> HeaderValue) -> HeaderValue {
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
#[inline]
pub(crate) fn age(seconds: u64) -> HeaderValue {
    static AGES: LazyLock<Ladder> = LazyLock::new(Ladder::new);
    // RFC 9111 §1.2.2: saturate instead of overflowing the receiver.
    AGES.value(seconds.min(i32::MAX as u64), HeaderValue::from)
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
    }
}
