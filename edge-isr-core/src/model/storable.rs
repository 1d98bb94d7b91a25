//! The one veto: may this answer be stored, and shared with those who wait for it? One clause per rule; in
//! doubt, no.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{StatusCode, response};

use super::cache_control;
use super::policy::{Empty, Rules};
use super::reason::Reason;

/// `Surrogate-Control`, the forerunner of `CDN-Cache-Control` (RFC 9213).
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Whether a field tells one kind of cache what `Cache-Control` tells all (RFC 9213 §2.1): `CDN-Cache-Control`,
/// `Surrogate-Control`, and `Cloudflare-CDN-Cache-Control`, `Akamai-Cache-Control` and their kin.
#[must_use]
pub fn is_targeted(name: &HeaderName) -> bool {
    name.as_str().ends_with("-cache-control") || *name == SURROGATE_CONTROL
}

/// Judges the head of an answer on a policy route.
///
/// # Errors
///
/// The reason why it may be neither stored nor shared.
pub fn head(parts: &response::Parts, rules: &Rules) -> Result<(), Reason> {
    let headers = &parts.headers;
    if parts.status == StatusCode::PARTIAL_CONTENT || headers.contains_key(CONTENT_RANGE) {
        return Err(Reason::Partial);
    }
    if headers.contains_key(SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    prohibited(headers)?;
    vary(headers, rules)?;
    if is_event_stream(headers) {
        return Err(Reason::EventStream);
    }
    // Last: an answer that fails for its status alone is still the same for everyone.
    if rules.lifetime_of(parts.status).is_none() {
        return Err(Reason::Status);
    }
    Ok(())
}

/// Judges the complete body of an answer whose head passed.
///
/// # Errors
///
/// The reason why it may be neither stored nor shared.
pub fn body(parts: &response::Parts, len: usize, rules: &Rules) -> Result<(), Reason> {
    if let Some(promised) = content_length(&parts.headers)
        && promised != Some(len as u64)
    {
        return Err(Reason::Truncated);
    }
    // A redirect needs no body; any other answer that is empty is more likely a failure than a page.
    if len == 0 && rules.empty == Empty::Refuse && !parts.status.is_redirection() {
        return Err(Reason::Empty);
    }
    Ok(())
}

/// RFC 9111 §5.2.2, and the fields meant for CDNs: a prohibition anywhere counts.
fn prohibited(headers: &HeaderMap) -> Result<(), Reason> {
    for name in headers.keys().filter(|name| **name == http::header::CACHE_CONTROL || is_targeted(name)) {
        let found = cache_control::prohibitions(headers, name);
        let reason = match () {
            () if found.private => Reason::Private,
            () if found.no_store => Reason::NoStore,
            () if found.no_cache => Reason::NoCache,
            () if found.malformed => Reason::BadCacheControl,
            () => continue,
        };
        return Err(reason);
    }
    Ok(())
}

/// RFC 9111 §4.1: only declared dimensions. `Accept-Encoding` always is: the handler never sees it.
fn vary(headers: &HeaderMap, rules: &Rules) -> Result<(), Reason> {
    for line in headers.get_all(VARY) {
        for name in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if name.is_empty()
                || is("accept-encoding")
                || rules.vary.iter().any(|declared| is(declared.as_str()))
            {
                continue;
            }
            return Err(match () {
                () if name == b"*" => Reason::VaryStar,
                () if is("origin") => Reason::VaryOrigin,
                () if is("cookie") || is("authorization") => Reason::VaryCookie,
                () => Reason::VaryUndeclared,
            });
        }
    }
    Ok(())
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence =
        headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|&byte| byte == b';').next());
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// The promised length: `None` without the field, `Some(None)` when it is not one number.
#[must_use]
pub fn content_length(headers: &HeaderMap) -> Option<Option<u64>> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let first = lines.next()?;
    // Digits alone (RFC 9110 §8.6); Rust's numbers may have a sign, too.
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    Some(number.filter(|_| lines.next().is_none()))
}

/// Adds the declared dimensions that the handler did not name to `Vary` (RFC 9110 §12.5.5): a cache in front
/// that does not know them would give one visitor's variant to all.
pub fn name_dimensions(headers: &mut HeaderMap, declared: &[HeaderName]) {
    let is_named = |name: &&HeaderName| {
        let mut lines =
            headers.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        lines.any(|named| named.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let missing: Vec<&str> = declared.iter().filter(|name| !is_named(name)).map(HeaderName::as_str).collect();
    if let Ok(line) = HeaderValue::from_str(&missing.join(", "))
        && !missing.is_empty()
    {
        headers.append(VARY, line);
    }
}

/// Removes what belongs to one connection and not to the page (RFC 9110 §7.6.1).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    let fixed = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let rare = [
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-authentication-info",
    ];
    for name in named.into_iter().chain(fixed).chain(rare.map(HeaderName::from_static)) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::super::policy::Policy;
    use super::*;

    fn judge(status: u16, headers: &[(&str, &str)]) -> Result<(), Reason> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let policy = Policy::new()
            .vary(["accept-language"])
            .status(StatusCode::NOT_FOUND, std::time::Duration::from_secs(9));
        head(&response.body(()).unwrap().into_parts().0, &policy.check().unwrap())
    }

    #[test]
    fn p10_fields_for_one_kind_of_cache_are_known_by_their_end() {
        for (name, expected) in [
            ("cdn-cache-control", true),
            ("akamai-cache-control", true),
            ("surrogate-control", true),
            ("cache-control", false),
            ("surrogate-key", false),
        ] {
            assert_eq!(is_targeted(&HeaderName::from_static(name)), expected, "{name}");
        }
    }

    #[test]
    fn p25_each_veto_has_its_reason() {
        for (name, value, reason) in [
            ("set-cookie", "a=b", Reason::SetCookie),
            ("cache-control", "private", Reason::Private),
            ("cache-control", "max-age=9, no-store", Reason::NoStore),
            ("cache-control", "no-cache=\"x\"", Reason::NoCache),
            ("cache-control", "private=\"x", Reason::BadCacheControl),
            ("cdn-cache-control", "no-store", Reason::NoStore),
            ("surrogate-control", "private", Reason::Private),
            ("vary", "*", Reason::VaryStar),
            ("vary", "accept-language, *", Reason::VaryStar),
            ("vary", "Origin", Reason::VaryOrigin),
            ("vary", "Cookie", Reason::VaryCookie),
            ("vary", "Authorization", Reason::VaryCookie),
            ("vary", "user-agent", Reason::VaryUndeclared),
            ("content-type", "Text/Event-Stream; charset=utf-8", Reason::EventStream),
            ("content-range", "bytes 0-1/2", Reason::Partial),
        ] {
            assert_eq!(judge(200, &[(name, value)]), Err(reason), "{name}: {value}");
        }
        assert_eq!(judge(200, &[("vary", "Accept-Encoding, Accept-Language,")]), Ok(()));
        assert_eq!(judge(200, &[("cache-control", "public, max-age=60")]), Ok(()));
    }

    #[test]
    fn p26_only_200_and_what_the_policy_names() {
        assert_eq!(judge(200, &[]), Ok(()));
        assert_eq!(judge(404, &[]), Ok(()));
        for status in [100, 201, 204, 301, 302, 304, 400, 403, 405, 410, 429, 500, 503] {
            assert_eq!(
                judge(status, &[("cache-control", "public, max-age=60")]),
                Err(Reason::Status),
                "{status}"
            );
        }
        assert_eq!(judge(206, &[]), Err(Reason::Partial));
    }

    #[test]
    fn d14_d17_bodies_that_are_not_what_they_promise() {
        let rules = Policy::new().check().unwrap();
        let parts = |length: &[&str]| {
            let mut response = Response::builder();
            for length in length {
                response = response.header(CONTENT_LENGTH, *length);
            }
            response.body(()).unwrap().into_parts().0
        };
        assert_eq!(body(&parts(&[]), 5, &rules), Ok(()));
        assert_eq!(body(&parts(&["5"]), 5, &rules), Ok(()));
        assert_eq!(body(&parts(&["6"]), 5, &rules), Err(Reason::Truncated));
        assert_eq!(body(&parts(&["5", "5"]), 5, &rules), Err(Reason::Truncated));
        assert_eq!(body(&parts(&["x"]), 5, &rules), Err(Reason::Truncated));
        assert_eq!(body(&parts(&["+5"]), 5, &rules), Err(Reason::Truncated));
        assert_eq!(body(&parts(&["0"]), 0, &rules), Err(Reason::Empty));
    }

    #[test]
    fn b14_fields_of_the_connection_are_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Foo"), ("x-foo", "1"), ("keep-alive", "1"), ("x-bar", "2")]
        {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-bar"));
    }

    #[test]
    fn p27_vary_names_every_declared_dimension_once() {
        let declared = ["accept-language", "x-device"].map(HeaderName::from_static);
        let named = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(VARY, HeaderValue::from_static(line));
            }
            name_dimensions(&mut headers, &declared);
            headers.get_all(VARY).iter().map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named(&[]), ["accept-language, x-device"]);
        assert_eq!(named(&["Accept-Encoding"]), ["Accept-Encoding", "accept-language, x-device"]);
        assert_eq!(
            named(&["accept-encoding ,X-Device"]),
            ["accept-encoding ,X-Device", "accept-language"],
            "what the handler named is not named again"
        );
        let both = ["x-device", "Accept-Language"];
        assert_eq!(named(&both), both);
        let mut none = HeaderMap::new();
        name_dimensions(&mut none, &[]);
        assert!(none.is_empty());
    }
}
