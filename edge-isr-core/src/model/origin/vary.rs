//! On what an answer depends besides its URL (RFC 9111 §4.1).

use http::header::{HeaderMap, HeaderName, VARY};

use crate::model::reason::Reason;

/// The most headers an answer may vary on: each stands in the key.
const MAX_NAMES: usize = 32;

/// The headers that the answer names in `Vary`, sorted, each once.
///
/// # Errors
///
/// [`Reason::VaryStar`] when it depends on what no key can hold: `*` on any line, a member that names no header,
/// or more than 32 of them.
pub fn named(headers: &HeaderMap) -> Result<Vec<HeaderName>, Reason> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for member in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            // `*` is a token and so a header's name; it never is one here.
            match HeaderName::from_bytes(member) {
                _ if member.is_empty() => {}
                Ok(name) if name != "*" => names.push(name),
                _ => return Err(Reason::VaryStar),
            }
        }
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    if names.len() > MAX_NAMES { Err(Reason::VaryStar) } else { Ok(names) }
}
