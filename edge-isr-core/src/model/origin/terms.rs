//! The veto and the lifetime of an answer on a gateway route.

use std::time::Duration;

use http::header::{CONTENT_RANGE, EXPIRES, HeaderMap, SET_COOKIE};
use http::{StatusCode, response};

use super::directives::{self, Directives, Seconds};
use super::{Asked, Obeys, OriginCookies, SetCookie, Terms, age, date, heuristics, status, validation, vary};
use crate::model::lifetime::Lifetime;
use crate::model::reason::Reason;
use crate::model::storable;

/// Judges the head of an answer: whether it may be stored and shared, for whom and for how long.
///
/// # Errors
///
/// The reason why it may be neither stored nor shared.
pub fn terms(parts: &response::Parts, asked: &Asked, obeys: &Obeys) -> Result<Terms, Reason> {
    let headers = &parts.headers;
    // Those with `Content-Range` are parts whatever their status says.
    if parts.status == StatusCode::PARTIAL_CONTENT || headers.contains_key(CONTENT_RANGE) {
        return Err(Reason::Partial);
    }
    if !status::is_page(parts.status, asked.is_narrowed) {
        return Err(Reason::Status);
    }
    if obeys.set_cookie == SetCookie::Veto && headers.contains_key(SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    vary::named(headers)?;
    if storable::is_event_stream(headers) {
        return Err(Reason::EventStream);
    }
    let directives = directives::of(headers, &obeys.targeted)?;
    allowed(&directives, parts.status)?;
    let for_credentials = for_credentials(&directives);
    if asked.has_authorization && !for_credentials {
        return Err(Reason::Authorization);
    }
    if asked.has_cookie && obeys.cookies == OriginCookies::Explicit && !for_credentials {
        return Err(Reason::Cookie);
    }
    let explicit = explicit(headers, &directives, asked);
    // RFC 9111 §3: any status may be stored that says so, and few others.
    if explicit.is_none() && !directives.public && !status::is_storable_unasked(parts.status) {
        return Err(Reason::Status);
    }
    let heuristic = || match obeys.heuristics {
        true => heuristics::lifetime(parts, &directives, asked),
        false => Duration::ZERO,
    };
    let lifetime = lifetime(explicit.unwrap_or_else(heuristic), &directives, obeys.if_error);
    let age = age::initial(headers, asked);
    // Neither fresh, nor of use when stale, nor anything to ask the origin with.
    if lifetime.total() <= age && !validation::has_validator(headers, asked.received) {
        return Err(if directives.no_cache { Reason::NoCache } else { Reason::NoFreshness });
    }
    let never_stale = directives.no_cache
        || directives.must_revalidate
        || directives.proxy_revalidate
        || directives.s_maxage.said().is_some();
    Ok(Terms { lifetime, age, for_credentials, never_stale })
}

/// RFC 9111 §3: what forbids storing. `private` with field names is the whole of it (§5.2.2.7 allows that).
fn allowed(directives: &Directives, status: StatusCode) -> Result<(), Reason> {
    if directives.private {
        return Err(Reason::Private);
    }
    if directives.must_understand {
        // RFC 9111 §5.2.2.3: who understands the status ignores the `no-store` meant for those who don't.
        return if status::is_understood(status) { Ok(()) } else { Err(Reason::Status) };
    }
    if directives.no_store { Err(Reason::NoStore) } else { Ok(()) }
}

/// RFC 9111 §3.5.
fn for_credentials(directives: &Directives) -> bool {
    directives.public || directives.must_revalidate || directives.s_maxage.said().is_some()
}

/// `if_error` is the route's own allowance.
fn lifetime(fresh: Duration, directives: &Directives, if_error: Duration) -> Lifetime {
    if directives.no_cache || directives.is_malformed() {
        return Lifetime::default();
    }
    // RFC 9111 §4.2.4: a written prohibition outranks any window.
    if directives.must_revalidate || directives.proxy_revalidate {
        return Lifetime { fresh, ..Lifetime::default() };
    }
    // What `s-maxage` implies (§5.2.2.10) outranks our own allowance, but not what is written beside it.
    let is_implied = directives.s_maxage != Seconds::Unsaid;
    let if_error = match directives.if_error {
        Seconds::Unsaid if !is_implied => if_error,
        said => said.said().unwrap_or_default(),
    };
    Lifetime { fresh, while_revalidate: directives.while_revalidate.said().unwrap_or_default(), if_error }
}

/// RFC 9111 §4.2.1, in its order; `None` when nothing is said.
pub(super) fn explicit(headers: &HeaderMap, directives: &Directives, asked: &Asked) -> Option<Duration> {
    // Invalid freshness is that of a stale answer.
    if directives.is_malformed() {
        return Some(Duration::ZERO);
    }
    let said = directives.s_maxage.said().or(directives.max_age.said());
    if said.is_some() || directives.is_targeted || !headers.contains_key(EXPIRES) {
        return said;
    }
    // What is no date, or two of them, has expired (§5.3).
    let expires = date::of(headers, &EXPIRES, asked.received);
    let left = expires.and_then(|at| at.duration_since(age::date_of(headers, asked)).ok());
    Some(left.unwrap_or_default().min(Lifetime::LONGEST))
}
