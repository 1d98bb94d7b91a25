//! How old an answer was when it came (RFC 9111 §4.2.3).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, HeaderMap};

use super::{Asked, date};
use crate::model::lifetime::Lifetime;

/// The origin's `Date`, or the time of receipt where there is none that can be read (RFC 9110 §6.6.1).
pub(super) fn date_of(headers: &HeaderMap, asked: &Asked) -> SystemTime {
    date::of(headers, &DATE, asked.received).unwrap_or(asked.received)
}

/// The corrected initial age.
pub(super) fn initial(headers: &HeaderMap, asked: &Asked) -> Duration {
    let since = |earlier: SystemTime| asked.received.duration_since(earlier).unwrap_or_default();
    // A date counts whole seconds. One second alone may be nothing but their rounding, and would be the whole
    // life of an answer that is fresh for a second.
    let apparent = Duration::from_secs(since(date_of(headers, asked)).as_secs());
    let apparent = if apparent.as_secs() > 1 { apparent } else { Duration::ZERO };
    let corrected = said(headers).saturating_add(since(asked.sent));
    apparent.max(corrected).min(Lifetime::LONGEST)
}

/// RFC 9111 §5.1: the first member of the first line; what is no number of seconds is ignored.
fn said(headers: &HeaderMap) -> Duration {
    let first = headers.get(AGE).and_then(|line| line.as_bytes().split(|&byte| byte == b',').next());
    first.and_then(|age| seconds(age.trim_ascii())).unwrap_or_default()
}

/// RFC 9111 §1.2.2: a number beyond [`Lifetime::LONGEST`] is that.
pub(super) fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(Duration::from_secs(digits.iter().fold(0, add)).min(Lifetime::LONGEST))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, headers, now};
    use super::*;

    /// A second before `now()` for each, and the delay of the answer.
    fn age(date: Option<i64>, said: &[&str], delay: u64) -> u64 {
        let mut fields: Vec<_> = said.iter().map(|line| ("age", (*line).to_owned())).collect();
        if let Some(before) = date {
            let ago = Duration::from_secs(before.unsigned_abs());
            let date = if before < 0 { now() + ago } else { now() - ago };
            fields.push(("date", httpdate::fmt_http_date(date)));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let asked = Asked { sent: now() - Duration::from_secs(delay), ..asked() };
        initial(&headers(&fields), &asked).as_secs()
    }

    #[test]
    fn h04_the_age_is_the_greater_of_what_is_seen_and_what_is_said() {
        for (date, said, delay, expected) in [
            (None, &[][..], 0, 0),
            (Some(0), &[], 3, 3),
            (Some(0), &["5"], 3, 8),
            // The origin's clock is slow, or the answer old; the same from here.
            (Some(100), &[], 0, 100),
            (Some(100), &["5"], 3, 100),
            (Some(5), &["100"], 3, 103),
            // Its clock is fast.
            (Some(-100), &[], 0, 0),
            (Some(-100), &["5"], 3, 8),
            // No more than the rounding of a date.
            (Some(1), &[], 0, 0),
            (Some(2), &[], 0, 2),
        ] {
            assert_eq!(age(date, said, delay), expected, "{date:?} {said:?} {delay}");
        }
        let reversed = Asked { sent: now() + Duration::from_secs(9), ..asked() };
        assert_eq!(initial(&headers(&[]), &reversed), Duration::ZERO, "a clock that was set back");
    }

    #[test]
    fn h04_of_age_the_first_member_counts_if_it_is_a_number() {
        for (said, expected) in [
            (&["7200"][..], 7200),
            (&["007"], 7),
            (&["7200, 0"], 7200),
            (&["7200 ,0"], 7200),
            (&["0, 7200"], 0),
            (&["7200", "0"], 7200),
            (&["0", "7200"], 0),
            (&["x", "7200"], 0),
            (&[", 7200"], 0),
            (&["abc"], 0),
            (&["-7200"], 0),
            (&["+7200"], 0),
            (&["7200.0"], 0),
            (&["\"7200\""], 0),
            (&["7200;x=y"], 0),
            (&[""], 0),
            (&["2147483647"], 2_147_483_647),
            (&["2147483648"], 2_147_483_647),
            (&["99999999999999999999999999"], 2_147_483_647),
        ] {
            assert_eq!(age(Some(0), said, 0), expected, "{said:?}");
        }
        assert_eq!(age(Some(0), &["2147483647"], 9), 2_147_483_647);
    }

    #[test]
    fn h05_without_a_date_that_can_be_read_it_is_the_time_of_receipt() {
        let date = |fields: &[(&'static str, &str)]| date_of(&headers(fields), &asked());
        let valid = ("date", "Sun, 06 Nov 1994 08:00:00 GMT");
        assert_eq!(date(&[]), now());
        assert_eq!(date(&[("date", "today")]), now());
        assert_eq!(date(&[valid, valid]), now());
        assert_eq!(date(&[valid]), now() - Duration::from_secs(49 * 60 + 37));
    }
}
