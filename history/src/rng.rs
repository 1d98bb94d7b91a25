//! The dice: one per thread, seeded, so that an episode falls the same way each time.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(1) };
}

/// Begins the sequence of a seed on this thread.
pub(crate) fn seed(seed: u64) {
    STATE.set(mix(seed));
}

fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    mix(state)
}

/// SplitMix64's finisher.
pub(crate) const fn mix(state: u64) -> u64 {
    let one = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let two = (one ^ (one >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    two ^ (two >> 31)
}

/// A number below `bound`.
pub(crate) fn below(bound: usize) -> usize {
    let bound = bound.max(1) as u64;
    usize::try_from(next() % bound).unwrap_or(0)
}

/// True once in so many times.
pub(crate) fn one_in(times: usize) -> bool {
    below(times) == 0
}

/// One of these.
pub(crate) fn pick<T: Copy>(from: &[T]) -> T {
    from[below(from.len())]
}
