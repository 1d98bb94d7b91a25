//! What an origin's answer allows.

use std::time::{Duration, SystemTime};

use http::header::{CACHE_CONTROL, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::response::Parts;
use http::{Response, StatusCode};

use super::{is_token, lines, members, trim};
use crate::Reason;
use crate::model::lifetime::Lifetime;
use crate::model::origin::{Asked, CDN_CACHE_CONTROL, Obeys, Terms, terms};

const IF_ERROR: Duration = Duration::from_secs(7);

/// The first line of the input is a status, each other one a header, `name:value`. The lifetime must be what
/// RFC 9111 §4.2.1 says of directives read member by member; more prohibitions never allow more.
///
/// # Panics
///
/// When it is not, or they do.
pub fn origin_terms(input: &[u8]) {
    let mut parts = answer(input);
    let (asked, obeys) = (asked(), Obeys { if_error: IF_ERROR, ..Obeys::default() });
    let judge = |parts: &Parts, asked: &Asked| terms(parts, asked, &obeys);
    let found = judge(&parts, &asked);
    credentials(&parts, &asked, found, &judge);
    if let Ok(terms) = &found {
        let headers = &parts.headers;
        assert!(!headers.contains_key(SET_COOKIE) && !headers.contains_key(CONTENT_RANGE), "{headers:?}");
        assert!(parts.status.as_u16() >= 200 && ![206, 304].contains(&parts.status.as_u16()));
        assert!(terms.lifetime.fresh <= Lifetime::LONGEST && terms.age <= Lifetime::LONGEST, "{terms:?}");
        let later = judge(&parts, &Asked { received: asked.received + Duration::from_secs(5), ..asked });
        assert!(
            !later.is_ok_and(|later| later.age < terms.age),
            "an answer that takes longer is not younger"
        );
    }
    // Targeted fields are another target's.
    parts.headers.remove(CDN_CACHE_CONTROL);
    let found = judge(&parts, &asked);
    if let Some(said) = Said::of(&parts.headers) {
        lifetime(&parts, &said, found);
    }
    prohibitions(&parts, found, |parts| judge(parts, &asked));
}

pub(super) fn asked() -> Asked {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    Asked { has_authorization: false, has_cookie: false, is_narrowed: false, sent: now, received: now }
}

pub(super) fn answer(input: &[u8]) -> Parts {
    let mut parts = Response::new(()).into_parts().0;
    let mut lines = lines(input);
    if let Some(status) = lines.next().and_then(|line| StatusCode::from_bytes(line).ok()) {
        parts.status = status;
    }
    for line in lines.take(32) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(trim(&line[colon + 1..]))) {
            parts.headers.append(name, value);
        }
    }
    parts
}

/// RFC 9111 §3.5: credentials change whether it is shared, and nothing else.
fn credentials(
    parts: &Parts,
    asked: &Asked,
    found: Result<Terms, Reason>,
    judge: &impl Fn(&Parts, &Asked) -> Result<Terms, Reason>,
) {
    for (asked, reason) in [
        (Asked { has_authorization: true, ..*asked }, Reason::Authorization),
        (Asked { has_cookie: true, ..*asked }, Reason::Cookie),
    ] {
        match (found, judge(parts, &asked)) {
            (Ok(terms), shared) if terms.for_credentials => assert_eq!(shared, Ok(terms)),
            (Ok(_), shared) => assert_eq!(shared, Err(reason)),
            (Err(_), shared) => assert!(shared.is_err(), "{shared:?}"),
        }
    }
}

/// The directives of `Cache-Control`, each with what its lines say.
struct Said(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Said {
    /// `None` when a member is no directive as it is written without quotes.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = Vec::new();
        for line in headers.get_all(CACHE_CONTROL) {
            for member in members(line.as_bytes())?.into_iter().filter(|member| !member.is_empty()) {
                let mut halves = member.splitn(2, |&byte| byte == b'=');
                let (name, argument) = (halves.next()?.to_ascii_lowercase(), halves.next());
                if !is_token(&name) || !argument.is_none_or(is_token) {
                    return None;
                }
                all.push((name, argument.map(<[u8]>::to_vec)));
            }
        }
        Some(Self(all))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(said, _)| said == name.as_bytes())
    }

    /// The least of its values; `None` when one is no number.
    fn seconds(&self, name: &str) -> Option<u64> {
        let values = self.0.iter().filter(|(said, _)| said == name.as_bytes()).map(|(_, argument)| {
            let text = std::str::from_utf8(argument.as_ref()?).ok()?;
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse().unwrap_or(u64::MAX).min(i32::MAX as u64))
        });
        values.collect::<Option<Vec<_>>>()?.into_iter().min()
    }
}

fn lifetime(parts: &Parts, said: &Said, found: Result<Terms, Reason>) {
    let Ok(Terms { lifetime, for_credentials, .. }) = found else {
        return;
    };
    assert!(!said.has("private") && (!said.has("no-store") || said.has("must-understand")), "{parts:?}");
    let is_bad = |name| said.has(name) && said.seconds(name).is_none();
    let is_stale = said.has("no-cache") || is_bad("max-age") || is_bad("s-maxage");
    let is_forbidden = is_stale || said.has("must-revalidate") || said.has("proxy-revalidate");
    if is_stale {
        assert_eq!(lifetime.fresh, Duration::ZERO, "{parts:?}");
    } else if let Some(fresh) = said.seconds("s-maxage").or(said.seconds("max-age")) {
        assert_eq!(lifetime.fresh.as_secs(), fresh, "{parts:?}");
    } else if !parts.headers.contains_key("expires") {
        // A heuristic lifetime has something to go by, and is at most a day.
        let most = if parts.headers.contains_key("last-modified") { 86_400 } else { 0 };
        assert!(lifetime.fresh.as_secs() <= most, "{parts:?}");
    }
    let window = |name| said.seconds(name).filter(|_| !is_forbidden).unwrap_or_default();
    assert_eq!(lifetime.while_revalidate.as_secs(), window("stale-while-revalidate"), "{parts:?}");
    let is_ours = !is_forbidden && !said.has("s-maxage") && !said.has("stale-if-error");
    let if_error = if is_ours { IF_ERROR.as_secs() } else { window("stale-if-error") };
    assert_eq!(lifetime.if_error.as_secs(), if_error, "{parts:?}");
    let is_public = said.0.iter().any(|(name, argument)| name == b"public" && argument.is_none());
    let allows = is_public || said.has("must-revalidate") || said.seconds("s-maxage").is_some();
    assert_eq!(for_credentials, allows, "{parts:?}");
}

fn prohibitions(
    parts: &Parts,
    found: Result<Terms, Reason>,
    judge: impl Fn(&Parts) -> Result<Terms, Reason>,
) {
    let with = |line| {
        let mut more = parts.clone();
        more.headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        judge(&more)
    };
    assert!(with("private").is_err(), "{parts:?}");
    for line in ["no-cache", "max-age=x", "must-revalidate", "proxy-revalidate"] {
        let (Ok(less), before) = (with(line), found) else { continue };
        let is_stale = line == "no-cache" || line == "max-age=x";
        assert!(!is_stale || less.lifetime == Lifetime::default(), "{line}: {parts:?}");
        assert_eq!(less.lifetime.total(), less.lifetime.fresh, "{line}: {parts:?}");
        // A lifetime that can't be read is one that was given, so that it may be stored at least.
        if let Ok(before) = before {
            assert!(less.lifetime.total() <= before.lifetime.total(), "{line}: {parts:?}");
        } else {
            assert!(line == "max-age=x", "{line} allows more: {parts:?}");
        }
    }
}
