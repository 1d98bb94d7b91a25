//! Reads the `Cache-Control` directives we act on (RFC 9111 §5.2) and writes ours.
//!
//! Names are case-insensitive, arguments bare or quoted, repeated lines one list. Whatever is malformed or
//! contradicts itself goes towards less caching: the reader says so and the caller vetoes.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};

use super::lifetime::Lifetime;

/// What a response forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prohibitions {
    /// `private`, with or without field names.
    pub private: bool,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, with or without field names.
    pub no_cache: bool,
    /// Something could not be read.
    pub malformed: bool,
}

/// Reads all lines of one field.
#[must_use]
pub fn prohibitions(headers: &HeaderMap, name: &HeaderName) -> Prohibitions {
    let mut found = Prohibitions::default();
    for line in headers.get_all(name) {
        if read_line(line.as_bytes(), |directive, argument| note(&mut found, directive, argument)).is_none() {
            found.malformed = true;
        }
    }
    found
}

/// Reads the `Cache-Control` lines.
#[must_use]
pub fn of(headers: &HeaderMap) -> Prohibitions {
    prohibitions(headers, &CACHE_CONTROL)
}

fn note(found: &mut Prohibitions, directive: &[u8], argument: Option<&[u8]>) {
    let is = |name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
    if is("private") {
        found.private = true;
    } else if is("no-store") {
        found.no_store = true;
    } else if is("no-cache") {
        found.no_cache = true;
    } else if is("max-age") || is("s-maxage") {
        // Nothing of ours depends on the number, but a field that can't be read can't be trusted.
        found.malformed |=
            !argument.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    }
}

/// Walks `#( token [ "=" ( token / quoted-string ) ] )`. `None` as soon as something does not fit.
pub(super) fn read_line(line: &[u8], mut each: impl FnMut(&[u8], Option<&[u8]>)) -> Option<()> {
    let mut rest = line;
    loop {
        rest = trim_start(rest);
        let Some(&first) = rest.first() else { return Some(()) };
        if first == b',' {
            rest = &rest[1..];
            continue;
        }
        let name_end = rest.iter().position(|byte| !is_token(*byte)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        if name.is_empty() {
            return None;
        }
        rest = match after.split_first() {
            Some((b'=', value)) => {
                let (argument, after) = argument(value)?;
                each(name, Some(argument));
                after
            }
            _ => {
                each(name, None);
                after
            }
        };
        rest = trim_start(rest);
        if !rest.is_empty() {
            rest = rest.strip_prefix(b",")?;
        }
    }
}

/// A token or the inside of a quoted string, and what follows it.
fn argument(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let end = value.iter().position(|byte| !is_token(*byte)).unwrap_or(value.len());
        return (end > 0).then(|| value.split_at(end));
    };
    let mut escaped = false;
    for (at, &byte) in quoted.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&quoted[..at], &quoted[at + 1..])),
            b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return None,
        }
    }
    None
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    &bytes[start..]
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// What an invalidated or overtaken answer leaves with: no cache downstream may keep it.
pub const NO_FRESHNESS: HeaderValue = HeaderValue::from_static("max-age=0, s-maxage=0, must-revalidate");

/// What an answer leaves with that is for one visitor only.
pub const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// The `Cache-Control` of a policy's pages: `public, max-age=…, s-maxage=…` and the stale windows.
#[must_use]
pub fn write(lifetime: &Lifetime, browser: Duration) -> String {
    let mut text = format!("public, max-age={}, s-maxage={}", browser.as_secs(), lifetime.fresh.as_secs());
    for (name, window) in
        [("stale-while-revalidate", lifetime.while_revalidate), ("stale-if-error", lifetime.if_error)]
    {
        if window.as_secs() > 0 {
            text.push_str(&format!(", {name}={}", window.as_secs()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&str]) -> Prohibitions {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        of(&headers)
    }

    #[test]
    fn v06_prohibitions_in_any_spelling() {
        for line in [
            "private",
            "PRIVATE",
            "max-age=1,private",
            " , private ,",
            "private=\"set-cookie\"",
            "private=\"\"",
        ] {
            assert!(read(&[line]).private, "{line:?}");
        }
        assert!(read(&["public", "No-Store"]).no_store);
        assert!(read(&["no-cache=\"x, y\", max-age=3"]).no_cache);
        assert_eq!(read(&["public, max-age=60, s-maxage=\"60\", foo, bar=baz"]), Prohibitions::default());
        assert!(!read(&["x=\"private\", y=\", no-store\""]).private);
    }

    #[test]
    fn b09_b10_what_cannot_be_read_is_said_to_be_malformed() {
        for line in [
            "no-cache = \"x\"",
            "private=\" a",
            "=1",
            "a b",
            "max-age=-1",
            "max-age=1abc",
            "max-age=",
            "max-age",
            "max-age=1.5",
            "\u{1}",
        ] {
            let mut headers = HeaderMap::new();
            let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) else { continue };
            headers.insert(CACHE_CONTROL, value);
            assert!(of(&headers).malformed, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn the_reader_never_panics(line in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_line(&line, |_, _| {});
        }

        #[test]
        fn a_prohibition_among_anything_readable_is_found(before in "[a-z]{1,5}(=[a-z0-9]{1,3})?", after in "[a-z]{1,5}") {
            let line = format!("{before},private, {after}");
            prop_assert!(read(&[&line]).private);
        }
    }

    #[test]
    fn ours_is_written_out() {
        let lifetime = Lifetime {
            fresh: Duration::from_secs(300),
            while_revalidate: Duration::from_secs(3600),
            if_error: Duration::ZERO,
        };
        assert_eq!(
            write(&lifetime, Duration::ZERO),
            "public, max-age=0, s-maxage=300, stale-while-revalidate=3600"
        );
    }
}
