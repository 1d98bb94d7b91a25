//! What an invalidation did, and the cookie that lets its author read their own write.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::model::snapshot::{Incarnation, Snapshot};
use crate::sync::{Mutex, lock};

/// The name of the cookie.
pub const RECEIPT_COOKIE: &str = "edge-isr-receipt";

/// How long a visitor is owed their own write; renders are done by then.
const VALID: Duration = Duration::from_secs(60);

/// Version, incarnation, sequence, expiry.
const BODY_BYTES: usize = 1 + 16 + 8 + 8;
const MAC_BYTES: usize = 32;
const VERSION: u8 = 1;

/// Where a connector stands with an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeState {
    /// It will be told after the new pages are stored.
    Pending,
    /// It confirmed.
    Confirmed,
    /// It did not confirm; what it said.
    Failed(String),
}

/// The state of each connector, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Purges(Arc<Mutex<Vec<(&'static str, PurgeState)>>>);

impl Purges {
    pub(crate) fn set(&self, name: &'static str, state: PurgeState) {
        let mut all = lock(&self.0);
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = state,
            None => all.push((name, state)),
        }
    }

    /// Sets it unless something is known already: a purge that ends late does not hide what the next one said.
    pub(crate) fn set_pending(&self, name: &'static str, state: PurgeState) {
        let mut all = lock(&self.0);
        if let Some((_, known)) = all.iter_mut().find(|(known, _)| *known == name)
            && *known == PurgeState::Pending
        {
            *known = state;
        }
    }

    /// Whether a receipt may still be asked.
    pub(crate) fn is_watched(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// What an invalidation did. As a response part it sets the cookie that lets this visitor read their own
/// write: for its bearer a soft invalidation up to the receipt counts as hard.
#[derive(Clone)]
pub struct Receipt {
    snapshot: Snapshot,
    urls: Option<usize>,
    purges: Purges,
    cookie: HeaderValue,
}

impl Receipt {
    pub(crate) fn new(snapshot: Snapshot, urls: Option<usize>, purges: Purges, cookie: HeaderValue) -> Self {
        Self { snapshot, urls, purges, cookie }
    }

    /// The invalidation's place in the order of invalidations.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.snapshot.seq
    }

    /// The incarnation of the graph it belongs to.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.snapshot.incarnation
    }

    /// How many pages are known to carry what was invalidated; `None` when counting them would take a walk.
    #[must_use]
    pub const fn urls(&self) -> Option<usize> {
        self.urls
    }

    /// Where each connector stands now. Soft purges follow the render, so they are pending at first.
    #[must_use]
    pub fn purges(&self) -> Vec<(&'static str, PurgeState)> {
        lock(&self.purges.0).clone()
    }

    /// The `Set-Cookie` value for the visitor who made the change.
    #[must_use]
    pub const fn cookie(&self) -> &HeaderValue {
        &self.cookie
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("seq", &self.seq())
            .field("urls", &self.urls)
            .field("purges", &self.purges())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponseParts for Receipt {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum_core::response::ResponseParts,
    ) -> Result<axum_core::response::ResponseParts, Self::Error> {
        parts.headers_mut().append(http::header::SET_COOKIE, self.cookie);
        Ok(parts)
    }
}

/// Signs receipts and reads them back.
pub(crate) struct Signer {
    mac: Hmac<Sha256>,
    attributes: &'static str,
}

impl Signer {
    pub(crate) fn new(key: &[u8], secure: bool) -> Self {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        let attributes = if secure {
            "; Path=/; HttpOnly; SameSite=Lax; Secure"
        } else {
            "; Path=/; HttpOnly; SameSite=Lax"
        };
        Self { mac, attributes }
    }

    /// The `Set-Cookie` value of a receipt.
    pub(crate) fn cookie(&self, snapshot: Snapshot, now: SystemTime) -> HeaderValue {
        let mut bytes = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&snapshot.incarnation.to_bytes());
        bytes.extend_from_slice(&snapshot.seq.to_be_bytes());
        bytes.extend_from_slice(&unix_seconds(now + VALID).to_be_bytes());
        let tag = self.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        let mut text = format!("{RECEIPT_COOKIE}=");
        for byte in bytes {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text.push_str(&format!("; Max-Age={}{}", VALID.as_secs(), self.attributes));
        HeaderValue::from_str(&text).expect("hexadecimal digits are visible ASCII")
    }

    /// The snapshot a cookie's value vouches for; `None` for anything forged, foreign or expired.
    pub(crate) fn read(&self, value: &[u8], now: SystemTime) -> Option<Snapshot> {
        if value.len() != 2 * (BODY_BYTES + MAC_BYTES) {
            return None;
        }
        let mut bytes = [0_u8; BODY_BYTES + MAC_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(value.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        let (body, tag) = bytes.split_at(BODY_BYTES);
        self.mac.clone().chain_update(body).verify_slice(tag).ok()?;
        let (&version, rest) = body.split_first()?;
        let (incarnation, rest) = rest.split_first_chunk::<16>()?;
        let (seq, expiry) = rest.split_first_chunk::<8>()?;
        let expiry = u64::from_be_bytes(*expiry.first_chunk::<8>()?);
        let valid = version == VERSION && unix_seconds(now) <= expiry;
        let snapshot =
            Snapshot { incarnation: Incarnation::from_bytes(*incarnation), seq: u64::from_be_bytes(*seq) };
        valid.then_some(snapshot)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: Snapshot = Snapshot { incarnation: Incarnation::from_bytes([3; 16]), seq: 42 };

    fn value(cookie: &HeaderValue) -> Vec<u8> {
        let text = cookie.to_str().unwrap();
        let value = text.strip_prefix("edge-isr-receipt=").unwrap().split(';').next().unwrap();
        value.as_bytes().to_vec()
    }

    #[test]
    fn p29_only_what_we_signed_is_read_and_only_for_a_minute() {
        let signer = Signer::new(b"0123456789abcdef", false);
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let cookie = value(&signer.cookie(SNAPSHOT, now));
        assert_eq!(signer.read(&cookie, now), Some(SNAPSHOT));
        assert_eq!(signer.read(&cookie, now + Duration::from_secs(60)), Some(SNAPSHOT));
        assert_eq!(signer.read(&cookie, now + Duration::from_secs(61)), None);
        assert_eq!(Signer::new(b"another key.....", false).read(&cookie, now), None);
        for at in 0..cookie.len() {
            let mut forged = cookie.clone();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(signer.read(&forged, now), None, "byte {at}");
            assert_eq!(signer.read(&cookie[..at], now), None);
        }
    }

    #[test]
    fn p32_neither_key_nor_cookie_shows_in_debug() {
        let signer = Signer::new(b"a very secret key", true);
        let cookie = signer.cookie(SNAPSHOT, UNIX_EPOCH);
        let receipt = Receipt::new(SNAPSHOT, None, Purges::default(), cookie.clone());
        let shown = format!("{signer:?} {receipt:?}");
        assert!(!shown.contains("secret"));
        assert!(!shown.contains(std::str::from_utf8(&value(&cookie)).unwrap()));
        assert!(cookie.to_str().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    }
}
