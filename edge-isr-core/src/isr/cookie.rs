//! The cookie that lets the author of a change read their own write.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::model::snapshot::{Incarnation, Snapshot};

/// The name of the cookie.
pub const RECEIPT_COOKIE: &str = "edge-isr-receipt";

/// How long a visitor is owed their own write; renders are done by then.
const VALID: Duration = Duration::from_secs(60);

/// Version, incarnation, sequence, expiry.
const BODY_BYTES: usize = 1 + 16 + 8 + 8;
const MAC_BYTES: usize = 32;
const VERSION: u8 = 1;

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
        let shown = format!("{signer:?}");
        assert!(!shown.contains("secret"));
        assert!(!shown.contains(std::str::from_utf8(&value(&cookie)).unwrap()));
        assert!(cookie.to_str().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    }
}
