//! Header fields on their way through: what belongs to one connection only is taken off, what a proxy has to say
//! is put on.

use std::net::{IpAddr, SocketAddr};

use edge_isr_core::model::claims;
use edge_isr_core::model::storable::{is_targeted, strip_hop_by_hop};
use http::Version;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, SET_COOKIE, TRANSFER_ENCODING, UPGRADE, VARY, VIA,
};

use super::failure::Failure;

/// Of HTTP/2's beginnings within HTTP/1, which nobody uses.
const HTTP2_SETTINGS: &str = "http2-settings";

/// What a client must not say of itself, or of what it asks for, whether the cache is on or off. Behind CGI and its kin
/// `_` in a name means `-`, and `Proxy` is a variable that programs take for the way out.
pub(crate) fn is_claim(name: &HeaderName) -> bool {
    let text = name.as_str();
    let is_real_ip = text.len() == "x-real-ip".len() && text.replace('_', "-") == "x-real-ip";
    claims::is_claim(name, false) || text == "proxy" || is_real_ip
}

/// What is meant for all recipients, or says where a message ends: `Connection` names it in vain (RFC 9110 §7.6.1).
fn is_for_all(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 7] =
        [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CACHE_CONTROL, SET_COOKIE, VARY, CONTENT_RANGE];
    NAMES.contains(name) || is_targeted(name)
}

/// The members of a field's lines, without the white space around them.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Removes the fields that `Connection` names, and the names with them: what a cache keys on is what the origin
/// sees then. What it says of the connection itself stays.
pub(crate) fn strip_named(headers: &mut HeaderMap) {
    const OPTIONS: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];
    let is_option = |member: &[u8]| OPTIONS.iter().any(|option| option.eq_ignore_ascii_case(member));
    // One line, and one word that everybody says: nearly always.
    if members(headers, &CONNECTION).all(is_option) {
        return;
    }
    let named = members(headers, &CONNECTION).filter(|member| !is_option(member));
    let named: Vec<HeaderName> = named.filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    let is_upgrade = members(headers, &CONNECTION).any(|member| member.eq_ignore_ascii_case(b"upgrade"));
    for name in named.iter().filter(|name| !is_for_all(name)) {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    if is_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Removes what belongs to the connection it came on (RFC 9110 §7.6.1), and gives back the protocol that the
/// sender would like to speak instead.
pub(super) fn strip_connection(headers: &mut HeaderMap) -> Option<HeaderValue> {
    strip_named(headers);
    let is_meant = members(headers, &CONNECTION).any(|member| member.eq_ignore_ascii_case(b"upgrade"))
        && !members(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
    let upgrade = headers.remove(UPGRADE).filter(|_| is_meant);
    strip_hop_by_hop(headers);
    headers.remove(HTTP2_SETTINGS);
    upgrade
}

/// The protocol that an answer switches to, if that is one of those that were offered (RFC 9110 §7.8).
pub(super) fn chosen(headers: &HeaderMap, offered: &HeaderValue) -> Option<HeaderValue> {
    let is_offered = |protocol: &[u8]| {
        let mut all = offered.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        !protocol.is_empty() && all.any(|other| other.eq_ignore_ascii_case(protocol))
    };
    let is_one = headers.contains_key(UPGRADE) && members(headers, &UPGRADE).all(is_offered);
    headers.get(UPGRADE).filter(|_| is_one).cloned()
}

/// Has a message say its length once, and not at all where it comes in chunks (RFC 9112 §6.3, RFC 9110 §8.6).
pub(super) fn settle_length(headers: &mut HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
        let mut codings = members(headers, &TRANSFER_ENCODING);
        let is_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        return if is_chunked && codings.next().is_none() { Ok(()) } else { Err(Failure::Malformed) };
    }
    let mut lengths = members(headers, &CONTENT_LENGTH);
    let Some(length) = lengths.next() else { return Ok(()) };
    let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if !is_number || !lengths.all(|other| other == length) {
        return Err(Failure::Malformed);
    }
    let length = HeaderValue::from_bytes(length).map_err(|_| Failure::Malformed)?;
    drop(lengths);
    headers.insert(CONTENT_LENGTH, length);
    Ok(())
}

/// Adds the line that says which way a message went (RFC 9110 §7.6.3).
pub(super) fn add_via(headers: &mut HeaderMap, received: Version) {
    let version = match received {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 edge-isr",
        Version::HTTP_2 => "2.0 edge-isr",
        _ => "1.1 edge-isr",
    };
    headers.append(VIA, HeaderValue::from_static(version));
}

/// Says who asked, for which host; whatever the client said about it is gone.
pub(super) fn set_forwarded(headers: &mut HeaderMap, peer: Option<SocketAddr>) {
    // Nearly always there is nothing to remove.
    if headers.keys().any(is_claim) {
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
        for name in claimed {
            headers.remove(name);
        }
    }
    let host = headers.get(HOST).cloned();
    let mut forwarded = Vec::new();
    if let Some(peer) = peer {
        let ip = peer.ip().to_canonical();
        let node = match ip {
            IpAddr::V4(ip) => format!("for={ip}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
        };
        forwarded.push(node);
        set(headers, "x-forwarded-for", &ip.to_string());
    }
    if let Some(host) = host {
        if let Some(text) = host.to_str().ok().filter(|text| !text.contains(['"', '\\'])) {
            forwarded.push(format!("host=\"{text}\""));
        }
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    forwarded.push("proto=http".to_owned());
    set(headers, "x-forwarded-proto", "http");
    set(headers, FORWARDED.as_str(), &forwarded.join(";"));
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        lines.iter().map(line).for_each(|(name, value)| _ = headers.append(name, value));
        headers
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let mut headers = headers(&[
            ("connection", "X-Own, close"),
            ("connection", "keep-alive"),
            ("x-own", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        assert_eq!(strip_connection(&mut headers), None, "no `Connection: upgrade`");
        let left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(left, [("accept", "a"), ("accept", "b")]);
    }

    #[test]
    fn an_upgrade_is_one_when_both_lines_say_so() {
        let upgrade =
            |connection, to| strip_connection(&mut headers(&[("connection", connection), ("upgrade", to)]));
        assert_eq!(upgrade("keep-alive, Upgrade", "websocket"), Some(HeaderValue::from_static("websocket")));
        assert_eq!(upgrade("keep-alive", "websocket"), None);
        assert_eq!(upgrade("upgrade, http2-settings", "h2c"), None);
        assert_eq!(upgrade("upgrade", "websocket, h2C"), None);
    }

    #[test]
    fn d01_clients_say_nothing_about_where_they_come_from() {
        let mut headers = headers(&[
            ("host", "h:1"),
            ("forwarded", "for=evil"),
            ("x-forwarded-for", "evil"),
            ("x-forwarded-prefix", "evil"),
            ("x-real-ip", "evil"),
            ("x_real_ip", "evil"),
            ("x-original-url", "evil"),
            ("x-http_method-override", "evil"),
            ("proxy", "evil"),
            ("x_forwarded-for", "evil"),
        ]);
        set_forwarded(&mut headers, Some("[::ffff:10.0.0.1]:5".parse().unwrap()));
        assert!(headers.values().all(|value| !value.to_str().unwrap().contains("evil")), "{headers:?}");
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "h:1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["forwarded"], "for=10.0.0.1;host=\"h:1\";proto=http");
        set_forwarded(&mut headers, Some("[2001:db8::1]:5".parse().unwrap()));
        assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"h:1\";proto=http");
        set_forwarded(&mut headers, None);
        assert_eq!(headers.get("x-forwarded-for"), None);
    }
}
