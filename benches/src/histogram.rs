//! How long something took, many times over, in a room that does not grow with their number.

use std::time::Duration;

/// The width of a bucket, in nanoseconds.
const STEP: u64 = 16;
/// What takes longer than all buckets, about a millisecond, counts as that.
const BUCKETS: usize = 1 << 16;

/// Counts of times.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0 }
    }

    pub(crate) fn add(&mut self, took: Duration) {
        let bucket = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / STEP;
        self.buckets[usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1)] += 1;
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The time, in nanoseconds, that so many of a thousand were no longer than.
    pub(crate) fn per_mille(&self, share: u64) -> u64 {
        let mut left = (self.count * share).div_ceil(1000).max(1);
        for (bucket, &count) in self.buckets.iter().enumerate() {
            if count >= left {
                return (bucket as u64 + 1) * STEP;
            }
            left -= count;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_from_buckets_that_round_up() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.per_mille(900), 0);
        (1..=1000).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        assert_eq!((histogram.count(), histogram.per_mille(900)), (1000, 900_016));
        assert_eq!(histogram.per_mille(500), 500_016);
        histogram.add(Duration::from_secs(1));
        assert_eq!(histogram.per_mille(1000), BUCKETS as u64 * STEP);
    }
}
