//! The only source of chance. What is drawn here spreads work over time; nothing secret comes from it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The step of SplitMix64: the golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A counter whose steps are scrambled (SplitMix64): threads share it without a lock, and the same seed gives
/// the same draws.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// 64 random bits.
    pub(crate) fn bits(&self) -> u64 {
        let state = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from above 0 up to 1, as a logarithm can take it.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are as many as a float holds")]
    pub(crate) fn unit(&self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_are_those_of_splitmix64() {
        // The reference implementation's first values from the seed 1234567.
        let chance = Chance::seeded(1_234_567);
        assert_eq!(chance.bits(), 6_457_827_717_110_365_317);
        assert_eq!(chance.bits(), 3_203_168_211_198_807_973);
        assert_eq!(chance.bits(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn units_are_above_zero_up_to_one_and_even() {
        let chance = Chance::seeded(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let unit = chance.unit();
            assert!(unit > 0.0 && unit <= 1.0, "{unit}");
            tenths[((unit * 10.0) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (9_600..10_400).contains(count)), "{tenths:?}");
        // A state that scrambles to zero: the step before it is all of a seed.
        let least = Chance::seeded(STEP.wrapping_neg());
        assert_eq!(least.bits(), 0);
        assert!(Chance::seeded(STEP.wrapping_neg()).unit() > 0.0);
    }
}
