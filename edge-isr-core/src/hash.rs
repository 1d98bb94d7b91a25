//! One keyed hash for everything that stays inside the process.
//!
//! The key is random per process, so a stranger can't aim for collisions from outside; whoever looks
//! something up by such a hash still compares the full value, or only over-invalidates on a collision.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

// Builds that are never for production hash alike in every process, so that a history replays from its seed.
#[cfg(feature = "twins")]
use foldhash::quality::FixedState as State;
#[cfg(not(feature = "twins"))]
use foldhash::quality::RandomState as State;

static STATE: LazyLock<State> = LazyLock::new(State::default);

/// A hasher that is fed segments; [`segment`] keeps them apart.
pub(crate) fn hasher() -> impl Hasher {
    STATE.build_hasher()
}

/// Feeds one segment with its length, so that segments can't run into each other.
#[inline]
pub(crate) fn segment(hasher: &mut impl Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

/// The hash of one text.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut hasher = hasher();
    segment(&mut hasher, bytes);
    hasher.finish()
}

/// Hands a `u64` that is already a hash to a map.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only reached if a key type other than a hash were used; folding keeps it correct all the same.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Builds [`Identity`] hashers.
pub(crate) type IdentityState = std::hash::BuildHasherDefault<Identity>;

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use super::*;

    #[test]
    fn a_hash_stands_for_itself_and_anything_else_is_still_told_apart() {
        let identity = |key: &dyn Fn(&mut Identity)| {
            let mut hasher = Identity::default();
            key(&mut hasher);
            hasher.finish()
        };
        assert_eq!(identity(&|hasher| 7_u64.hash(hasher)), 7);
        assert_ne!(identity(&|hasher| "ab".hash(hasher)), identity(&|hasher| "ba".hash(hasher)));
    }

    #[test]
    fn p31_segments_do_not_run_into_each_other() {
        let two = |one: &[u8], two: &[u8]| {
            let mut hasher = hasher();
            segment(&mut hasher, one);
            segment(&mut hasher, two);
            hasher.finish()
        };
        assert_ne!(two(b"ab", b"c"), two(b"a", b"bc"));
        assert_ne!(two(b"", b"a"), two(b"a", b""));
        assert_eq!(two(b"a", b"b"), two(b"a", b"b"));
    }
}
