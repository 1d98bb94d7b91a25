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
