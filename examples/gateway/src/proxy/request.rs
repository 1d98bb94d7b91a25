//! A client's request as the origin gets it.

use std::net::SocketAddr;

use edge_isr_core::model::authority::{Scheme, normalize};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{Extensions, Method, Version, request};
use http_body::Body;

use super::failure::Failure;
use super::fields;

/// What a request has for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Nothing,
    /// What its method is for, and what every origin that knows the method reads.
    Content,
    /// What has no meaning that its method gives it (RFC 9110 §9.3.1). An origin may not even read it, and take it for
    /// the next request: it is the last one on its connection.
    Meaningless,
}

impl Carries {
    pub(super) fn of(method: &Method, body: &impl Body) -> Self {
        match method.as_str() {
            _ if is_empty(body) => Self::Nothing,
            "POST" | "PUT" | "PATCH" | "QUERY" | "PROPFIND" | "PROPPATCH" | "REPORT" | "SEARCH" | "LOCK" => {
                Self::Content
            }
            _ => Self::Meaningless,
        }
    }
}

/// Whether nothing comes. Over HTTP/2 a stream may be open still where a length has said so.
pub(super) fn is_empty(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

/// Checks a head and makes it one that can be sent. Gives back the protocol that the client would like to speak.
pub(super) fn prepare(
    parts: &mut request::Parts,
    hosts: &Hosts,
    carries: Carries,
    peer: Option<SocketAddr>,
) -> Result<Option<HeaderValue>, Failure> {
    into_origin_form(parts)?;
    hosts.check(&mut parts.headers)?;
    // A page's render has no body, whatever the visitor's request had.
    if carries == Carries::Nothing && parts.headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
    {
        parts.headers.remove(CONTENT_LENGTH);
    }
    let upgrade = fields::strip_connection(&mut parts.headers);
    fields::settle_length(&mut parts.headers).map_err(|_| Failure::BodyBroken)?;
    // HTTP/1.0 knows no upgrades (RFC 9110 §7.8), and nothing else follows on a connection that ends.
    let upgrade = upgrade.filter(|_| parts.version == Version::HTTP_11 && carries != Carries::Meaningless);
    fields::set_forwarded(&mut parts.headers, peer);
    fields::add_via(&mut parts.headers, parts.version);
    if let Some(protocol) = &upgrade {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol.clone());
    }
    if carries == Carries::Meaningless {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    parts.version = Version::HTTP_11;
    parts.extensions = Extensions::new();
    Ok(upgrade)
}

/// The target as an origin wants it. A worker's request names the host there, too.
fn into_origin_form(parts: &mut request::Parts) -> Result<(), Failure> {
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Failure::BadHost)?;
        parts.headers.entry(HOST).or_insert(host);
        let target = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    Ok(())
}

/// Whether a method may be repeated without harm (RFC 9110 §9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

/// The hosts of the site.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    /// Normalized, in order; empty: any.
    accepted: Vec<String>,
    /// For requests of HTTP/1.0, which need not name one.
    of_origin: String,
}

impl Hosts {
    pub(super) fn new(accepted: &[String], of_origin: String) -> Self {
        let bare = |host: &String| {
            let host = host.rsplit_once("://").map_or(host.as_str(), |(_, host)| host);
            normalize(host, Scheme::Http).map(|host| host.trim_end_matches(":443").to_owned())
        };
        let mut accepted: Vec<String> = accepted.iter().filter_map(bare).collect();
        accepted.sort_unstable();
        Self { accepted, of_origin }
    }

    /// Checks the host, and has it told in one spelling.
    fn check(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let mut lines = headers.get_all(HOST).iter();
        let Some(host) = lines.next() else {
            let host = HeaderValue::from_str(&self.of_origin).map_err(|_| Failure::BadHost)?;
            headers.insert(HOST, host);
            return Ok(());
        };
        let is_one = lines.next().is_none();
        let host = host.to_str().ok().filter(|_| is_one).and_then(|host| normalize(host, Scheme::Http));
        let host = host.ok_or(Failure::BadHost)?;
        let bare = host.strip_suffix(":443").unwrap_or(&host);
        if !self.accepted.is_empty() && self.accepted.binary_search_by(|known| (**known).cmp(bare)).is_err() {
            return Err(Failure::UnknownHost);
        }
        if headers.get(HOST).is_some_and(|told| told.as_bytes() != host.as_bytes()) {
            headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| Failure::BadHost)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b07_hosts_are_one_and_of_the_site() {
        let check = |accepted: &[&str], lines: &[&'static str]| {
            let accepted: Vec<String> = accepted.iter().map(|&host| host.to_owned()).collect();
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append(HOST, HeaderValue::from_static(line)));
            Hosts::new(&accepted, "o:1".to_owned()).check(&mut headers).map(|()| headers[HOST].clone())
        };
        assert_eq!(check(&[], &[]), Ok(HeaderValue::from_static("o:1")));
        assert_eq!(check(&[], &["WWW.Example.com"]), Ok(HeaderValue::from_static("www.example.com")));
        for bad in [&["a", "a"][..], &["a b"], &[""], &["u@h"], &["h:x"]] {
            assert_eq!(check(&[], bad), Err(Failure::BadHost), "{bad:?}");
        }
        let site = ["www.example.com", "https://b.example"];
        for known in ["www.example.com", "WWW.example.com.:80", "b.example", "b.example:443"] {
            assert!(check(&site, &[known]).is_ok(), "{known}");
        }
        for other in ["example.com", "www.example.com:81", "www.example.com.evil"] {
            assert_eq!(check(&site, &[other]), Err(Failure::UnknownHost), "{other}");
        }
    }
}
