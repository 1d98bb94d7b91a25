//! A request header as a dimension of a key.

use std::borrow::Cow;

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, HeaderMap, HeaderName};

use super::key_ref::Dimension;
use crate::model::reason::Reason;

/// The normalized value of a declared header: lines joined; lists of preferences folded in case and order
/// (RFC 9111 §4.1 allows it where the field's own definition does).
///
/// # Errors
///
/// [`Reason::BadHeader`] for a value that can't stand in a key.
pub fn dimension<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Dimension<'a>, Reason> {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let mut text = Cow::Borrowed(first.to_str().map_err(|_| Reason::BadHeader)?.trim());
    for line in lines {
        let joined = text.to_mut();
        // RFC 9113 §8.2.3: HTTP/2 may send a cookie in several lines, which are one.
        joined.push_str(if *name == COOKIE { "; " } else { ", " });
        joined.push_str(line.to_str().map_err(|_| Reason::BadHeader)?.trim());
        // No space after an empty line's comma: the render's request has this value in one line, which reads back
        // without it.
        joined.truncate(joined.trim_end().len());
    }
    if is_preference(name) && text.bytes().any(|byte| matches!(byte, b',' | b' ' | b'\t' | b'A'..=b'Z')) {
        let mut members: Vec<String> = text
            .split(',')
            .map(|member| {
                member.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().to_ascii_lowercase()
            })
            .filter(|member| !member.is_empty())
            .collect();
        members.sort_unstable();
        text = Cow::Owned(members.join(","));
    }
    Ok(Some(text))
}

/// The same for a header that an origin's `Vary` names: white space around commas means nothing either.
///
/// # Errors
///
/// As [`dimension`].
pub fn selecting<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Dimension<'a>, Reason> {
    let Some(text) = dimension(headers, name)? else { return Ok(None) };
    if !text.contains(',') || is_preference(name) {
        return Ok(Some(text));
    }
    let members: Vec<&str> = text.split(',').map(str::trim).filter(|member| !member.is_empty()).collect();
    Ok(Some(Cow::Owned(members.join(", "))))
}

/// Whether the field's own definition makes case and order of its members mean nothing.
fn is_preference(name: &HeaderName) -> bool {
    [ACCEPT_LANGUAGE, ACCEPT, ACCEPT_ENCODING].contains(name)
}
