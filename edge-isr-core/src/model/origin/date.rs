//! The dates of HTTP (RFC 9110 §5.6.7).
//!
//! Three forms, in any letter case, and nothing that merely looks like one: what is no date is an `Expires` in
//! the past. A day of the week that is not that of the date is forgiven: the numbers alone name the moment.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName};

/// What a recipient takes for too far ahead (RFC 9110 §5.6.7): 50 mean years.
const FIFTY_YEARS: Duration = Duration::from_secs(50 * 31_556_952);
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
    let limit = now.checked_add(FIFTY_YEARS)?;
    let latest = year_of(limit);
    let year = latest - (latest - number(&[*y0, *y1])?).rem_euclid(100);
    let found = in_year(year)?;
    if found > limit { in_year(year - 100) } else { Some(found) }
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
    if seconds.is_negative() {
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

fn year_of(at: SystemTime) -> i64 {
    let whole = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or_default();
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let days = since.map_or_else(|before| -whole(before.duration()), whole).div_euclid(86_400);
    // A mean year has 146,097 / 400 days: the guess is at most one off.
    let guess = 1970 + (days * 400).div_euclid(146_097);
    let has_begun = |year: &i64| days_since_epoch(*year, 1, 1) <= days;
    [guess + 1, guess].into_iter().find(has_begun).unwrap_or(guess - 1)
}

#[cfg(test)]
mod tests {
    use http::header::EXPIRES;
    use proptest::prelude::*;

    use super::super::tests::{headers, now};
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let found = read(text.as_bytes(), now())?;
        Some(found.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn h05_expires_has_three_forms_in_any_case() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "SUNDAY, 06-NOV-94 08:49:37 Gmt",
            "sUN nOV  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            // The day of the week is forgiven where it is one at all.
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(seconds(text), Some(784_111_777), "{text}");
        }
        assert_eq!(seconds("Thu, 18 Aug 2050 02:01:18 GMT"), Some(2_544_400_878));
        assert_eq!(seconds("Sun, 21 Nov 2286 04:46:39 GMT"), Some(10_000_039_599));
        assert_eq!(seconds("Thu, 31 Dec 1998 23:59:60 GMT"), seconds("Fri, 01 Jan 1999 00:00:00 GMT"));
        assert_eq!(seconds("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
    }

    #[test]
    fn h05_expires_that_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov  1994 08:49:37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37  GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nob 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 29-Feb-95 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, x",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GM\u{16d}",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let date = ("expires", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(of(&headers(&[date]), &EXPIRES, now()), Some(now()));
        assert_eq!(of(&headers(&[date, date]), &EXPIRES, now()), None, "repeated lines");
    }

    #[test]
    fn h05_two_digits_are_never_more_than_fifty_years_ahead() {
        let year = |now: &str, digits: &str| {
            let now = read(now.as_bytes(), SystemTime::UNIX_EPOCH).unwrap();
            year_of(read(format!("Sunday, 06-Nov-{digits} 08:49:37 GMT").as_bytes(), now).unwrap())
        };
        for (now, digits, expected) in [
            ("Sun, 06 Nov 2026 00:00:00 GMT", "94", 1994),
            ("Sun, 06 Nov 2026 00:00:00 GMT", "26", 2026),
            ("Sun, 06 Nov 2026 00:00:00 GMT", "50", 2050),
            ("Sun, 06 Jan 2026 00:00:00 GMT", "75", 2075),
            ("Sun, 06 Jan 2026 00:00:00 GMT", "76", 1976),
            ("Sun, 06 Dec 2026 00:00:00 GMT", "76", 2076),
            ("Sun, 06 Dec 2026 00:00:00 GMT", "77", 1977),
            ("Sun, 06 Nov 1994 00:00:00 GMT", "30", 2030),
            ("Sun, 06 Nov 1994 00:00:00 GMT", "70", 1970),
        ] {
            assert_eq!(year(now, digits), expected, "{digits} in {now}");
        }
        // Half a century is not more than that; a second later is.
        let limit = now() + FIFTY_YEARS;
        assert_eq!(read(b"Saturday, 05-Nov-44 11:49:37 GMT", now()), Some(limit));
        let before = read(b"Saturday, 05-Nov-44 11:49:38 GMT", now()).unwrap();
        assert_eq!(year_of(before), 1944);
    }

    #[test]
    fn h05_years_begin_where_they_begin() {
        for (text, year) in [
            ("Thu, 31 Dec 2026 23:59:59 GMT", 2026),
            ("Fri, 01 Jan 2027 00:00:00 GMT", 2027),
            ("Sat, 31 Dec 0000 23:59:59 GMT", 0),
            ("Mon, 01 Jan 1900 00:00:00 GMT", 1900),
            ("Wed, 31 Dec 1969 23:59:59 GMT", 1969),
            ("Mon, 31 Dec 2096 23:59:59 GMT", 2096),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 9999),
        ] {
            assert_eq!(year_of(read(text.as_bytes(), now()).unwrap()), year, "{text}");
        }
    }

    proptest! {
        #[test]
        fn h05_what_is_written_is_read(seconds in 0..253_402_300_800_u64) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(at);
            prop_assert_eq!(read(text.as_bytes(), now()), Some(at));
            let [_, day, month, year, clock, _] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("six") };
            let day = day.trim_start_matches('0');
            let asctime = format!("Sun {month} {day:>2} {clock} {year}");
            prop_assert_eq!(read(asctime.as_bytes(), now()), Some(at));
            let short = format!("Friday, {day:0>2}-{month}-{} {clock} GMT", &year[2..]);
            // In the year 0099 two digits mean 99, if it is now.
            prop_assert_eq!(read(short.as_bytes(), at), Some(at));
        }

        #[test]
        fn h05_the_reader_never_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&text, now());
        }
    }
}
