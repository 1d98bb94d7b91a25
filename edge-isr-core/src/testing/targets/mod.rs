//! What fuzzing holds the readers of strangers' bytes to: one function a topic, fed with any bytes, that panics
//! when a property does not hold.
//!
//! `cargo xtask fuzz` looks for inputs that break one; the plain test `corpus` feeds the committed inputs and
//! mutations of them. Most inputs are lines of text, so that a corpus can be read and written by hand.

mod cache_control;
mod cache_status;
mod codings;
mod conditional;
mod http_date;
mod key;
mod origin_fields;
mod origin_terms;
mod receipt;
mod storable;
mod tag;
mod url;

pub use cache_control::cache_control;
pub use cache_status::cache_status;
pub use codings::codings;
pub use conditional::conditional;
pub use http_date::http_date;
pub use key::key;
pub use origin_fields::origin_fields;
pub use origin_terms::origin_terms;
pub use receipt::receipt;
pub use storable::storable;
pub use tag::tag;
pub use url::url;

/// A target under its name: that of its folder in `fuzz/corpus` and of its program in `fuzz/fuzz_targets`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: [Target; 12] = [
    ("cache_control", cache_control),
    ("cache_status", cache_status),
    ("codings", codings),
    ("conditional", conditional),
    ("http_date", http_date),
    ("key", key),
    ("origin_fields", origin_fields),
    ("origin_terms", origin_terms),
    ("receipt", receipt),
    ("storable", storable),
    ("tag", tag),
    ("url", url),
];

/// The lines of an input, without their ends.
fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&byte| byte == b'\n')
}

/// RFC 9110 §5.6.2, written out.
fn is_token(text: &[u8]) -> bool {
    const SPECIAL: &[u8] = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || SPECIAL.contains(byte))
}

/// Optional white space is spaces and tabs (RFC 9110 §5.6.3).
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Splits at commas that stand outside quoted strings; `None` when a string does not end.
fn members(line: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut members, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                members.push(trim(&line[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(trim(&line[start..]));
    (!quoted).then_some(members)
}
