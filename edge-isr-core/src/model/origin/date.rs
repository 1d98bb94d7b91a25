//! The dates of HTTP (RFC 9110 §5.6.7).
//!
//! Three forms, in any letter case, and nothing that merely looks like one: what is no date is an `Expires` in
//! the past. A day of the week that is not that of the date is forgiven: the numbers alone name the moment.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Reads a date. `now` tells the century of the obsolete form with two digits.
#[must_use]
pub fn read(text: &[u8], now: SystemTime) -> Option<SystemTime> {
    imf_fixdate(text).or_else(|| rfc850(text, now)).or_else(|| asctime(text))
}

/// Reads a field that is one date. Two lines of it are none.
#[must_use]
pub fn of(headers: &HeaderMap, name: &HeaderName, now: SystemTime) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    read(first.as_bytes(), now)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(text: &[u8]) -> Option<SystemTime> {
    let [w, e, k, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', rest @ ..] = text else {
        return None;
    };
    is_short_day(&[*w, *e, *k]).then_some(())?;
    let seconds = time(strip_zone(rest)?)?;
    let year = number(&[*y0, *y1, *y2, *y3])?;
    moment(year, month(&[*m0, *m1, *m2])?, number(&[*d0, *d1])?, seconds)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(text: &[u8], now: SystemTime) -> Option<SystemTime> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    let (day, rest) = text.split_at(comma);
    DAYS.iter().any(|name| day.eq_ignore_ascii_case(name.as_bytes())).then_some(())?;
    let [b',', b' ', d0, d1, b'-', m0, m1, m2, b'-', y0, y1, b' ', rest @ ..] = rest else {
        return None;
    };
    let seconds = time(strip_zone(rest)?)?;
    let in_year = |year| moment(year, month(&[*m0, *m1, *m2])?, number(&[*d0, *d1])?, seconds);
    // Never more than 50 years ahead, and otherwise as late as the two digits allow.
    let (year, now) = (number(&[*y0, *y1])?, seconds_of(now));
    let latest = year_of(now) + 50;
    let year = latest - (latest - year).rem_euclid(100);
    let is_near = |found: &SystemTime| seconds_of(*found) <= in_fifty_years(now);
    in_year(year).filter(is_near).or_else(|| in_year(year - 100))
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &[u8]) -> Option<SystemTime> {
    let [w, e, k, b' ', m0, m1, m2, b' ', d0, d1, b' ', clock @ .., b' ', y0, y1, y2, y3] = text else {
        return None;
    };
    is_short_day(&[*w, *e, *k]).then_some(())?;
    let day = if *d0 == b' ' { number(&[*d1])? } else { number(&[*d0, *d1])? };
    moment(number(&[*y0, *y1, *y2, *y3])?, month(&[*m0, *m1, *m2])?, day, time(clock)?)
}

fn is_short_day(name: &[u8; 3]) -> bool {
    DAYS.iter().any(|day| name.eq_ignore_ascii_case(&day.as_bytes()[..3]))
}

/// From 1.
fn month(name: &[u8; 3]) -> Option<i64> {
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(*month))?;
    i64::try_from(at).ok().map(|at| at + 1)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

fn strip_zone(text: &[u8]) -> Option<&[u8]> {
    let (clock, zone) = text.split_at_checked(text.len().checked_sub(4)?)?;
    zone.eq_ignore_ascii_case(b" gmt").then_some(clock)
}

/// `08:49:37`, in seconds. A leap second is the first of the next minute.
fn time(text: &[u8]) -> Option<i64> {
    let [h0, h1, b':', m0, m1, b':', s0, s1] = text else { return None };
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?, number(&[*s0, *s1])?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn moment(year: i64, month: i64, day: i64, seconds: i64) -> Option<SystemTime> {
    (1..=days_of(year, month)).contains(&day).then_some(())?;
    let seconds = days_since_epoch(year, month, day) * 86_400 + seconds;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in years that begin in March, so that the leap day is the last one, and in eras of 400 years, which
/// are all as long.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month < 3 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Whole seconds since 1970, downwards.
fn seconds_of(moment: SystemTime) -> i64 {
    let seconds = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

fn year_of(seconds: i64) -> i64 {
    let days = seconds.div_euclid(86_400);
    // The mean year is right or one off, which the comparison mends.
    let guess = 1970 + days * 400 / 146_097;
    let is_begun = |year: &i64| days_since_epoch(*year, 1, 1) <= days;
    [guess + 1, guess].into_iter().find(is_begun).unwrap_or(guess - 1)
}

/// The same day and time 50 years on; the first of March where there is no 29th of February.
fn in_fifty_years(seconds: i64) -> i64 {
    let year = year_of(seconds);
    let start = |year| days_since_epoch(year, 1, 1) * 86_400;
    start(year + 50) + (seconds - start(year))
}
