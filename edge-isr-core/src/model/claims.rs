//! What clients claim about themselves and must not.

use http::header::{FORWARDED, HeaderName};

/// Whether a header claims what a client must not: where it came from, which URL or method it really means, or what
/// only this library may say. `keep_forwarded`: a proxy in front says where it came from.
#[inline]
#[must_use]
pub fn is_claim(name: &HeaderName, keep_forwarded: bool) -> bool {
    if *name == FORWARDED {
        return !keep_forwarded;
    }
    // Header names are lower case.
    let Some(rest) = name.as_str().strip_prefix(['x']) else { return false };
    let Some(rest) = rest.strip_prefix(['-', '_']) else { return false };
    // CGI and its kin tell an application `-` and `_` as one; nearly no name has the second.
    if rest.as_bytes().contains(&b'_') {
        return is_claim_after_x(&rest.replace('_', "-"), keep_forwarded);
    }
    is_claim_after_x(rest, keep_forwarded)
}

#[inline]
fn is_claim_after_x(rest: &str, keep_forwarded: bool) -> bool {
    match rest {
        "original-url"
        | "rewrite-url"
        | "http-method-override"
        | "http-method"
        | "method-override"
        | "original-host"
        | "host" => true,
        _ if rest.starts_with("edge-isr-") => true,
        _ => !keep_forwarded && rest.starts_with("forwarded"),
    }
}

/// Whether an origin is told a header otherwise than the client sent it: it is taken off, and a proxy may put on its own.
pub(super) fn is_withheld(name: &HeaderName) -> bool {
    is_claim(name, false) || name.as_str().replace('_', "-") == "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d01_underscores_in_a_name_are_dashes() {
        let is_claim = |name: &'static str| is_claim(&HeaderName::from_static(name), false);
        for claim in ["x_forwarded_for", "x-forwarded_host", "x_original-url", "x_host", "x-edge_isr-a"] {
            assert!(is_claim(claim), "{claim}");
        }
        for other in ["x_mine", "xforwarded-for", "x-hostess", "x_request_id"] {
            assert!(!is_claim(other), "{other}");
        }
    }
}
