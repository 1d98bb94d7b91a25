//! Where `Location` and `Content-Location` point.

/// Resolves a reference against the path and query of the request (RFC 3986 §5.2).
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if reference.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return reference.to_owned();
    }
    if reference.starts_with("//") {
        return format!("http:{reference}");
    }
    let path = base.split('?').next().unwrap_or(base);
    if reference.is_empty() || reference.starts_with(['?', '#']) {
        return format!("{path}{reference}");
    }
    let (reference, rest) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let mut segments: Vec<&str> = match reference.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => path.split('/').skip(1).collect(),
    };
    segments.pop();
    let mut named = reference.strip_prefix('/').unwrap_or(reference).split('/').peekable();
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
    format!("/{}{rest}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_rfc_3986_does() {
        for (reference, expected) in [
            ("http://h/x", "http://h/x"),
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
}
