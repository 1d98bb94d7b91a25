//! Draws of keys from a fixed seed.

use crate::outcome::float;

/// So many draws of `0..keys`, the n-th key as often as 1/n.
#[must_use]
pub fn zipf(keys: u32, draws: usize) -> Vec<u32> {
    let mut zipf = Zipf::new(keys, 0x9e37_79b9_7f4a_7c15);
    (0..draws).map(|_| zipf.draw()).collect()
}

/// Draws `0..keys`, the n-th key as often as 1/n.
#[derive(Debug)]
pub struct Zipf {
    cumulated: Vec<f64>,
    random: Random,
}

impl Zipf {
    /// The same seed, which is not zero, gives the same draws.
    #[must_use]
    pub fn new(keys: u32, seed: u64) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=keys)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self { cumulated, random: Random(seed) }
    }

    /// The next one.
    pub fn draw(&mut self) -> u32 {
        let sum = self.cumulated.last().copied().unwrap_or(0.0);
        let at = self.random.unit() * sum;
        let key = self.cumulated.partition_point(|&up_to| up_to < at).min(self.cumulated.len() - 1);
        u32::try_from(key).unwrap_or(0)
    }
}

/// xorshift64*: good enough to spread keys and sizes.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        float(self.number() >> 11) / float(1 << 53)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_drawn_about_as_often_as_all_of_the_last_half() {
        let draws = zipf(10_000, 100_000);
        let first = draws.iter().filter(|&&key| key == 0).count();
        // 1/H(10,000) is 0.102; the last half has ln 2 of that.
        assert!((9_500..11_000).contains(&first), "{first}");
        let half = draws.iter().filter(|&&key| key >= 5_000).count();
        assert!((6_500..7_700).contains(&half), "{half}");
    }
}
