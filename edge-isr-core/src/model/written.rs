//! The written form of keys: each part is its length in two bytes and its text, optional parts preceded by
//! their presence. Keys are bounded far below the 64 KiB a length can say.

/// Path and query of a written key.
pub(crate) fn url_of(tail: &[u8]) -> Option<(&str, Option<&str>)> {
    let (path, rest) = take(tail)?;
    Some((path, take_optional(rest)?.0))
}

pub(crate) fn put(tail: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    tail.extend_from_slice(&length.to_le_bytes());
    tail.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

pub(crate) fn put_optional(tail: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => tail.push(0),
        Some(text) => {
            tail.push(1);
            put(tail, text);
        }
    }
}

pub(super) fn strip<'a>(tail: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let (length, rest) = tail.split_first_chunk::<2>()?;
    if usize::from(u16::from_le_bytes(*length)) != text.len() {
        return None;
    }
    rest.strip_prefix(text.as_bytes())
}

pub(super) fn strip_optional<'a>(tail: &'a [u8], text: Option<&str>) -> Option<&'a [u8]> {
    match (tail.split_first()?, text) {
        ((0, rest), None) => Some(rest),
        ((1, rest), Some(text)) => strip(rest, text),
        _ => None,
    }
}

pub(super) fn take(tail: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = tail.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

pub(super) fn take_optional(tail: &[u8]) -> Option<(Option<&str>, &[u8])> {
    match tail.split_first()? {
        (0, rest) => Some((None, rest)),
        (1, rest) => take(rest).map(|(text, rest)| (Some(text), rest)),
        _ => None,
    }
}

pub(super) fn dimensions(tail: &[u8]) -> Option<Vec<Option<&str>>> {
    let (_, rest) = take(tail)?;
    let (_, mut rest) = take_optional(rest)?;
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (value, after) = take_optional(rest)?;
        values.push(value);
        rest = after;
    }
    Some(values)
}
