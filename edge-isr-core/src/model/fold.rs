//! One spelling per tag: folding, encoding, shortening.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::tag::MAX_TAG_BYTES;

/// Whether a byte stands for itself in a tag.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-')
}

fn push_encoded(text: &mut String, byte: u8) {
    // Writing to a String can't fail.
    let _ = write!(text, "%{byte:02x}");
}

/// Lower-cases and encodes segments separated by `:`.
pub(super) fn fold_segments(text: &mut String, name: &str) {
    for (n, part) in name.split(':').enumerate() {
        if n > 0 {
            text.push(':');
        }
        fold_segment(text, part.as_bytes(), n == 0);
    }
}

/// Lower-cases and encodes one segment. An empty one becomes a lone `%`, which nothing else becomes.
pub(super) fn fold_segment(text: &mut String, part: &[u8], first: bool) {
    if part.is_empty() {
        text.push('%');
    }
    for (n, byte) in part.iter().map(u8::to_ascii_lowercase).enumerate() {
        if is_plain(byte) && !(first && n == 0 && byte == b'~') {
            text.push(char::from(byte));
        } else {
            push_encoded(text, byte);
        }
    }
}

/// As [`fold_segment`], but an encoded byte stays encoded, so that printed tags parse to themselves.
pub(super) fn fold_encoded(text: &mut String, part: &[u8]) {
    if part == b"%" {
        return text.push('%');
    }
    let mut rest = part;
    while let Some((&byte, after)) = rest.split_first() {
        match after {
            [high, low, after_hex @ ..]
                if byte == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push('%');
                text.push(char::from(high.to_ascii_lowercase()));
                text.push(char::from(low.to_ascii_lowercase()));
                rest = after_hex;
            }
            _ => {
                fold_segment(text, &[byte], false);
                rest = after;
            }
        }
    }
}

/// Encodes bytes whose case matters (paths, hosts, groups): upper-case letters are encoded too.
pub(crate) fn encode_exact(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            push_encoded(text, byte);
        }
    }
}

/// Cuts an over-long text and ends it in a hash of the whole, so that different texts stay different.
pub(super) fn shorten(text: String) -> String {
    if text.len() <= MAX_TAG_BYTES {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    // The text is ASCII by construction, so every index is a character boundary.
    let mut short = text[..MAX_TAG_BYTES - 34].to_owned();
    short.push_str("~~");
    for byte in &digest[..16] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}
