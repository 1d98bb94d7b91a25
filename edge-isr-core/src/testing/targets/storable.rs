//! The veto, and the fields it reads.

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::header::{CONTENT_RANGE, SET_COOKIE, VARY};
use http::response::Parts;
use http::{Response, StatusCode};

use super::{is_token, lines, members, trim};
use crate::model::policy::{Policy, Rules};
use crate::model::storable::{body, head, is_targeted, name_dimensions, strip_hop_by_hop};
use crate::{Empty, Reason};

const DECLARED: [&str; 2] = ["accept-language", "x-a"];

/// Each line of the input is a header, `name:value`. An answer that may be stored has none of the things that
/// forbid it, one that may not has the very thing that is named as the reason.
///
/// # Panics
///
/// When it has not.
pub fn storable(input: &[u8]) {
    let mut parts = Response::new(()).into_parts().0;
    for line in lines(input).take(32) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(trim(&line[colon + 1..]))) {
            parts.headers.append(name, value);
        }
    }
    let rules = Policy::new().vary(DECLARED).empty(Empty::Store).check().expect("a valid policy");
    veto(&parts, &rules);
    length(&parts, &rules);
    dimensions(&parts, &rules);
    hop_by_hop(&parts.headers);
}

fn veto(parts: &Parts, rules: &Rules) {
    let headers = &parts.headers;
    let forbidding = forbidding(headers);
    let surely = forbidding.iter().find(|reason| **reason != Reason::BadCacheControl);
    match head(parts, rules) {
        Ok(()) => assert_eq!(surely, None, "{headers:?}"),
        Err(reason) => assert!(forbidding.contains(&reason), "{reason:?} of {forbidding:?}: {headers:?}"),
    }
    let partial = Response::builder().status(StatusCode::PARTIAL_CONTENT).body(()).expect("a status");
    let mut partial = partial.into_parts().0;
    partial.headers = headers.clone();
    assert_eq!(head(&partial, rules), Err(Reason::Partial));
}

/// Everything that forbids to store it. `BadCacheControl` also for what is only unusual, such as quoted numbers.
fn forbidding(headers: &HeaderMap) -> Vec<Reason> {
    let mut all = Vec::new();
    let mut when = |is: bool, reason| all.extend(is.then_some(reason));
    when(headers.contains_key(CONTENT_RANGE), Reason::Partial);
    when(headers.contains_key(SET_COOKIE), Reason::SetCookie);
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|b| *b == b';').next());
    when(essence.is_some_and(|it| trim(it).eq_ignore_ascii_case(b"text/event-stream")), Reason::EventStream);
    for name in listed(headers, &VARY) {
        let lower = name.to_ascii_lowercase();
        match &*lower {
            b"*" => when(true, Reason::VaryStar),
            b"origin" => when(true, Reason::VaryOrigin),
            b"cookie" | b"authorization" => when(true, Reason::VaryCookie),
            b"" | b"accept-encoding" => {}
            other => when(!DECLARED.iter().any(|known| known.as_bytes() == other), Reason::VaryUndeclared),
        }
    }
    for (name, value) in headers {
        if name != "cache-control" && !is_targeted(name) {
            continue;
        }
        let (mut is_malformed, members) = match members(value.as_bytes()) {
            Some(members) => (false, members),
            None => (true, value.as_bytes().split(|&byte| byte == b',').map(trim).collect()),
        };
        for member in members {
            let end = member.iter().position(|&byte| !is_token(&[byte])).unwrap_or(member.len());
            match &*member[..end].to_ascii_lowercase() {
                b"private" => when(true, Reason::Private),
                b"no-store" => when(true, Reason::NoStore),
                b"no-cache" => when(true, Reason::NoCache),
                // Which numbers are numbers is what the target `cache_control` asks.
                b"max-age" | b"s-maxage" => is_malformed |= !is_plain_number(member.get(end + 1..)),
                _ => {}
            }
            let has_name = end > 0 || member.is_empty();
            is_malformed |= !has_name || (end < member.len() && !is_plain_argument(&member[end..]));
        }
        when(is_malformed, Reason::BadCacheControl);
    }
    all
}

fn is_plain_number(argument: Option<&[u8]>) -> bool {
    argument.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

fn is_plain_argument(rest: &[u8]) -> bool {
    rest.strip_prefix(b"=").is_some_and(is_token)
}

/// RFC 9110 §8.6: one line of digits.
fn length(parts: &Parts, rules: &Rules) {
    let lines: Vec<&HeaderValue> = parts.headers.get_all(CONTENT_LENGTH).iter().collect();
    for len in [0, 1, 5, 42] {
        let is_promised = match lines[..] {
            [] => true,
            [line] => {
                let digits = line.as_bytes().iter().all(u8::is_ascii_digit);
                digits && line.to_str().is_ok_and(|text| text.parse() == Ok(len))
            }
            _ => false,
        };
        assert_eq!(body(parts, len, rules).is_ok(), is_promised, "{len}: {lines:?}");
    }
}

/// Every declared header is named in `Vary`, each once by us, and nothing else changes.
fn dimensions(parts: &Parts, rules: &Rules) {
    let mut named = parts.headers.clone();
    name_dimensions(&mut named, &rules.vary);
    let all = listed(&named, &VARY);
    for declared in DECLARED {
        let is_named = |name: &&Vec<u8>| name.eq_ignore_ascii_case(declared.as_bytes());
        assert!(all.iter().any(|name| is_named(&name)), "{declared}: {named:?}");
    }
    let before = parts.headers.get_all(VARY).iter().count();
    assert!(named.get_all(VARY).iter().take(before).eq(parts.headers.get_all(VARY)));
    let again = named.clone();
    name_dimensions(&mut named, &rules.vary);
    assert_eq!(named, again, "naming them twice adds nothing");
}

/// Nothing that `Connection` names is left, and nothing else of the page's is lost.
fn hop_by_hop(before: &HeaderMap) {
    const HOP: &str = "connection te trailer transfer-encoding upgrade keep-alive proxy-connection \
                       proxy-authenticate proxy-authorization proxy-authentication-info";
    let mut after = before.clone();
    strip_hop_by_hop(&mut after);
    let named: Vec<Vec<u8>> =
        listed(before, &CONNECTION).iter().map(|name| name.to_ascii_lowercase()).collect();
    for name in before.keys() {
        let goes = HOP.split(' ').any(|hop| hop == name.as_str())
            || named.iter().any(|named| named == name.as_str().as_bytes());
        let kept = after.get_all(name).iter().count();
        assert_eq!(kept, if goes { 0 } else { before.get_all(name).iter().count() }, "{name}: {before:?}");
    }
}

/// The members of a list of names, over all its lines.
fn listed(headers: &HeaderMap, name: &HeaderName) -> Vec<Vec<u8>> {
    let lines = headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    lines.map(|member| trim(member).to_vec()).collect()
}
