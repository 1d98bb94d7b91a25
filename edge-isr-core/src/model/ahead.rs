//! Refresh-ahead: when a page that is still fresh is rendered anew, so that nobody meets it aged.
//!
//! XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention", 2015): each hit
//! draws a lead, `−δ·β·ln(u)`, and begins a render if no more than that is left of the lifetime. δ is how long
//! the page took to render. Nodes that share nothing spread their renders, with nothing to agree on.

use std::time::Duration;

/// How many mean leads before its end a page's hits begin to draw. A draw reaches further once in nine million.
const WINDOW: u32 = 16;

/// The mean lead of a page: δ·β. Zero, where the policy asks for none, never begins a render.
///
/// A page has 16 bits for it: a number of microseconds with 11 bits after the leading one and 5 bits of exponent.
/// That is exact up to 4 ms and less than 0.05 % too short beyond; what is drawn from it is spread far wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Lead(u16);

const MANTISSA_BITS: u32 = 11;
const LEADING_ONE: u64 = 1 << MANTISSA_BITS;

impl Lead {
    /// The mean lead of a page that took so long to render. It saturates at some 50 days.
    #[must_use]
    pub fn of(took: Duration, beta: f64) -> Self {
        // Casting saturates, and takes what is no number for zero.
        Self::encode((took.as_secs_f64() * beta * 1e6).round() as u64)
    }

    const fn encode(micros: u64) -> Self {
        let bits = u64::BITS - micros.leading_zeros();
        if bits <= MANTISSA_BITS {
            return Self(micros as u16);
        }
        let shift = bits - MANTISSA_BITS - 1;
        if shift + 1 >= 1 << (u16::BITS - MANTISSA_BITS) {
            return Self(u16::MAX);
        }
        let mantissa = (micros >> shift) & (LEADING_ONE - 1);
        Self((shift as u16 + 1) << MANTISSA_BITS | mantissa as u16)
    }

    /// The 16 bits, as they are written down.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From the 16 bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The mean lead as a duration.
    #[must_use]
    pub const fn mean(self) -> Duration {
        let (exponent, mantissa) = (self.0 >> MANTISSA_BITS, self.0 as u64 & (LEADING_ONE - 1));
        Duration::from_micros(match exponent {
            0 => mantissa,
            _ => (mantissa | LEADING_ONE) << (exponent - 1),
        })
    }

    /// Whether hits never begin a render ahead.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether a hit on a page of this age begins a render. `unit` draws evenly from above 0 up to 1; it is asked
    /// only near the end.
    ///
    /// Never in the first half of the lifetime: a page that takes as long to render as it lives would
    /// otherwise be rendered without a pause.
    #[must_use]
    pub fn is_due(self, age: Duration, fresh: Duration, unit: impl FnOnce() -> f64) -> bool {
        let left = fresh.saturating_sub(age);
        let mean = self.mean();
        // Nothing left: it has aged, and the stale rules see to it.
        if left.is_zero() || left > (mean * WINDOW).min(fresh / 2) {
            return false;
        }
        left.as_secs_f64() <= -mean.as_secs_f64() * unit().ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Chance;

    const S: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The lead of the first hit that is due, of one hit each millisecond.
    fn first_due(lead: Lead, fresh: Duration, chance: &Chance) -> Option<Duration> {
        let lives = u64::try_from(fresh.as_millis()).unwrap();
        let due = |age: &Duration| lead.is_due(*age, fresh, || chance.unit());
        (0..=lives).map(Duration::from_millis).find(due).map(|age| fresh - age)
    }

    #[test]
    fn a_single_hit_is_due_as_often_as_the_formula_says() {
        let chance = Chance::seeded(7);
        let lead = Lead::of(S, 2.0);
        for (left, expected) in [(1, 0.606_5), (2, 0.367_9), (4, 0.135_3), (10, 0.006_7)] {
            let age = HOUR - Duration::from_secs(left);
            let due = (0..200_000).filter(|_| lead.is_due(age, HOUR, || chance.unit())).count();
            let share = due as f64 / 200_000.0;
            assert!((share - expected).abs() < 0.005, "{left} s: {share}, expected {expected}");
        }
    }

    #[test]
    fn the_mean_lead_is_the_render_time_times_beta() {
        let chance = Chance::seeded(11);
        for (took, beta) in [(100, 1.0), (100, 3.0), (2_000, 0.5)] {
            let lead = Lead::of(Duration::from_millis(took), beta);
            // What a draw says: the greatest time left at which it is still due.
            let drawn = |unit: f64| {
                let (mut low, mut high) = (Duration::ZERO, HOUR / 2);
                while high - low > Duration::from_micros(10) {
                    let left = low.midpoint_of(high);
                    if lead.is_due(HOUR - left, HOUR, || unit) { low = left } else { high = left }
                }
                low.as_secs_f64()
            };
            let mean = (0..20_000).map(|_| drawn(chance.unit())).sum::<f64>() / 20_000.0;
            let expected = took as f64 / 1000.0 * beta;
            assert!((mean / expected - 1.0).abs() < 0.03, "{took} ms, {beta}: {mean} s");
        }
    }

    trait Midpoint {
        fn midpoint_of(self, other: Self) -> Self;
    }

    impl Midpoint for Duration {
        fn midpoint_of(self, other: Self) -> Self {
            (self + other) / 2
        }
    }

    #[test]
    fn many_readers_begin_earlier_by_the_logarithm_of_their_number_and_no_more() {
        let chance = Chance::seeded(3);
        let lead = Lead::of(S / 10, 1.0);
        // A thousand hits a second and 100 ms to render: ln(100) = 4.6 mean leads, plus Euler's 0.58.
        let leads: Vec<f64> =
            (0..300).map(|_| first_due(lead, 60 * S, &chance).unwrap().as_secs_f64()).collect();
        let mean = leads.iter().sum::<f64>() / 300.0;
        assert!((0.45..0.60).contains(&mean), "{mean}");
        assert!(leads.iter().all(|&lead| lead < 1.6));
    }

    #[test]
    fn chance_is_asked_only_near_the_end() {
        let never = || -> f64 { panic!("it is too early, or too late") };
        let lead = Lead::of(S, 1.0);
        assert!(!lead.is_due(Duration::ZERO, HOUR, never));
        assert!(!lead.is_due(HOUR - 17 * S, HOUR, never));
        assert!(!lead.is_due(HOUR, HOUR, never));
        assert!(!lead.is_due(HOUR + S, HOUR, never));
        assert!(lead.is_due(HOUR - 15 * S, HOUR, || f64::MIN_POSITIVE));
        assert!(!Lead::default().is_due(HOUR - Duration::from_nanos(1), HOUR, never));
        let slow = Lead::of(60 * S, 1.0);
        assert!(!slow.is_due(49 * S, 100 * S, never), "never in the first half");
        assert!(slow.is_due(50 * S, 100 * S, || f64::MIN_POSITIVE));
    }

    #[test]
    fn what_took_no_time_or_has_no_beta_is_never_due() {
        assert!(Lead::of(Duration::ZERO, 100.0).is_none());
        assert!(Lead::of(HOUR, 0.0).is_none());
        assert!(Lead::of(HOUR, f64::NAN).is_none());
        assert!(!Lead::of(Duration::from_micros(1), 1.0).is_none());
    }

    #[test]
    fn it_saturates() {
        assert_eq!(Lead::of(Duration::MAX, 100.0), Lead(u16::MAX));
        assert_eq!(Lead::encode(u64::MAX), Lead(u16::MAX));
        assert_eq!(Lead(u16::MAX).mean(), Duration::from_micros(4095 << 30));
        assert!(!Lead(u16::MAX).is_due(Duration::MAX, Duration::MAX, || 0.5));
    }

    #[test]
    fn every_code_comes_back_and_they_stand_in_order() {
        let mut last = None;
        for code in 0..=u16::MAX {
            let mean = Lead(code).mean();
            assert_eq!(Lead::encode(u64::try_from(mean.as_micros()).unwrap()), Lead(code));
            assert!(last < Some(mean), "{code}");
            last = Some(mean);
        }
    }

    proptest! {
        #[test]
        fn it_is_never_too_long_and_hardly_too_short(micros in 0_u64..4095 << 30) {
            let kept = u64::try_from(Lead::encode(micros).mean().as_micros()).unwrap();
            prop_assert!(kept <= micros);
            prop_assert!(micros - kept <= micros >> MANTISSA_BITS, "{micros} {kept}");
        }

        #[test]
        fn nothing_is_due_outside_its_window(
            took in 0_u64..100_000_000, beta in 0.01..100.0, fresh in 1_u64..1 << 31, age in 0_u64..1 << 32, unit in 1e-300..1.0
        ) {
            let (age, fresh) = (Duration::from_secs(age), Duration::from_secs(fresh));
            if Lead::of(Duration::from_micros(took), beta).is_due(age, fresh, || unit) {
                prop_assert!(age < fresh && age >= fresh / 2);
            }
        }
    }
}
