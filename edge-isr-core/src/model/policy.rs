//! What an application says about a route: how long, for whom, and what is in the key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, request};

use super::lifetime::Lifetime;
use super::rules::{
    MAX_SECONDS, check_name, check_parameter, check_seconds, check_status, check_vary, unique, zero,
};
use super::verdict::Loss;
use crate::error::ConfigError;

pub use super::rules::Rules;

/// What happens to requests that carry cookies. A receipt's own cookie is never a reason for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cookies {
    /// Any cookie bypasses, both ways: the page may differ for whoever has one.
    #[default]
    Bypass,
    /// Cookies are removed before the handler: the page is the same for everyone.
    Ignore,
    /// These cookies bypass; all others are removed before the handler.
    BypassOn(Vec<String>),
}

impl Cookies {
    /// [`Cookies::BypassOn`] from any list of names.
    #[must_use]
    pub fn bypass_on<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::BypassOn(names.into_iter().map(Into::into).collect())
    }
}

/// Whether an empty body with status 200 is a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Empty {
    /// No: it is more likely a failure.
    #[default]
    Refuse,
    /// Yes.
    Store,
}

/// Decides by the head of a request.
pub type Predicate = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
/// Names something by the head of a request.
pub type Namer = Arc<dyn Fn(&request::Parts) -> Option<String> + Send + Sync>;

/// The settings of a route. Private by default: only `GET` and `HEAD`, only status 200, only for requests
/// without cookies or credentials, and the handler sees no input that is not in the key.
///
/// ```
/// use std::time::Duration;
/// use edge_isr_core::{Cookies, Policy};
///
/// let policy = Policy::new()
///     .s_maxage(Duration::from_secs(300))
///     .stale_while_revalidate(Duration::from_secs(3600))
///     .query(["page"])
///     .vary(["accept-language"])
///     .cookies(Cookies::Ignore);
/// assert!(policy.check().is_ok());
/// ```
#[derive(Clone)]
#[must_use]
pub struct Policy {
    s_maxage: Duration,
    while_revalidate: Option<Duration>,
    if_error: Option<Duration>,
    browser_max_age: Duration,
    vary: Vec<String>,
    query: Vec<String>,
    variants: Vec<(String, Namer)>,
    tenant: Option<Namer>,
    draft: Option<Predicate>,
    bypass_when: Option<Predicate>,
    cookies: Cookies,
    statuses: Vec<(StatusCode, Duration)>,
    max_body_bytes: Option<usize>,
    empty: Empty,
    loss: Loss,
}

impl Default for Policy {
    /// Fresh for 300 s, then rendered while the visitor waits.
    fn default() -> Self {
        Self {
            s_maxage: Duration::from_secs(300),
            while_revalidate: None,
            if_error: None,
            browser_max_age: Duration::ZERO,
            vary: Vec::new(),
            query: Vec::new(),
            variants: Vec::new(),
            tenant: None,
            draft: None,
            bypass_when: None,
            cookies: Cookies::default(),
            statuses: Vec::new(),
            max_body_bytes: None,
            empty: Empty::default(),
            loss: Loss::default(),
        }
    }
}

impl Policy {
    /// The defaults: fresh for 300 s, no stale windows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a page is fresh, here and at shared caches downstream (RFC 9111 §5.2.2.10).
    pub fn s_maxage(mut self, fresh: Duration) -> Self {
        self.s_maxage = fresh;
        self
    }

    /// How long after that it is served while one render runs (RFC 5861 §3). Also how long a softly
    /// invalidated page may be served, counted from its birth. Without it the visitor waits.
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.while_revalidate = Some(window);
        self
    }

    /// How long after that it is served when renders fail (RFC 5861 §4). Never after a hard invalidation.
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.if_error = Some(window);
        self
    }

    /// How long a browser may reuse the page without asking; zero by default, since no invalidation
    /// reaches a browser.
    pub fn browser_max_age(mut self, max_age: Duration) -> Self {
        self.browser_max_age = max_age;
        self
    }

    /// The request headers that are part of the key. The handler sees these, normalized, and no others.
    pub fn vary<N: Into<String>>(mut self, headers: impl IntoIterator<Item = N>) -> Self {
        self.vary.extend(headers.into_iter().map(Into::into));
        self
    }

    /// The query parameters that are part of the key. The handler sees these, sorted by name, and no others.
    pub fn query<N: Into<String>>(mut self, parameters: impl IntoIterator<Item = N>) -> Self {
        self.query.extend(parameters.into_iter().map(Into::into));
        self
    }

    /// A dimension of the key that is computed: `name` is how the handler asks for it
    /// (`IsrContext::variant`). Keep its values few.
    pub fn variant(
        mut self,
        name: impl Into<String>,
        value: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.variants.push((name.into(), Arc::new(value)));
        self
    }

    /// Whose page it is. A request without a tenant bypasses.
    pub fn tenant(
        mut self,
        tenant: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tenant = Some(Arc::new(tenant));
        self
    }

    /// Which requests are previews. They have pages of their own, which leave as `private, no-store`; verify
    /// a secret here, not a mere flag.
    pub fn draft(mut self, is_draft: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.draft = Some(Arc::new(is_draft));
        self
    }

    /// Which requests bypass, both ways, beside those that always do.
    pub fn bypass_when(mut self, bypass: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.bypass_when = Some(Arc::new(bypass));
        self
    }

    /// What happens to requests that carry cookies.
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// Stores answers of this status too, for a lifetime of their own and without stale windows: a missing
    /// page that comes to exist must not be served as missing.
    pub fn status(mut self, status: StatusCode, fresh: Duration) -> Self {
        self.statuses.push((status, fresh));
        self
    }

    /// The most bytes of a body that is stored; by default [`Limits::body_bytes`](crate::Limits).
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = Some(bytes);
        self
    }

    /// Whether an empty body is a page.
    pub fn empty(mut self, empty: Empty) -> Self {
        self.empty = empty;
        self
    }

    /// What becomes of pages when the graph's marks are lost.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

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
        for (field, window) in [("policy.s_maxage", Some(self.s_maxage))].into_iter().chain(windows) {
            window.map_or(Ok(()), |window| check_seconds(field, window))?;
        }
        if self.browser_max_age > MAX_SECONDS {
            check_seconds("policy.browser_max_age", self.browser_max_age)?;
        }
        if self.max_body_bytes == Some(0) {
            return Err(zero("policy.max_body_bytes", "at least 1"));
        }
        for (status, fresh) in &self.statuses {
            check_status(*status, *fresh)?;
        }
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
            browser_max_age: self.browser_max_age,
            vary: check_vary(&self.vary)?,
            query: query.into(),
            variants: self.variants.clone().into(),
            tenant: self.tenant.clone(),
            draft: self.draft.clone(),
            bypass_when: self.bypass_when.clone(),
            cookies: self.cookies.clone(),
            statuses: self.statuses.clone().into(),
            max_body_bytes: self.max_body_bytes,
            empty: self.empty,
            loss: self.loss,
        })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("s_maxage", &self.s_maxage)
            .field("stale_while_revalidate", &self.while_revalidate)
            .field("stale_if_error", &self.if_error)
            .field("query", &self.query)
            .field("vary", &self.vary)
            .field("cookies", &self.cookies)
            .field("status", &self.statuses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_settings_that_cannot_be_right_are_refused_by_name() {
        let refused = [
            (Policy::new().s_maxage(Duration::ZERO), "policy.s_maxage"),
            (Policy::new().stale_while_revalidate(Duration::ZERO), "policy.stale_while_revalidate"),
            (Policy::new().stale_if_error(Duration::ZERO), "policy.stale_if_error"),
            (Policy::new().vary(["Accept-Language", "accept-language"]), "policy.vary"),
            (Policy::new().vary(["Cookie"]), "policy.vary"),
            (Policy::new().vary(["a b"]), "policy.vary"),
            (Policy::new().query(["page", "page"]), "policy.query"),
            (Policy::new().query(["a=b"]), "policy.query"),
            (Policy::new().variant("x", |_| None).variant("x", |_| None), "policy.variant"),
            (Policy::new().status(StatusCode::NO_CONTENT, Duration::from_secs(1)), "policy.status"),
            (Policy::new().status(StatusCode::NOT_FOUND, Duration::ZERO), "policy.status"),
            (
                Policy::new().status(StatusCode::INTERNAL_SERVER_ERROR, Duration::from_secs(1)),
                "policy.status",
            ),
            (Policy::new().max_body_bytes(0), "policy.max_body_bytes"),
            (Policy::new().s_maxage(Duration::from_millis(999)), "policy.s_maxage"),
            (Policy::new().browser_max_age(Duration::MAX), "policy.browser_max_age"),
            (Policy::new().cookies(Cookies::bypass_on(["a b"])), "policy.cookies"),
            (Policy::new().cookies(Cookies::bypass_on([""])), "policy.cookies"),
            (Policy::new().cookies(Cookies::bypass_on(["a", "a"])), "policy.cookies"),
            (Policy::new().variant("", |_| None), "policy.variant"),
        ];
        for (policy, field) in refused {
            let message = policy.check().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn a_status_of_its_own_has_no_stale_windows() {
        let minute = Duration::from_secs(60);
        let rules = Policy::new()
            .stale_while_revalidate(minute)
            .status(StatusCode::NOT_FOUND, minute)
            .check()
            .unwrap();
        assert_eq!(
            rules.lifetime_of(StatusCode::NOT_FOUND),
            Some(Lifetime { fresh: minute, ..Lifetime::default() })
        );
        assert_eq!(rules.lifetime_of(StatusCode::OK).unwrap().while_revalidate, minute);
        assert_eq!(rules.lifetime_of(StatusCode::FOUND), None);
    }
}
