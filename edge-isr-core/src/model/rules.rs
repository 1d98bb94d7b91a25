//! A policy in the form the engine works with, and the checks that make it so.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;

use super::lifetime::Lifetime;
use super::policy::{Cookies, Empty, Namer, Predicate};
use super::verdict::Loss;
use crate::error::ConfigError;

/// A checked [`Policy`](super::policy::Policy).
#[derive(Clone)]
pub struct Rules {
    /// The lifetime of a page with status 200.
    pub lifetime: Lifetime,
    /// See [`Policy::browser_max_age`](super::policy::Policy::browser_max_age).
    pub browser_max_age: Duration,
    /// The declared headers.
    pub vary: Box<[HeaderName]>,
    /// The declared parameters, sorted.
    pub query: Box<[String]>,
    /// The computed dimensions.
    pub variants: Box<[(String, Namer)]>,
    /// See [`Policy::tenant`](super::policy::Policy::tenant).
    pub tenant: Option<Namer>,
    /// See [`Policy::draft`](super::policy::Policy::draft).
    pub draft: Option<Predicate>,
    /// See [`Policy::bypass_when`](super::policy::Policy::bypass_when).
    pub bypass_when: Option<Predicate>,
    /// See [`Policy::cookies`](super::policy::Policy::cookies).
    pub cookies: Cookies,
    /// The statuses with a lifetime of their own.
    pub statuses: Box<[(StatusCode, Duration)]>,
    /// See [`Policy::max_body_bytes`](super::policy::Policy::max_body_bytes).
    pub max_body_bytes: Option<usize>,
    /// See [`Policy::empty`](super::policy::Policy::empty).
    pub empty: Empty,
    /// See [`Policy::loss`](super::policy::Policy::loss).
    pub loss: Loss,
}

impl Rules {
    /// Whether the policy has functions that read request heads.
    #[must_use]
    pub fn reads_heads(&self) -> bool {
        self.tenant.is_some()
            || self.draft.is_some()
            || self.bypass_when.is_some()
            || !self.variants.is_empty()
    }

    /// The lifetime of an answer with this status; `None` when it is not stored.
    #[must_use]
    pub fn lifetime_of(&self, status: StatusCode) -> Option<Lifetime> {
        let own = self.statuses.iter().find(|(own, _)| *own == status);
        match own {
            Some(&(_, fresh)) => Some(Lifetime { fresh, ..Lifetime::default() }),
            None => (status == StatusCode::OK).then_some(self.lifetime),
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("lifetime", &self.lifetime)
            .field("vary", &self.vary)
            .finish_non_exhaustive()
    }
}

/// The longest lifetime: what receivers of `max-age` must be able to take (RFC 9111 §1.2.2).
pub(super) const MAX_SECONDS: Duration = Duration::from_secs(i32::MAX as u64);

/// Lifetimes leave in whole seconds.
pub(super) fn check_seconds(field: &'static str, window: Duration) -> Result<(), ConfigError> {
    if (Duration::from_secs(1)..=MAX_SECONDS).contains(&window) {
        return Ok(());
    }
    let bound = "at least 1 s and at most 2147483647 s; leave it out for none";
    Err(ConfigError::OutOfBounds { field, value: format!("{window:?}"), bound })
}

/// A cookie's or a variant's name: a token, or it would never match anything.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), ConfigError> {
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(());
    }
    Err(malformed(field, name, "it must be a token: letters, digits and `-_.` for example"))
}

pub(super) fn zero(field: &'static str, bound: &'static str) -> ConfigError {
    ConfigError::OutOfBounds { field, value: "0".to_owned(), bound }
}

fn malformed(field: &'static str, value: &str, reason: &str) -> ConfigError {
    ConfigError::Malformed { field, value: value.to_owned(), reason: reason.to_owned() }
}

/// P26: answers that say something about the request or the moment, not about the page, are never stored.
pub(super) fn check_status(status: StatusCode, fresh: Duration) -> Result<(), ConfigError> {
    check_seconds("policy.status", fresh)?;
    match status.as_u16() {
        203 | 300..=303 | 307 | 308 | 404 | 410 | 451 => Ok(()),
        _ => Err(malformed(
            "policy.status",
            status.as_str(),
            "only 203, 300-303, 307, 308, 404, 410 and 451 may have a lifetime",
        )),
    }
}

pub(super) fn check_parameter(name: &str) -> Result<(), ConfigError> {
    if name.is_empty()
        || name.bytes().any(|byte| matches!(byte, b'&' | b'=' | b'#' | b'?') || byte <= b' ' || byte >= 0x7f)
    {
        return Err(malformed("policy.query", name, "write the parameter's name as it stands in the URL"));
    }
    Ok(())
}

pub(super) fn check_vary(names: &[String]) -> Result<Box<[HeaderName]>, ConfigError> {
    let mut declared = Vec::with_capacity(names.len());
    for name in names {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| malformed("policy.vary", name, "it is not the name of a header"))?;
        let reason = match header.as_str() {
            "cookie" | "authorization" => "requests with credentials bypass; use `variant` or `tenant`",
            "host" => "the host is part of every key",
            "accept-encoding" => "the cache answers it itself",
            "range"
            | "if-none-match"
            | "if-modified-since"
            | "if-match"
            | "if-unmodified-since"
            | "if-range" => "conditions and ranges are answered from the page",
            _ => {
                declared.push(header);
                continue;
            }
        };
        return Err(malformed("policy.vary", name, reason));
    }
    unique("policy.vary", &declared.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(declared.into())
}

pub(super) fn unique<'a>(
    field: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ConfigError::Duplicate { field, value: name.clone() });
        }
    }
    Ok(())
}
