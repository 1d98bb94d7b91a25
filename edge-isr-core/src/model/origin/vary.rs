//! On what an answer depends besides its URL (RFC 9111 §4.1).

use http::header::{HeaderMap, HeaderName, VARY};

use crate::model::claims;
use crate::model::reason::Reason;

/// The most headers an answer may vary on: each stands in the key.
const MAX_NAMES: usize = 32;

/// The headers that the answer names in `Vary`, sorted, each once.
///
/// # Errors
///
/// [`Reason::VaryStar`] when it depends on what no key can hold: `*` on any line, a member that names no header,
/// or more than 32 of them. [`Reason::VaryWithheld`] when it depends on what the origin is told otherwise than the client
/// said it, such as `X-Forwarded-For`: requests can't be told apart by it.
pub fn named(headers: &HeaderMap) -> Result<Vec<HeaderName>, Reason> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for member in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            // `*` is a token and so a header's name; it never is one here.
            match HeaderName::from_bytes(member) {
                _ if member.is_empty() => {}
                Ok(name) if claims::is_withheld(&name) => return Err(Reason::VaryWithheld),
                Ok(name) if name != "*" => names.push(name),
                _ => return Err(Reason::VaryStar),
            }
        }
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    if names.len() > MAX_NAMES { Err(Reason::VaryStar) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::headers;
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<String>, Reason> {
        let fields: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
        Ok(named(&headers(&fields))?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn h07_names_are_sorted_and_each_stands_once() {
        let none: &[&str] = &[];
        for (lines, expected) in [
            (none, none),
            (&["", ","], none),
            (&["Accept"], &["accept"]),
            (&["X-B, Accept ,\tx-b,"], &["accept", "x-b"]),
            (&["x-b", "accept", "X-A,ACCEPT"], &["accept", "x-a", "x-b"]),
        ] {
            assert_eq!(read(lines).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn h07_a_star_anywhere_and_what_is_no_name_are_never_reused() {
        for lines in [&["*"][..], &["accept, *"], &["*,accept"], &["accept", " * "], &["a b"], &["\u{e9}"]] {
            assert_eq!(read(lines), Err(Reason::VaryStar), "{lines:?}");
        }
        let names = |count: usize| (0..count).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&[&names(MAX_NAMES)]).map(|names| names.len()), Ok(MAX_NAMES));
        assert_eq!(read(&[&names(MAX_NAMES + 1)]), Err(Reason::VaryStar));
    }

    #[test]
    fn h07_what_the_origin_is_not_told_as_it_came_selects_nothing() {
        for name in
            ["Forwarded", "x-forwarded-for", "X_Forwarded_Proto", "x-host", "x-method-override", "X-Real-IP"]
        {
            assert_eq!(read(&[&format!("accept, {name}")]), Err(Reason::VaryWithheld), "{name}");
        }
        for name in ["x-for", "x-real", "x-hostess", "via", "xforwarded-for"] {
            assert_eq!(read(&[name]), Ok(vec![name.to_owned()]), "{name}");
        }
    }
}
