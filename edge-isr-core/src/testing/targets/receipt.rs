//! The cookie that lets a visitor read their own write.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::isr::RECEIPT_COOKIE;
use crate::isr::cookie::Signer;
use crate::model::snapshot::{Incarnation, Snapshot};

const KEY: &[u8] = b"the key of this target";

/// The first 28 bytes are an incarnation, a sequence and a time, what follows is a cookie; its bytes are also taken as
/// changes to the true one.
///
/// Of all these, what is signed with our key alone is read, and for a minute. What a cookie says and how it is signed
/// is computed here by hand.
///
/// # Panics
///
/// When another is read.
pub fn receipt(input: &[u8]) {
    let (head, rest) = input.split_at(input.len().min(28));
    let mut bytes = [0; 28];
    bytes[..head.len()].copy_from_slice(head);
    let [incarnation, seq, seconds] = [&bytes[..16], &bytes[16..24], &bytes[24..]];
    let snapshot = Snapshot {
        incarnation: Incarnation::from_bytes(std::array::from_fn(|n| incarnation[n])),
        seq: u64::from_be_bytes(std::array::from_fn(|n| seq[n])),
    };
    let seconds = u64::from(u32::from_be_bytes(std::array::from_fn(|n| seconds[n])));
    let now = UNIX_EPOCH + Duration::from_secs(seconds);
    let expected = value(KEY, &body(1, &bytes[..24], seconds + 60));
    let signer = Signer::new(KEY, false);
    is_written(&signer, snapshot, now, &expected);
    is_valid_for_a_minute(&signer, snapshot, now, &expected);
    others_are_refused(&signer, &bytes[..24], now, rest, &expected);
}

fn is_written(signer: &Signer, snapshot: Snapshot, now: SystemTime, expected: &[u8]) {
    let expected = String::from_utf8_lossy(expected);
    for (signer, secure) in [(signer, ""), (&Signer::new(KEY, true), "; Secure")] {
        assert_eq!(
            signer.cookie(snapshot, now).to_str().expect("text"),
            format!("{RECEIPT_COOKIE}={expected}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax{secure}")
        );
    }
}

fn is_valid_for_a_minute(signer: &Signer, snapshot: Snapshot, now: SystemTime, cookie: &[u8]) {
    for (later, is_valid) in [(0, true), (60, true), (61, false), (1 << 20, false)] {
        let read = signer.read(cookie, now + Duration::from_secs(later));
        assert_eq!(read, is_valid.then_some(snapshot), "{later} s later");
    }
}

fn others_are_refused(signer: &Signer, head: &[u8], now: SystemTime, rest: &[u8], cookie: &[u8]) {
    let refuse = |other: &[u8]| {
        if other != cookie {
            assert_eq!(signer.read(other, now), None, "{}", String::from_utf8_lossy(other));
        }
    };
    assert_eq!(signer.read(rest, now), vouched_for(rest, now));
    for pair in rest.chunks_exact(2).take(16) {
        let at = usize::from(pair[0]) % cookie.len();
        let mut changed = cookie.to_vec();
        changed[at] = pair[1];
        refuse(&changed);
        changed[at] = cookie[at].to_ascii_uppercase();
        refuse(&changed);
        changed.insert(at, pair[1]);
        refuse(&changed);
        refuse(&cookie[..at]);
        refuse(&[cookie, &pair[1..]].concat());
    }
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Signed with another key, of another version, without a signature, and with half of one.
    let forged = value(&[KEY, b"s"].concat(), &body(1, head, seconds + 60));
    refuse(&forged);
    refuse(&value(KEY, &body(2, head, seconds + 60)));
    refuse(&[&cookie[..66], &[b'0'; 64][..]].concat());
    refuse(&[&cookie[..98], &forged[98..]].concat());
    // Ours, read with another key.
    assert_eq!(Signer::new(b"another key", false).read(cookie, now), None);
}

/// What a cookie vouches for, read by hand.
fn vouched_for(cookie: &[u8], now: SystemTime) -> Option<Snapshot> {
    let digit = |byte: &u8| b"0123456789abcdef".iter().position(|known| known == byte);
    let digits: Option<Vec<usize>> = cookie.iter().map(digit).collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).filter_map(|pair| Some((pair[0] << 4 | pair.get(1)?) as u8)).collect();
    let (body, mac) = bytes.split_at_checked(33).filter(|_| cookie.len() == 130)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let is_valid = body[0] == 1 && UNIX_EPOCH.checked_add(Duration::from_secs(number(&body[25..])))? >= now;
    (is_valid && mac == hmac(KEY, body)).then(|| Snapshot {
        incarnation: Incarnation::from_bytes(std::array::from_fn(|n| body[1 + n])),
        seq: number(&body[17..25]),
    })
}

/// Version, incarnation and sequence, expiry.
fn body(version: u8, head: &[u8], expiry: u64) -> Vec<u8> {
    [&[version][..], head, &expiry.to_be_bytes()].concat()
}

/// The body and its HMAC in hexadecimal digits.
fn value(key: &[u8], body: &[u8]) -> Vec<u8> {
    let signed = [body, &hmac(key, body)].concat();
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    signed.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// RFC 2104, for keys of up to a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36), text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}
