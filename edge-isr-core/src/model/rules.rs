//! A policy in the form the engine works with, and the checks that make it so.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;

use super::lifetime::Lifetime;
use super::origin::Obeys;
use super::policy::{Cookies, Empty, Namer, Policy, Predicate};
use super::verdict::Loss;
use crate::error::ConfigError;

impl Policy {
    /// Checks the settings and puts them into the form the engine works with.
    ///
    /// # Errors
    ///
    /// For a lifetime of zero, a dimension declared twice, a name that is none, a status that is never
    /// storable; the error names the setting and its bound.
    pub fn check(&self) -> Result<Rules, ConfigError> {
        let windows = [
            ("policy.stale_while_revalidate", self.while_revalidate),
            ("policy.stale_if_error", self.if_error),
        ];
        // A gateway route has none of its own.
        let fresh = self.origin.is_none().then_some(self.s_maxage);
        for (field, window) in [("policy.s_maxage", fresh)].into_iter().chain(windows) {
            window.map_or(Ok(()), |window| check_seconds(field, window))?;
        }
        if self.browser_max_age > Lifetime::LONGEST {
            check_seconds("policy.browser_max_age", self.browser_max_age)?;
        }
        if self.max_body_bytes == Some(0) {
            return Err(zero("policy.max_body_bytes", "at least 1"));
        }
        for (status, fresh) in &self.statuses {
            check_status(*status, *fresh)?;
        }
        for (field, setting, range) in [
            ("policy.refresh_ahead", self.refresh_ahead, 0.01..=100.0),
            ("policy.lifetime_jitter", self.lifetime_jitter, 0.01..=0.9),
        ] {
            setting.map_or(Ok(()), |setting| check_range(field, setting, &range))?;
        }
        let origin = self.obeys()?;
        let mut query = self.query.clone();
        query.sort_unstable();
        for name in &query {
            check_parameter(name)?;
        }
        unique("policy.query", &query)?;
        for (name, _) in &self.variants {
            check_name("policy.variant", name)?;
        }
        if let Cookies::BypassOn(names) = &self.cookies {
            names.iter().try_for_each(|name| check_name("policy.cookies", name))?;
            unique("policy.cookies", names)?;
        }
        unique("policy.variant", self.variants.iter().map(|(name, _)| name))?;
        unique(
            "policy.status",
            &self.statuses.iter().map(|(status, _)| status.to_string()).collect::<Vec<_>>(),
        )?;
        Ok(Rules {
            lifetime: Lifetime {
                fresh: self.s_maxage,
                while_revalidate: self.while_revalidate.unwrap_or_default(),
                if_error: self.if_error.unwrap_or_default(),
            },
            refresh_ahead: self.refresh_ahead.unwrap_or_default(),
            lifetime_jitter: self.lifetime_jitter.unwrap_or_default(),
            browser_max_age: self.browser_max_age,
            vary: check_vary(&self.vary)?,
            query: if self.whole_query { Query::Whole } else { Query::Declared(query.into()) },
            variants: self.variants.clone().into(),
            tenant: self.tenant.clone(),
            draft: self.draft.clone(),
            bypass_when: self.bypass_when.clone(),
            cookies: self.cookies.clone(),
            statuses: self.statuses.clone().into(),
            max_body_bytes: self.max_body_bytes,
            empty: self.empty,
            loss: self.loss,
            origin,
        })
    }
}

/// A checked [`Policy`].
#[derive(Clone)]
pub struct Rules {
    /// The lifetime of a page with status 200.
    pub lifetime: Lifetime,
    /// See [`Policy::refresh_ahead`]; zero for none.
    pub refresh_ahead: f64,
    /// See [`Policy::lifetime_jitter`]; zero for none.
    pub lifetime_jitter: f64,
    /// See [`Policy::browser_max_age`].
    pub browser_max_age: Duration,
    /// The declared headers.
    pub vary: Box<[HeaderName]>,
    /// What of a URL's query is part of the key.
    pub query: Query,
    /// The computed dimensions.
    pub variants: Box<[(String, Namer)]>,
    /// See [`Policy::tenant`].
    pub tenant: Option<Namer>,
    /// See [`Policy::draft`].
    pub draft: Option<Predicate>,
    /// See [`Policy::bypass_when`].
    pub bypass_when: Option<Predicate>,
    /// See [`Policy::cookies`].
    pub cookies: Cookies,
    /// The statuses with a lifetime of their own.
    pub statuses: Box<[(StatusCode, Duration)]>,
    /// See [`Policy::max_body_bytes`].
    pub max_body_bytes: Option<usize>,
    /// See [`Policy::empty`].
    pub empty: Empty,
    /// See [`Policy::loss`].
    pub loss: Loss,
    /// What the origin's answers are asked, on a gateway route.
    pub origin: Option<Obeys>,
}

/// What of a URL's query is part of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// These parameters, sorted.
    Declared(Box<[String]>),
    /// All of it, as it stands.
    Whole,
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

/// Lifetimes leave in whole seconds.
fn check_seconds(field: &'static str, window: Duration) -> Result<(), ConfigError> {
    if (Duration::from_secs(1)..=Lifetime::LONGEST).contains(&window) {
        return Ok(());
    }
    let bound = "at least 1 s and at most 2147483647 s; leave it out for none";
    Err(ConfigError::OutOfBounds { field, value: format!("{window:?}"), bound })
}

fn check_range(field: &'static str, setting: f64, range: &RangeInclusive<f64>) -> Result<(), ConfigError> {
    if range.contains(&setting) {
        return Ok(());
    }
    let bound = match field {
        "policy.refresh_ahead" => "at least 0.01 and at most 100; leave it out for none",
        _ => "at least 0.01 and at most 0.9; leave it out for none",
    };
    Err(ConfigError::OutOfBounds { field, value: setting.to_string(), bound })
}

/// A cookie's or a variant's name: a token, or it would never match anything.
fn check_name(field: &'static str, name: &str) -> Result<(), ConfigError> {
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(());
    }
    Err(malformed(field, name, "it must be a token: letters, digits and `-_.` for example"))
}

fn zero(field: &'static str, bound: &'static str) -> ConfigError {
    ConfigError::OutOfBounds { field, value: "0".to_owned(), bound }
}

pub(super) fn malformed(field: &'static str, value: &str, reason: &str) -> ConfigError {
    ConfigError::Malformed { field, value: value.to_owned(), reason: reason.to_owned() }
}

pub(super) fn no_header(field: &'static str, name: &str) -> ConfigError {
    malformed(field, name, "it is not the name of a header")
}

/// P26: answers that say something about the request or the moment, not about the page, are never stored.
fn check_status(status: StatusCode, fresh: Duration) -> Result<(), ConfigError> {
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

fn check_parameter(name: &str) -> Result<(), ConfigError> {
    if name.is_empty()
        || name.bytes().any(|byte| matches!(byte, b'&' | b'=' | b'#' | b'?') || byte <= b' ' || byte >= 0x7f)
    {
        return Err(malformed("policy.query", name, "write the parameter's name as it stands in the URL"));
    }
    Ok(())
}

fn check_vary(names: &[String]) -> Result<Box<[HeaderName]>, ConfigError> {
    let mut declared = Vec::with_capacity(names.len());
    for name in names {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header("policy.vary", name))?;
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

fn unique<'a>(field: &'static str, names: impl IntoIterator<Item = &'a String>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ConfigError::Duplicate { field, value: name.clone() });
        }
    }
    Ok(())
}
