//! `Cache-Control`, read.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use sfv::{Dictionary, Parser};

use super::{is_token, lines, members, trim};
use crate::model::cache_control::{Prohibitions, of, write};
use crate::model::lifetime::Lifetime;

/// Each line of the input is a line of the field. What is read must be what the grammar of RFC 9111 §5.2 says,
/// read member by member; of what can't be read nothing that stands before the fault may be lost.
///
/// # Panics
///
/// When it is not.
pub fn cache_control(input: &[u8]) {
    let mut headers = HeaderMap::new();
    let (mut least, mut most) = (Prohibitions::default(), Prohibitions::default());
    for line in lines(input).take(16) {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        headers.append(CACHE_CONTROL, value);
        expect(line, &mut least, &mut most);
    }
    let found = of(&headers);
    assert_eq!(found.malformed, least.malformed, "malformed: {headers:?}");
    for (name, found, least, most) in [
        ("private", found.private, least.private, most.private),
        ("no-store", found.no_store, least.no_store, most.no_store),
        ("no-cache", found.no_cache, least.no_cache, most.no_cache),
    ] {
        assert!(found >= least, "{name} is lost: {headers:?}");
        assert!(found <= most, "{name} is invented: {headers:?}");
    }
    written(input);
}

/// Notes what a line says at least (up to its first fault), and at most.
fn expect(line: &[u8], least: &mut Prohibitions, most: &mut Prohibitions) {
    let Some(members) = members(line) else {
        // A string that does not end: whatever comes before it has been read.
        least.malformed = true;
        let before = line.iter().position(|&byte| byte == b'"').unwrap_or(0);
        let end = line[..before].iter().rposition(|&byte| byte == b',').unwrap_or(0);
        expect(&line[..end], least, &mut Prohibitions::default());
        *most = Prohibitions { private: true, no_store: true, no_cache: true, malformed: true };
        return;
    };
    let mut readable = true;
    for member in members.into_iter().filter(|member| !member.is_empty()) {
        let name_end = member.iter().position(|&byte| !is_token(&[byte])).unwrap_or(member.len());
        let name = member[..name_end].to_ascii_lowercase();
        readable &= is_directive(member);
        note(&name, most);
        if readable {
            note(&name, least);
        }
        let argument = member.get(name_end + 1..).unwrap_or_default();
        let needs_number = name == b"max-age" || name == b"s-maxage";
        if !readable || (needs_number && !is_number(argument)) {
            least.malformed = true;
        }
    }
}

fn note(name: &[u8], into: &mut Prohibitions) {
    match name {
        b"private" => into.private = true,
        b"no-store" => into.no_store = true,
        b"no-cache" => into.no_cache = true,
        _ => {}
    }
}

/// `token [ "=" ( token / quoted-string ) ]`.
fn is_directive(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|&byte| byte == b'=') else { return is_token(member) };
    let (name, argument) = (&member[..equals], &member[equals + 1..]);
    is_token(name) && (is_token(argument) || inside(argument).is_some())
}

/// What stands in a quoted string that is all of `text`.
fn inside(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut rest = inside.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return None,
            b'\\' => rest.next().map(|_| ())?,
            _ => {}
        }
    }
    Some(inside)
}

fn is_number(argument: &[u8]) -> bool {
    let digits = inside(argument).unwrap_or(argument);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// What we write reads back as it was meant, with another reader too: ours happens to be a structured field.
fn written(input: &[u8]) {
    let second = |at: usize| {
        let number = u32::from_le_bytes([0, 1, 2, 3].map(|n| input.get(at + n).copied().unwrap_or(0)));
        Duration::from_secs(u64::from(number >> 1))
    };
    let lifetime = Lifetime { fresh: second(0), while_revalidate: second(4), if_error: second(8) };
    let text = write(&lifetime, second(12));
    assert_eq!(trim(text.as_bytes()).len(), text.len());
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_str(&text).expect("digits and names"));
    assert_eq!(of(&headers), Prohibitions::default(), "{text}");
    let members = Parser::new(text.as_bytes()).parse::<Dictionary>().expect("a dictionary");
    for (name, window) in [
        ("max-age", Some(second(12))),
        ("s-maxage", Some(lifetime.fresh)),
        ("stale-while-revalidate", Some(lifetime.while_revalidate).filter(|window| !window.is_zero())),
        ("stale-if-error", Some(lifetime.if_error).filter(|window| !window.is_zero())),
    ] {
        let read = members.get(name).and_then(|entry| match entry {
            sfv::ListEntry::Item(item) => item.bare_item.as_integer(),
            sfv::ListEntry::InnerList(_) => None,
        });
        assert_eq!(read.map(i64::from), window.map(|window| window.as_secs() as i64), "{name} in {text}");
    }
}
