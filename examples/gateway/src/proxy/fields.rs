//! Header fields on their way through: what belongs to one connection only is taken off, what a proxy has to say
//! is put on.

use std::net::{IpAddr, SocketAddr};

use edge_isr_core::model::storable::strip_hop_by_hop;
use http::Version;
use http::header::{CONNECTION, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE, VIA};

/// Of HTTP/2's beginnings within HTTP/1, which nobody uses.
const HTTP2_SETTINGS: &str = "http2-settings";

/// What a client must not say of itself.
fn is_forwarding(name: &HeaderName) -> bool {
    *name == FORWARDED || name.as_str().starts_with("x-forwarded-") || name == "x-real-ip"
}

/// Removes what belongs to the connection it came on (RFC 9110 §7.6.1), and gives back the protocol that the
/// sender would like to speak instead.
pub(super) fn strip_connection(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.remove(UPGRADE).filter(|wanted| {
        let says = |value: &HeaderValue| {
            value
                .as_bytes()
                .split(|&byte| byte == b',')
                .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        };
        headers.get_all(CONNECTION).iter().any(says) && !wanted.as_bytes().eq_ignore_ascii_case(b"h2c")
    });
    strip_hop_by_hop(headers);
    headers.remove(HTTP2_SETTINGS);
    upgrade
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
    if headers.keys().any(is_forwarding) {
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| is_forwarding(name)).cloned().collect();
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
    }

    #[test]
    fn d01_clients_say_nothing_about_where_they_come_from() {
        let mut headers = headers(&[
            ("host", "h:1"),
            ("forwarded", "for=evil"),
            ("x-forwarded-for", "evil"),
            ("x-forwarded-prefix", "evil"),
            ("x-real-ip", "evil"),
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
