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
