//! The dates of HTTP.

use std::time::{Duration, SystemTime};

use super::lines;
use crate::model::origin::date::read;

const YEAR: Duration = Duration::from_secs(31_556_952);

/// Each line of the input is a date. What another reader takes is taken as the same moment; what is taken is, but
/// for its letters' case and its day of the week, one of the three forms of that moment (RFC 9110 §5.6.7).
///
/// # Panics
///
/// When it is not.
pub fn http_date(input: &[u8]) {
    for line in lines(input).take(16) {
        for now in [0, 784_111_777, 1_795_226_400, 4_000_000_000].map(Duration::from_secs) {
            check(line, SystemTime::UNIX_EPOCH + now);
        }
    }
}

fn check(line: &[u8], now: SystemTime) {
    let found = read(line, now);
    let text = std::str::from_utf8(line).unwrap_or_default();
    let is_short = text.contains('-');
    // The other reader trims, and takes anything for the space before the time of a short date.
    let is_plain = text.trim() == text && (!is_short || text.len() > 13 && line[line.len() - 13] == b' ');
    let theirs = httpdate::parse_http_date(text).ok().filter(|_| is_plain);
    if let Some(theirs) = theirs {
        let ours = found.unwrap_or_else(|| panic!("{text:?} is a date"));
        assert!(is_short || ours == theirs, "{text:?}: {ours:?}, not {theirs:?}");
    }
    let Some(found) = found else { return };
    // What writes dates for us writes none before 1970, and a leap second as the one before it.
    if found > SystemTime::UNIX_EPOCH {
        assert!(is_written(text, found), "{text:?} is not {found:?}");
    }
    if is_short {
        // A day more for what a mean year is not.
        let (day, years) = (Duration::from_secs(86_400), |count| YEAR * count);
        assert!(found <= now + years(50), "{text:?} is too far ahead of {now:?}");
        assert!(
            now < found + years(50) + day,
            "{text:?} is more than a century before what it may be at {now:?}"
        );
    }
}

fn is_written(text: &str, at: SystemTime) -> bool {
    // A leap second is the first of the next minute.
    let is_leap = text.contains(":60");
    let at = if is_leap { at - Duration::from_secs(1) } else { at };
    let imf = httpdate::fmt_http_date(at).to_ascii_lowercase();
    let imf = if is_leap { imf.replacen(":59 ", ":60 ", 1) } else { imf };
    let [_, day, month, year, clock, _] = imf.split(' ').collect::<Vec<_>>()[..] else { panic!("{imf:?}") };
    let short = format!("{day}-{month}-{} {clock} gmt", &year[2..]);
    let (padded, bare) = (format!("{month} {day} {clock} {year}"), day.trim_start_matches('0'));
    let asctime = format!("{month} {bare:>2} {clock} {year}");
    let lower = text.to_ascii_lowercase();
    // A day of the week, whichever.
    let is_day = |name: &str, len: usize| {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        days.iter().any(|day| name == &day[..len.min(day.len())])
    };
    match lower.split_once(", ") {
        Some((name, rest)) if rest == short => is_day(name, 9),
        Some((name, rest)) => is_day(name, 3) && rest == &imf[5..],
        None => {
            let (name, rest) = lower.split_once(' ').unwrap_or_default();
            is_day(name, 3) && (rest == asctime || rest == padded)
        }
    }
}
