//! Where `Location` and `Content-Location` point.

use http::HeaderValue;

/// The text of a reference, without the white space around it. What is not ASCII in it is percent-encoded, as whoever
/// follows it does (RFC 3987 §3.1).
pub(super) fn text_of(value: &HeaderValue) -> String {
    let mut text = String::with_capacity(value.len());
    for &byte in value.as_bytes().trim_ascii() {
        if byte.is_ascii() { text.push(char::from(byte)) } else { text.push_str(&format!("%{byte:02X}")) }
    }
    text
}

/// Resolves a reference against the path and query of the request (RFC 3986 §5.2).
pub(super) fn resolve(base: &str, reference: &str) -> String {
    if reference.starts_with("//") {
        return resolve(base, &format!("http:{reference}"));
    }
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some((scheme, rest)) = reference.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, rest) = split(target);
        let path = if path.is_empty() { String::new() } else { merged(Vec::new(), path) };
        return format!("{scheme}://{authority}{path}{rest}");
    }
    let (path, _) = split(base);
    if reference.is_empty() || reference.starts_with(['?', '#']) {
        return format!("{path}{reference}");
    }
    let (reference, rest) = split(reference);
    let segments = if reference.starts_with('/') { Vec::new() } else { path.split('/').skip(1).collect() };
    format!("{}{rest}", merged(segments, reference))
}

/// A path, and what follows it.
fn split(target: &str) -> (&str, &str) {
    target.split_at(target.find(['?', '#']).unwrap_or(target.len()))
}

/// The segments of a path but the last, followed by another path, without the dots in that.
fn merged<'a>(mut segments: Vec<&'a str>, path: &'a str) -> String {
    segments.pop();
    let mut named = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = named.next() {
        let is_last = named.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_rfc_3986_does() {
        for (reference, expected) in [
            ("http://h/x", "http://h/x"),
            ("http://h/x/../y/./z?a=/../b#/..", "http://h/y/z?a=/../b#/.."),
            ("HTTPS://h:1/..", "HTTPS://h:1/"),
            ("http://h", "http://h"),
            ("http://h?x/../y", "http://h?x/../y"),
            ("//h/x/../y", "http://h/y"),
            ("//h/x", "http://h/x"),
            ("/x?y#z", "/x?y#z"),
            ("/x/../y/.", "/y/"),
            ("c", "/a/c"),
            ("./c?d", "/a/c?d"),
            ("../c", "/c"),
            ("../../c", "/c"),
            ("..", "/"),
            ("?z=http://h", "/a/b?z=http://h"),
            ("", "/a/b"),
            ("c/", "/a/c/"),
        ] {
            assert_eq!(resolve("/a/b?q", reference), expected, "{reference}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_percent_encoded() {
        for (bytes, expected) in [
            (&b"/a%41?b"[..], "/a%41?b"),
            (b" /b\t", "/b"),
            ("/\u{fc}".as_bytes(), "/%C3%BC"),
            (b"/\xfc", "/%FC"),
        ] {
            assert_eq!(text_of(&HeaderValue::from_bytes(bytes).unwrap()), expected);
        }
    }
}
