//! What an application says about a route: how long, for whom, and what is in the key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, request};

use super::origin::Obeys;
use super::verdict::Loss;
use crate::error::ConfigError;

pub use super::rules::{Query, Rules};

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
    /// On gateway routes, and their default: a request with a cookie is treated as one with `Authorization`. It is
    /// answered from a page only if the page says that it is for such requests, too (RFC 9111 §3.5).
    Explicit,
    /// On gateway routes: a cookie has no meaning, as RFC 9111 has it. Only for origins whose pages name `Cookie` in
    /// `Vary` wherever they depend on it.
    Rfc,
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
    pub(super) s_maxage: Duration,
    pub(super) while_revalidate: Option<Duration>,
    pub(super) if_error: Option<Duration>,
    pub(super) refresh_ahead: Option<f64>,
    pub(super) lifetime_jitter: Option<f64>,
    pub(super) browser_max_age: Duration,
    pub(super) vary: Vec<String>,
    pub(super) query: Vec<String>,
    pub(super) whole_query: bool,
    pub(super) variants: Vec<(String, Namer)>,
    pub(super) tenant: Option<Namer>,
    pub(super) draft: Option<Predicate>,
    pub(super) bypass_when: Option<Predicate>,
    pub(super) cookies: Cookies,
    pub(super) statuses: Vec<(StatusCode, Duration)>,
    pub(super) max_body_bytes: Option<usize>,
    pub(super) empty: Empty,
    pub(super) loss: Loss,
    pub(super) origin: Option<Obeys>,
    /// The first setting that can't be right by itself.
    pub(super) wrong: Option<ConfigError>,
}

impl Default for Policy {
    /// Fresh for 300 s, then rendered while the visitor waits.
    fn default() -> Self {
        Self {
            s_maxage: Duration::from_secs(300),
            while_revalidate: None,
            if_error: None,
            refresh_ahead: None,
            lifetime_jitter: None,
            browser_max_age: Duration::ZERO,
            vary: Vec::new(),
            query: Vec::new(),
            whole_query: false,
            variants: Vec::new(),
            tenant: None,
            draft: None,
            bypass_when: None,
            cookies: Cookies::default(),
            statuses: Vec::new(),
            max_body_bytes: None,
            empty: Empty::default(),
            loss: Loss::default(),
            origin: None,
            wrong: None,
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

    /// Renders a page that is still asked for shortly before it ages, in the background, so that nobody meets it
    /// stale or waits for it (XFetch). Each hit near the end draws how far ahead to begin; the mean is the
    /// page's own last render time times `beta`. 1 suits most; more begins earlier; 0.01 to 100 are taken.
    ///
    /// Off by default. A page lives a little shorter with it, never less than half its lifetime, and one
    /// that nobody asks for in its last moments is not rendered.
    ///
    /// ```
    /// use edge_isr_core::Policy;
    ///
    /// assert!(Policy::new().refresh_ahead(1.0).check().is_ok());
    /// let error = Policy::new().refresh_ahead(0.0).check().unwrap_err();
    /// assert!(error.to_string().contains("policy.refresh_ahead"));
    /// ```
    pub fn refresh_ahead(mut self, beta: f64) -> Self {
        self.refresh_ahead = Some(beta);
        self
    }

    /// Shortens each page's lifetime at random by up to this share of it, so that pages that were stored together
    /// do not age together. Never lengthens it, and never goes below one second. `s-maxage` and the `ttl` in
    /// `Cache-Status` are those of the page.
    ///
    /// Off by default; 0.01 to 0.9 are taken. Lifetimes come in 32 steps, so that pages of a route go on
    /// sharing their heads.
    ///
    /// ```
    /// use std::time::Duration;
    /// use edge_isr_core::Policy;
    ///
    /// // From 270 to 300 seconds.
    /// let policy = Policy::new().s_maxage(Duration::from_secs(300)).lifetime_jitter(0.1);
    /// assert!(policy.check().is_ok());
    /// let error = Policy::new().lifetime_jitter(10.0).check().unwrap_err();
    /// assert!(error.to_string().contains("policy.lifetime_jitter"));
    /// ```
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.lifetime_jitter = Some(share);
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
        self.whole_query = false;
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
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("s_maxage", &self.s_maxage)
            .field("stale_while_revalidate", &self.while_revalidate)
            .field("stale_if_error", &self.if_error)
            .field("refresh_ahead", &self.refresh_ahead)
            .field("lifetime_jitter", &self.lifetime_jitter)
            .field("query", &self.query)
            .field("vary", &self.vary)
            .field("cookies", &self.cookies)
            .field("status", &self.statuses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lifetime::Lifetime;
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
            (Policy::new().refresh_ahead(0.0), "policy.refresh_ahead"),
            (Policy::new().refresh_ahead(-1.0), "policy.refresh_ahead"),
            (Policy::new().refresh_ahead(100.1), "policy.refresh_ahead"),
            (Policy::new().refresh_ahead(f64::NAN), "policy.refresh_ahead"),
            (Policy::new().lifetime_jitter(0.0), "policy.lifetime_jitter"),
            (Policy::new().lifetime_jitter(-0.1), "policy.lifetime_jitter"),
            (Policy::new().lifetime_jitter(10.0), "policy.lifetime_jitter"),
            (Policy::new().lifetime_jitter(f64::INFINITY), "policy.lifetime_jitter"),
            (Policy::new().lifetime_jitter(f64::NAN), "policy.lifetime_jitter"),
        ];
        for (policy, field) in refused {
            let message = policy.check().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn what_spreads_renders_is_off_unless_asked_for_and_shows() {
        let rules = Policy::new().check().unwrap();
        assert_eq!((rules.refresh_ahead, rules.lifetime_jitter), (0.0, 0.0));
        for (beta, share) in [(0.01, 0.01), (100.0, 0.9)] {
            let policy = Policy::new().refresh_ahead(beta).lifetime_jitter(share);
            let rules = policy.check().unwrap();
            assert_eq!((rules.refresh_ahead, rules.lifetime_jitter), (beta, share));
            let shown = format!("{policy:?}");
            assert!(shown.contains(&format!("refresh_ahead: Some({beta:?})")), "{shown}");
            assert!(shown.contains(&format!("lifetime_jitter: Some({share:?})")), "{shown}");
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
