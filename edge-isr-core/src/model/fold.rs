//! One spelling per tag: folding, encoding, shortening.

use sha2::{Digest, Sha256};

use super::tag::MAX_TAG_BYTES;

/// The most bytes of one segment: two of them, with what is between, leave room for those below.
const MAX_SEGMENT_BYTES: usize = 80;
/// Two tildes and 128 bits in hexadecimal.
const HASH_BYTES: usize = 34;
/// Where the room for one more segment ends, as long as it is short or a hash. From here on only such stand in a tag.
const MAX_ROOMY_BYTES: usize = MAX_TAG_BYTES - 1 - HASH_BYTES;

/// Whether a byte stands for itself in a tag.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-')
}

fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(DIGITS[usize::from(digit)]));
    }
}

fn push_encoded(text: &mut String, byte: u8) {
    text.push('%');
    push_hex(text, byte);
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

/// Lower-cases and encodes one segment, and shortens it. An empty one becomes a lone `%`, which nothing else
/// becomes.
pub(super) fn fold_segment(text: &mut String, part: &[u8], first: bool) {
    let start = text.len();
    fold_whole(text, part, first);
    shorten_segment(text, start);
}

fn fold_whole(text: &mut String, part: &[u8], first: bool) {
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

/// As [`fold_segment`], but an encoded byte stays encoded, so that printed tags parse to themselves, and
/// nothing is shortened yet.
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
                fold_whole(text, &[byte], false);
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

/// Shortens the segment that begins at `start` by what stands before it and never by what follows: what covers a
/// tag stays the beginning of its text, however long the segments are.
pub(super) fn shorten_segment(text: &mut String, start: usize) {
    let len = text.len() - start;
    if len <= HASH_BYTES || (len <= MAX_SEGMENT_BYTES && text.len() <= MAX_ROOMY_BYTES) {
        return;
    }
    if start + MAX_SEGMENT_BYTES > MAX_ROOMY_BYTES {
        return end_in_hash(text, start, start);
    }
    let end = start + MAX_SEGMENT_BYTES - HASH_BYTES;
    // An encoded byte is kept whole or not at all: half of one would not parse to itself.
    let encoded = text.as_bytes()[end - 2..end].iter().position(|&byte| byte == b'%');
    end_in_hash(text, start, encoded.map_or(end, |at| end - 2 + at));
}

/// Leaves out the segments for which there is no room: such a tag is the one that covers it, because under any
/// other name it would be missed when that one is invalidated.
pub(super) fn shorten_segments(mut text: String) -> String {
    if text.len() > MAX_TAG_BYTES {
        // No segment is longer than a tag, so there is a colon.
        let end = text[..=MAX_TAG_BYTES].rfind(':').unwrap_or(MAX_TAG_BYTES);
        text.truncate(end);
    }
    text
}

/// Shortens one of the library's own, to exactly as many bytes as a tag may have.
pub(super) fn shorten(mut text: String) -> String {
    if text.len() > MAX_TAG_BYTES {
        end_in_hash(&mut text, 0, MAX_TAG_BYTES - HASH_BYTES);
    }
    text
}

/// Cuts at `end` and appends a hash of everything from `start` on, so that different texts stay different.
fn end_in_hash(text: &mut String, start: usize, end: usize) {
    let digest = Sha256::digest(&text.as_bytes()[start..]);
    // The text is ASCII by construction, so every index is a character boundary.
    text.truncate(end);
    text.push_str("~~");
    for &byte in &digest[..16] {
        push_hex(text, byte);
    }
}
