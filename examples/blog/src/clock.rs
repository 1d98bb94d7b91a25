//! The one place that reads the clock, for the line at the foot of each page.

use std::time::{Instant, SystemTime};

use jiff::Timestamp;

/// The moment a render began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: SystemTime,
    steady: Instant,
}

#[expect(clippy::disallowed_methods, reason = "shown to the reader; no decision depends on it")]
pub(crate) fn now() -> Moment {
    Moment { wall: SystemTime::now(), steady: Instant::now() }
}

impl Moment {
    /// Whole milliseconds since `earlier`.
    pub(crate) fn millis_since(self, earlier: Self) -> u128 {
        self.steady.saturating_duration_since(earlier.steady).as_millis()
    }

    /// This moment in UTC with milliseconds: `2026-11-20T15:28:08.123Z`.
    pub(crate) fn utc(self) -> String {
        let timestamp = Timestamp::try_from(self.wall).unwrap_or_default();
        format!("{timestamp:.3}")
    }
}

/// A day as people write it: `20 November 2026`.
pub(crate) fn day(unix_seconds: i64) -> String {
    let timestamp = Timestamp::from_second(unix_seconds).unwrap_or_default();
    timestamp.strftime("%-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_with_milliseconds() {
        let moment = Moment { wall: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500), ..now() };
        assert_eq!(moment.utc(), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn a_day_has_no_leading_zero() {
        assert_eq!(day(4 * 86_400), "5 January 1970");
    }
}
