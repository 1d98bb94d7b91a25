//! Policies of gateway routes: the origin's answers say what is stored and for how long.

use std::time::Duration;

use http::header::HeaderName;

use super::origin::{Obeys, OriginCookies, RequestDirectives, SetCookie};
use super::policy::{Cookies, Empty, Policy};
use super::rules::{malformed, no_header};
use crate::error::ConfigError;

impl Policy {
    /// Obeys the answers' own headers (RFC 9111, 5861, 9213), as a cache in front of any origin does. The handler sees
    /// the visitor's request as it is, but for conditions and ranges, which are answered from the page; the whole query is
    /// part of the key, and so is each header that an answer's `Vary` names.
    ///
    /// ```
    /// use std::time::Duration;
    /// use edge_isr_core::{Cookies, Policy};
    ///
    /// let policy = Policy::from_origin().cookies(Cookies::Ignore).stale_if_error(Duration::from_secs(60));
    /// assert!(policy.check().is_ok());
    /// ```
    pub fn from_origin() -> Self {
        Self {
            origin: Some(Obeys::default()),
            cookies: Cookies::Explicit,
            empty: Empty::Store,
            whole_query: true,
            s_maxage: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Whether answers without explicit freshness may be stored for a share of the time since they last changed
    /// (RFC 9111 §4.2.2); on by default. Only on gateway routes.
    pub fn heuristics(self, heuristics: bool) -> Self {
        self.obeying("heuristics", |obeys| obeys.heuristics = heuristics)
    }

    /// What becomes of answers that set a cookie. Only on gateway routes.
    pub fn set_cookie(self, set_cookie: SetCookie) -> Self {
        self.obeying("set_cookie", |obeys| obeys.set_cookie = set_cookie)
    }

    /// Whether a request's own `Cache-Control` is obeyed. Only on gateway routes.
    pub fn request_directives(self, directives: RequestDirectives) -> Self {
        self.obeying("request_directives", |obeys| obeys.request_directives = directives)
    }

    /// The headers from which an origin's tags are read: `surrogate-key`, `cache-tag`, `cache-groups` by default. Only on
    /// gateway routes.
    pub fn tag_headers<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        match parse("policy.tag_headers", names) {
            Ok(names) => self.obeying("tag_headers", |obeys| obeys.tag_headers = names),
            Err(error) => self.wrong(error),
        }
    }

    /// Whether the headers that tags are read from are sent on to clients; not by default. Only on gateway routes.
    pub fn pass_tag_headers(self, pass: bool) -> Self {
        self.obeying("pass_tag_headers", |obeys| obeys.pass_tag_headers = pass)
    }

    /// The fields that are obeyed in place of `Cache-Control`, first one first (RFC 9213); `cdn-cache-control` by default.
    /// Only on gateway routes.
    pub fn targeted<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        match parse("policy.targeted", names) {
            Ok(names) => self.obeying("targeted", |obeys| obeys.targeted = names),
            Err(error) => self.wrong(error),
        }
    }

    fn obeying(mut self, setting: &str, change: impl FnOnce(&mut Obeys)) -> Self {
        match &mut self.origin {
            Some(obeys) => change(obeys),
            None => {
                let reason = "it is for gateway routes: begin with `Policy::from_origin()`";
                return self.wrong(malformed("policy", setting, reason));
            }
        }
        self
    }

    fn wrong(mut self, error: ConfigError) -> Self {
        self.wrong.get_or_insert(error);
        self
    }

    /// What a gateway route obeys, with the allowance for failures; nothing on a policy route.
    ///
    /// # Errors
    ///
    /// For a setting that means nothing on a gateway route.
    pub(super) fn obeys(&self) -> Result<Option<Obeys>, ConfigError> {
        if let Some(error) = &self.wrong {
            return Err(error.clone());
        }
        let Some(obeys) = &self.origin else {
            return match self.cookies {
                Cookies::Explicit | Cookies::Rfc => {
                    let reason =
                        "it is for gateway routes; a policy route says `Ignore`, `Bypass` or `BypassOn`";
                    Err(malformed("policy.cookies", &format!("{:?}", self.cookies), reason))
                }
                _ => Ok(None),
            };
        };
        let reason = "a gateway route goes by the origin's answers; use `Policy::new()`";
        for (field, is_set) in [
            ("policy.vary", !self.vary.is_empty()),
            ("policy.variant", !self.variants.is_empty()),
            ("policy.tenant", self.tenant.is_some()),
            ("policy.draft", self.draft.is_some()),
            ("policy.status", !self.statuses.is_empty()),
            ("policy.stale_while_revalidate", self.while_revalidate.is_some()),
            ("policy.s_maxage", !self.s_maxage.is_zero()),
            ("policy.browser_max_age", !self.browser_max_age.is_zero()),
            ("policy.lifetime_jitter", self.lifetime_jitter.is_some()),
        ] {
            if is_set {
                return Err(malformed(field, "set", reason));
            }
        }
        let if_error: Duration = self.if_error.unwrap_or_default();
        let cookies = match self.cookies {
            Cookies::Explicit => OriginCookies::Explicit,
            Cookies::Rfc => OriginCookies::Rfc,
            // Those that count have bypassed.
            Cookies::Ignore | Cookies::Bypass | Cookies::BypassOn(_) => OriginCookies::Ignore,
        };
        Ok(Some(Obeys { if_error, cookies, ..obeys.clone() }))
    }
}

fn parse<N: AsRef<str>>(
    field: &'static str,
    names: impl IntoIterator<Item = N>,
) -> Result<Box<[HeaderName]>, ConfigError> {
    let parse = |name: N| {
        HeaderName::from_bytes(name.as_ref().as_bytes()).map_err(|_| no_header(field, name.as_ref()))
    };
    names.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_route_begins_with_what_the_rfc_says() {
        let rules = Policy::from_origin().check().unwrap();
        assert_eq!((rules.cookies, rules.empty), (Cookies::Explicit, Empty::Store));
        assert!(matches!(rules.query, crate::model::rules::Query::Whole), "{:?}", rules.query);
        assert_eq!(rules.origin, Some(Obeys::default()));
    }

    #[test]
    fn a_setting_changes_what_it_names_and_nothing_else() {
        let own = Obeys::default;
        let name = |name| Box::new([HeaderName::from_static(name)]);
        let gateway = Policy::from_origin;
        for (policy, expected) in [
            (gateway().heuristics(false), Obeys { heuristics: false, ..own() }),
            (gateway().set_cookie(SetCookie::Store), Obeys { set_cookie: SetCookie::Store, ..own() }),
            (
                gateway().request_directives(RequestDirectives::Honor),
                Obeys { request_directives: RequestDirectives::Honor, ..own() },
            ),
            (gateway().tag_headers(["x-tags"]), Obeys { tag_headers: name("x-tags"), ..own() }),
            (gateway().pass_tag_headers(true), Obeys { pass_tag_headers: true, ..own() }),
            (gateway().targeted(["x-cc"]), Obeys { targeted: name("x-cc"), ..own() }),
            (gateway().cookies(Cookies::Rfc), Obeys { cookies: OriginCookies::Rfc, ..own() }),
            (gateway().cookies(Cookies::Ignore), Obeys { cookies: OriginCookies::Ignore, ..own() }),
            (gateway().cookies(Cookies::Bypass), Obeys { cookies: OriginCookies::Ignore, ..own() }),
        ] {
            assert_eq!(policy.check().unwrap().origin, Some(expected));
        }
    }

    #[test]
    fn b17_settings_of_the_other_kind_of_route_are_refused_by_name() {
        let minute = Duration::from_secs(60);
        for (policy, field) in [
            (Policy::new().heuristics(true), "heuristics"),
            (Policy::new().set_cookie(SetCookie::Store), "set_cookie"),
            (Policy::new().tag_headers(["cache-tag"]), "tag_headers"),
            (Policy::new().cookies(Cookies::Explicit), "policy.cookies"),
            (Policy::new().cookies(Cookies::Rfc), "policy.cookies"),
            (Policy::from_origin().tag_headers(["a b"]), "policy.tag_headers"),
            (Policy::from_origin().targeted([""]), "policy.targeted"),
            (Policy::from_origin().vary(["accept"]), "policy.vary"),
            (Policy::from_origin().tenant(|_| None), "policy.tenant"),
            (Policy::from_origin().s_maxage(minute), "policy.s_maxage"),
            (Policy::from_origin().browser_max_age(minute), "policy.browser_max_age"),
            (Policy::from_origin().lifetime_jitter(0.1), "policy.lifetime_jitter"),
            (Policy::from_origin().stale_while_revalidate(minute), "policy.stale_while_revalidate"),
        ] {
            let message = policy.check().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
        let rules = Policy::from_origin().stale_if_error(minute).heuristics(false).check().unwrap();
        let obeys = rules.origin.unwrap();
        assert_eq!((obeys.if_error, obeys.heuristics), (minute, false));
    }
}
