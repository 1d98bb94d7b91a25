//! Where a page lives: the scheme and the host, in one spelling.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Moment;

/// The most bytes of a host, its port included: what DNS takes, and room for the port.
const MAX_HOST_BYTES: usize = 255;

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`, the default where nothing says otherwise.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The scheme's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Reads a scheme; `None` for anything but `http` and `https`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    const fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// When a host was last used: shared by the list of hosts and the scopes of the host's pages, so that a hit
/// needs no lock to say so. The second of the last use; zero before the first; `DISPLACED` once another host
/// took its place.
#[derive(Debug, Default)]
pub(crate) struct HostUse(AtomicU32);

impl HostUse {
    const DISPLACED: u32 = u32::MAX;

    /// One that has no place.
    pub(crate) const fn displaced() -> Self {
        Self(AtomicU32::new(Self::DISPLACED))
    }

    fn second(now: Moment) -> u32 {
        let second = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
        second.clamp(1, Self::DISPLACED - 1)
    }

    /// Remembers a use. Writes once a second at most.
    #[inline]
    pub(crate) fn touch(&self, now: Moment) {
        let (second, last) = (Self::second(now), self.0.load(Ordering::Relaxed));
        if last != second && last != Self::DISPLACED {
            // Whoever is in the way says the same, or takes the place away.
            let _ = self.0.compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// For how many seconds it was not used; `None` if it never was.
    pub(crate) fn idle(&self, now: Moment) -> Option<u32> {
        let last = self.0.load(Ordering::Relaxed);
        (last > 0).then(|| Self::second(now).saturating_sub(last))
    }

    pub(crate) fn displace(&self) {
        self.0.store(Self::DISPLACED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_displaced(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::DISPLACED
    }
}

/// The one spelling of a `Host` header or an authority (RFC 9110 §4.2.3): lower case, no trailing dot, no
/// default port. `None` when it is no host: empty, over-long, with user information, with bytes that don't belong
/// there.
///
/// ```
/// use edge_isr_core::model::authority::{Scheme, normalize};
///
/// assert_eq!(normalize("WWW.Example.com.:80", Scheme::Http).as_deref(), Some("www.example.com"));
/// assert_eq!(normalize("localhost:3000", Scheme::Http).as_deref(), Some("localhost:3000"));
/// assert_eq!(normalize("evil@example.com", Scheme::Http), None);
/// ```
#[must_use]
pub fn normalize(text: &str, scheme: Scheme) -> Option<Cow<'_, str>> {
    if text.len() > MAX_HOST_BYTES {
        return None;
    }
    if is_plain(text) {
        return Some(Cow::Borrowed(text));
    }
    let (host, port) = split_port(text)?;
    let port = port.filter(|&port| port != scheme.default_port());
    // The dot is DNS's; an address has none.
    let bare = host.strip_suffix('.').filter(|name| !name.ends_with(']')).unwrap_or(host);
    if bare.is_empty() || bare.ends_with('.') || !is_host(bare) {
        return None;
    }
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let mut owned = bare.to_ascii_lowercase();
        if let Some(port) = port {
            owned.push(':');
            owned.push_str(port);
        }
        return Some(Cow::Owned(owned));
    }
    match port {
        None => Some(Cow::Borrowed(bare)),
        Some(_) if bare.len() == host.len() => Some(Cow::Borrowed(text)),
        Some(port) => Some(Cow::Owned(format!("{bare}:{port}"))),
    }
}

/// A normalized authority without the default port of either scheme, as tags name it: a request over HTTP/1 does
/// not state its scheme, so its `h:443` is kept, and is still the host of `https://h/`.
pub(crate) fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

/// Whether a host is in its one spelling already, as nearly all are. One pass.
fn is_plain(text: &str) -> bool {
    const ODD: [bool; 256] = {
        let mut odd = [true; 256];
        let bytes = b"abcdefghijklmnopqrstuvwxyz0123456789-._";
        let mut n = 0;
        while n < bytes.len() {
            odd[bytes[n] as usize] = false;
            n += 1;
        }
        odd
    };
    // Without a branch for each byte.
    let is_odd = |text: &[u8]| text.iter().fold(false, |any, &byte| any | ODD[usize::from(byte)]);
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    !matches!(text.as_bytes().last(), None | Some(b'.'))
        && !is_odd(rest)
        && !eights.iter().any(|eight| is_odd(eight))
}

/// Splits at the port's colon. `None` when the port is not a plain number; an empty port is no port.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let colon = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => colon,
        _ => return Some((text, None)),
    };
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    match port.as_bytes() {
        [] => Some((host, None)),
        [b'1'..=b'9', ..] if port.parse::<u16>().is_ok() => Some((host, Some(port))),
        _ => None,
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        }
        None => host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b07_one_spelling_per_host() {
        for (text, expected) in [
            ("example.com", Some("example.com")),
            ("EXAMPLE.com", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("example.com:80", Some("example.com")),
            ("example.com:443", Some("example.com:443")),
            ("example.com:", Some("example.com")),
            ("Example.com.:8080", Some("example.com:8080")),
            ("[::1]:3000", Some("[::1]:3000")),
            ("[::1]", Some("[::1]")),
            ("[::1].", None),
            ("[::1].:", None),
            ("[::1].:8080", None),
            ("[1].", None),
            ("", None),
            (".", None),
            ("example.com..", None),
            ("example.com..:8080", None),
            (":80", None),
            ("a b", None),
            ("user@host", None),
            ("host/path", None),
            ("host:080", None),
            ("host:99999", None),
            ("host:+80", None),
            ("h\u{f6}st", None),
            ("[]", None),
        ] {
            assert_eq!(normalize(text, Scheme::Http).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn b07_p15_an_over_long_host_is_none() {
        for (len, is_host) in [(255, true), (256, false), (8_000, false)] {
            let upper = format!("{}:3000", "H".repeat(len - 5));
            for text in ["h".repeat(len), upper] {
                assert_eq!(normalize(&text, Scheme::Http).is_some(), is_host, "{len}");
            }
        }
    }

    #[test]
    fn a_place_that_was_taken_away_stays_taken() {
        let (host, now) = (HostUse::default(), Moment::from_nanos(5_000_000_000));
        assert_eq!(host.idle(now), None);
        host.touch(now);
        assert_eq!(host.idle(now.after(std::time::Duration::from_secs(7))), Some(7));
        host.displace();
        host.touch(now);
        assert!(host.is_displaced());
    }
}
