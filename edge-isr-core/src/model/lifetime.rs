//! How long a page is fresh, and how long it may be served after that.

use std::time::Duration;

/// The durations of a page, counted from its birth (RFC 9111 §4.2.1, RFC 5861).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    /// Freshness lifetime.
    pub fresh: Duration,
    /// How long after that it may be served while a render runs.
    pub while_revalidate: Duration,
    /// How long after that it may be served because renders fail.
    pub if_error: Duration,
}

impl Lifetime {
    /// The longest duration that caches in front understand (RFC 9111 §1.2.2), some 68 years.
    pub const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

    /// Whether a page of this age is within its freshness lifetime.
    #[must_use]
    pub fn is_fresh(&self, age: Duration) -> bool {
        age < self.fresh
    }

    /// Whether a page of this age may be served while a render runs.
    #[must_use]
    pub fn may_serve_while_revalidating(&self, age: Duration) -> bool {
        !self.while_revalidate.is_zero() && age < self.fresh.saturating_add(self.while_revalidate)
    }

    /// Whether a page of this age may be served because a render failed.
    #[must_use]
    pub fn may_serve_on_error(&self, age: Duration) -> bool {
        !self.if_error.is_zero() && age < self.fresh.saturating_add(self.if_error)
    }

    /// The age beyond which the page is of no use to anybody.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.fresh.saturating_add(self.while_revalidate.max(self.if_error))
    }

    /// The same with its freshness shortened by this share of it, but not below one second. What is shorter
    /// already stays as it is.
    #[must_use]
    pub fn shortened(self, share: f64) -> Self {
        let least = self.fresh.min(Duration::from_secs(1));
        let fresh = self.fresh.as_secs_f64() * (1.0 - share.clamp(0.0, 1.0));
        // What rounding makes longer than any duration is not shortened.
        let fresh = Duration::try_from_secs_f64(fresh).unwrap_or(self.fresh);
        Self { fresh: fresh.clamp(least, self.fresh), ..self }
    }

    /// What remains of the freshness lifetime in whole seconds; negative when it is over.
    #[must_use]
    pub fn ttl(&self, age: Duration) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        // In whole seconds, as `Age` is, so that the two add up to the lifetime.
        let left = seconds(self.fresh) - seconds(age);
        if self.is_fresh(age) { left } else { left.min(-1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_page_is_fresh_until_its_lifetime_and_not_at_it() {
        let lifetime = Lifetime { fresh: 10 * S, while_revalidate: 5 * S, if_error: 20 * S };
        assert!(lifetime.is_fresh(Duration::from_nanos(9_999_999_999)));
        assert!(!lifetime.is_fresh(10 * S));
        assert!(lifetime.may_serve_while_revalidating(14 * S));
        assert!(!lifetime.may_serve_while_revalidating(15 * S));
        assert!(lifetime.may_serve_on_error(29 * S));
        assert!(!lifetime.may_serve_on_error(30 * S));
        assert_eq!((lifetime.ttl(4 * S), lifetime.ttl(10 * S), lifetime.ttl(12 * S)), (6, -1, -2));
        assert_eq!(lifetime.total(), 30 * S);
    }

    #[test]
    fn a_share_shortens_freshness_alone_and_not_below_a_second() {
        let lifetime = Lifetime { fresh: 10 * S, while_revalidate: 5 * S, if_error: 20 * S };
        let fresh = |share| lifetime.shortened(share).fresh;
        assert_eq!((fresh(0.0), fresh(0.25), fresh(0.95), fresh(1.0)), (10 * S, S * 15 / 2, S, S));
        assert_eq!((fresh(-1.0), fresh(2.0)), (10 * S, S));
        assert_eq!(lifetime.shortened(0.5), Lifetime { fresh: 5 * S, ..lifetime });
        let short = Lifetime { fresh: S / 2, ..lifetime };
        assert_eq!(short.shortened(0.9), short);
        let endless = Lifetime { fresh: Duration::MAX, ..lifetime };
        assert_eq!(endless.shortened(0.0), endless);
    }

    #[test]
    fn without_windows_nothing_stale_is_served() {
        let lifetime = Lifetime { fresh: S, ..Lifetime::default() };
        assert!(!lifetime.may_serve_while_revalidating(Duration::ZERO));
        assert!(!lifetime.may_serve_on_error(Duration::ZERO));
    }
}
