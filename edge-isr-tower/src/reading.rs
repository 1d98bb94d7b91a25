//! Reads a request head: its key, or why it bypasses. One pass over the headers, and no copy of what is in
//! its canonical form already.

use std::borrow::Cow;

use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::coding::Accepts;
use edge_isr_core::model::key::{Audience, Dimension, KeyRef, dimension};
use edge_isr_core::model::policy::{Query, Rules};
use edge_isr_core::{Isr, Reason};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, request};

mod scan;

pub(crate) use self::scan::{Conditions, pairs, receipt};
use self::scan::{Encodings, Scan};

/// The values of the dimensions; most pages have none or one.
#[derive(Debug)]
enum Dimensions<'a> {
    None,
    One([Dimension<'a>; 1]),
    Many(Vec<Dimension<'a>>),
}

/// A request head as its key needs it.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    scheme: Scheme,
    authority: Cow<'a, str>,
    route: &'a str,
    tenant: Option<String>,
    audience: Audience,
    vary: &'a [HeaderName],
    path: &'a str,
    query: Option<Cow<'a, str>>,
    dimensions: Dimensions<'a>,
    conditions: Conditions<'a>,
    encodings: Encodings<'a>,
    is_own: bool,
}

impl<'a> Reading<'a> {
    /// Reads a head; an error is why the request bypasses.
    #[inline(always)]
    pub(crate) fn of(
        isr: &'a Isr,
        rules: &'a Rules,
        route: &'a str,
        uri: &'a Uri,
        parts: &'a request::Parts,
    ) -> Result<Self, Reason> {
        let path = uri.path();
        if !path.starts_with('/') {
            return Err(Reason::BadUri);
        }
        let Scan { host, conditions, encodings, is_own } = Scan::of(&parts.headers, rules)?;
        if rules.bypass_when.as_ref().is_some_and(|bypass| bypass(parts)) {
            return Err(Reason::Policy);
        }
        let stated = uri.scheme_str().and_then(Scheme::parse);
        let (scheme, authority) = origin(isr, uri, host, stated)?;
        let tenant = match &rules.tenant {
            Some(tenant) => Some(tenant(parts).ok_or(Reason::NoTenant)?),
            None => None,
        };
        let audience = match &rules.draft {
            Some(is_draft) if is_draft(parts) => Audience::Draft,
            _ => Audience::Public,
        };
        let reading = Self {
            scheme,
            authority,
            route,
            tenant,
            audience,
            vary: &rules.vary,
            path,
            query: uri.query().and_then(|raw| canonical_query(raw, &rules.query)),
            dimensions: dimensions(rules, parts)?,
            conditions,
            encodings,
            is_own,
        };
        if reading.key().len_bytes() > isr.limits().key_bytes {
            return Err(Reason::KeyTooLong);
        }
        Ok(reading)
    }

    /// Whether the answer may be less than the whole page.
    #[inline]
    pub(crate) const fn conditions(&self) -> Conditions<'a> {
        self.conditions
    }

    /// The codings that it takes.
    #[inline]
    pub(crate) fn accepts(&self, headers: &HeaderMap) -> Accepts {
        self.encodings.accepts(headers)
    }

    /// Whether it may be one visitor's own, on a gateway route, for credentials or a body.
    #[inline]
    pub(crate) const fn is_own(&self) -> bool {
        self.is_own
    }

    #[inline]
    pub(crate) fn key(&self) -> KeyRef<'_> {
        KeyRef {
            scheme: self.scheme,
            authority: &self.authority,
            route: self.route,
            tenant: self.tenant.as_deref(),
            audience: self.audience,
            vary: self.vary,
            path: self.path,
            query: self.query.as_deref(),
            dimensions: match &self.dimensions {
                Dimensions::None => &[],
                Dimensions::One(one) => one,
                Dimensions::Many(many) => many,
            },
        }
    }
}

/// Scheme and authority: of the URI where it has them (HTTP/2), else of the `Host`.
#[inline(always)]
fn origin<'a>(
    isr: &'a Isr,
    uri: &'a Uri,
    host: Option<&'a HeaderValue>,
    stated: Option<Scheme>,
) -> Result<(Scheme, Cow<'a, str>), Reason> {
    let text = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => host.ok_or(Reason::BadHost)?.as_bytes(),
    };
    let authority = isr.host(text, stated.unwrap_or(Scheme::Http)).ok_or(Reason::BadHost)?;
    // The default port depends on the scheme, which a listed origin may know better than the request.
    if stated.is_none()
        && let Some(bare) = authority.strip_suffix(":443")
        && isr.scheme_of(bare, None) == Some(Scheme::Https)
    {
        return Ok((Scheme::Https, Cow::Owned(bare.to_owned())));
    }
    let scheme = isr.scheme_of(&authority, stated).ok_or(Reason::UnknownHost)?;
    Ok((scheme, authority))
}

/// The host of a request as its pages' keys have it, for those who only need that.
pub(crate) fn host_of<'a>(isr: &'a Isr, uri: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    let stated = uri.scheme_str().and_then(Scheme::parse);
    origin(isr, uri, headers.get(HOST), stated).ok().map(|(_, authority)| authority)
}

/// The declared parameters in order, raw; borrowed when they stand so in the URL and nothing else does.
#[inline]
fn canonical_query<'a>(raw: &'a str, query: &Query) -> Option<Cow<'a, str>> {
    let Query::Declared(declared) = query else { return Some(Cow::Borrowed(raw)) };
    if declared.is_empty() {
        return None;
    }
    let mut last = 0;
    let in_order = raw.split('&').all(|pair| match place(pair, declared) {
        Some(place) if place >= last => {
            last = place;
            true
        }
        _ => false,
    });
    if in_order {
        return Some(Cow::Borrowed(raw));
    }
    let mut kept: Vec<(usize, &str)> =
        raw.split('&').filter_map(|pair| Some((place(pair, declared)?, pair))).collect();
    if kept.is_empty() {
        return None;
    }
    // Stable: parameters of one name keep their order, which may mean something.
    kept.sort_by_key(|(place, _)| *place);
    let pairs: Vec<&str> = kept.into_iter().map(|(_, pair)| pair).collect();
    Some(Cow::Owned(pairs.join("&")))
}

#[inline]
fn place(pair: &str, declared: &[String]) -> Option<usize> {
    let end = pair.bytes().position(|byte| byte == b'=').unwrap_or(pair.len());
    declared.iter().position(|name| **name == pair[..end])
}

#[inline(always)]
fn dimensions<'a>(rules: &'a Rules, parts: &'a request::Parts) -> Result<Dimensions<'a>, Reason> {
    match (&*rules.vary, &*rules.variants) {
        ([], []) => Ok(Dimensions::None),
        ([name], []) => Ok(Dimensions::One([dimension(&parts.headers, name)?])),
        (vary, variants) => {
            let mut all = Vec::with_capacity(vary.len() + variants.len());
            for name in vary {
                all.push(dimension(&parts.headers, name)?);
            }
            for (_, value) in variants {
                all.push(value(parts).map(Cow::Owned));
            }
            Ok(Dimensions::Many(all))
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_isr_core::{Cookies, Policy};
    use http::Request;

    use super::*;

    /// Authority, query and dimensions of the key.
    type Read = (String, Option<String>, Vec<Option<String>>);

    fn read(
        policy: impl std::borrow::Borrow<Policy>,
        request: http::request::Builder,
    ) -> Result<Read, Reason> {
        let isr = Isr::builder().build().unwrap();
        let rules = policy.borrow().check().unwrap();
        let parts = request.body(()).unwrap().into_parts().0;
        let reading = Reading::of(&isr, &rules, "/", &parts.uri, &parts)?;
        let key = reading.key();
        let dimensions = key.dimensions.iter().map(|value| value.as_deref().map(str::to_owned)).collect();
        Ok((key.authority.to_owned(), key.query.map(str::to_owned), dimensions))
    }

    fn get(uri: &str) -> http::request::Builder {
        Request::get(uri).header("host", "h")
    }

    #[test]
    fn p24_credentials_bypass_and_the_receipts_cookie_does_not() {
        let with = |name: &str, value: &str| get("/").header(name, value);
        assert_eq!(read(Policy::new(), with("authorization", "x")).err(), Some(Reason::Authorization));
        assert_eq!(read(Policy::new(), with("upgrade", "websocket")).err(), Some(Reason::Upgrade));
        assert_eq!(read(Policy::new(), with("cookie", "a=b")).err(), Some(Reason::Cookie));
        assert!(read(Policy::new(), with("cookie", "edge-isr-receipt=00")).is_ok());
        assert_eq!(
            read(Policy::new(), with("cookie", "edge-isr-receipt=0; s=1")).err(),
            Some(Reason::Cookie)
        );
        assert!(read(Policy::new().cookies(Cookies::Ignore), with("cookie", "a=b")).is_ok());
        let on = Policy::new().cookies(Cookies::bypass_on(["session"]));
        assert!(read(on.clone(), with("cookie", "a=b; sessions=1")).is_ok());
        assert_eq!(read(on, with("cookie", "a=b;session=1")).err(), Some(Reason::Cookie));
        assert_eq!(read(Policy::new().bypass_when(|_| true), get("/")).err(), Some(Reason::Policy));
    }

    #[test]
    fn b07_hosts_that_are_none_bypass() {
        let bad = [Request::get("/"), get("/").header("host", "i"), Request::get("/").header("host", "a b")];
        for request in bad {
            assert_eq!(read(Policy::new(), request).err(), Some(Reason::BadHost));
        }
        let absolute = Request::get("http://X.example:80/").header("host", "ignored");
        assert_eq!(read(Policy::new(), absolute).unwrap().0, "x.example");
    }

    #[test]
    fn b07_no_host_is_read_in_another_way_for_one_that_came_before() {
        let listed = || Isr::builder().origins(["https://h", "http://i"]).build().unwrap();
        let texts = ["h", "H", "h.", "h:80", "h:443", "i", "[::1]", "h:1", "a b", "\u{f6}"];
        let read = |isr: &Isr, (text, scheme): (&str, Option<Scheme>)| {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            origin(isr, &Uri::from_static("/"), Some(&value), scheme)
                .map(|(scheme, host)| (scheme, host.into_owned()))
        };
        let schemes = [None, Some(Scheme::Http), Some(Scheme::Https)];
        let all: Vec<_> = texts.iter().flat_map(|text| schemes.map(|scheme| (*text, scheme))).collect();
        for fresh in [listed, || Isr::builder().build().unwrap()] {
            for first in &all {
                let isr = fresh();
                let _ = read(&isr, *first);
                all.iter().for_each(|next| assert_eq!(read(&isr, *next), read(&fresh(), *next), "{first:?}"));
            }
        }
    }

    #[test]
    fn x01_only_declared_parameters_count_and_their_order_does_not() {
        let query = |uri: &str| read(Policy::new().query(["page", "sort"]), get(uri)).unwrap().1;
        assert_eq!(query("/?page=2&sort=a").as_deref(), Some("page=2&sort=a"));
        assert_eq!(query("/?utm=x&sort=a&page=2").as_deref(), Some("page=2&sort=a"));
        assert_eq!(query("/?page=2&page=1").as_deref(), Some("page=2&page=1"));
        assert_eq!(query("/?utm=x"), None);
        assert_eq!(query("/?"), None);
        assert_eq!(read(Policy::new(), get("/?page=2")).unwrap().1, None);
    }

    #[test]
    fn declared_headers_are_folded_and_absent_is_not_empty() {
        let policy = || Policy::new().vary(["accept-language", "x-a"]);
        let values = |request: http::request::Builder| read(policy(), request).unwrap().2;
        let folded = values(get("/").header("accept-language", "en-US, de").header("accept-language", "FR"));
        assert_eq!(folded, [Some("de,en-us,fr".to_owned()), None]);
        assert_eq!(values(get("/").header("x-a", "")), [None, Some(String::new())]);
        let bytes = get("/").header("x-a", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(read(policy(), bytes).err(), Some(Reason::BadHeader));
    }

    /// The request that renders a page has each value in one line, and must be that page's.
    #[test]
    fn p23_joined_lines_read_back_as_they_are() {
        let policy = || Policy::new().vary(["accept-language", "x-a"]);
        let lines = ["", " ", "a", "b ,", ", A", "\ta\t", ","];
        let triples = lines.iter().flat_map(|a| lines.iter().flat_map(move |b| lines.map(|c| [*a, *b, c])));
        for lines in triples {
            let request = lines.iter().fold(get("/"), |request, line| {
                request.header("x-a", *line).header("accept-language", *line)
            });
            let joined = read(policy(), request).unwrap().2;
            let [language, other] = [0, 1].map(|n| joined[n].clone().unwrap());
            let again = get("/").header("x-a", other).header("accept-language", language);
            assert_eq!(read(policy(), again).unwrap().2, joined, "{lines:?}");
        }
    }

    #[test]
    fn what_the_client_knows_is_noticed_in_the_one_pass_and_the_first_line_of_it_is_kept() {
        let isr = Isr::builder().build().unwrap();
        let rules = Policy::new().check().unwrap();
        for (headers, expected) in [
            (&[][..], "None"),
            (&[("accept", "*/*"), ("if-range", "\"a\"")], "None"),
            (&[("range", "bytes=0-1")], "Other"),
            (&[("if-modified-since", "x")], "Other"),
            (&[("if-none-match", "a"), ("range", "bytes=0-1"), ("if-none-match", "b")], "Known(\"a\")"),
            (&[("range", "bytes=0-1"), ("if-none-match", "a")], "Known(\"a\")"),
        ] {
            let request =
                headers.iter().fold(get("/"), |request, (name, value)| request.header(*name, *value));
            let parts = request.body(()).unwrap().into_parts().0;
            let reading = Reading::of(&isr, &rules, "/", &parts.uri, &parts).unwrap();
            assert_eq!(format!("{:?}", reading.conditions()), expected, "{headers:?}");
        }
    }

    #[test]
    fn over_long_keys_bypass() {
        let path = format!("/{}", "x".repeat(9000));
        assert_eq!(read(Policy::new(), get(&path)).err(), Some(Reason::KeyTooLong));
    }
}
