//! Entity tags that are made of the content.

use bytes::Bytes;
use http::header::HeaderValue;
use sha2::{Digest, Sha256};

/// The hash of a body, made at once or while it comes: that of a long one takes its time.
#[derive(Debug, Clone, Default)]
pub struct Hash(Sha256);

impl Hash {
    pub(super) fn of(body: &[Bytes]) -> Self {
        let mut hash = Self::default();
        body.iter().for_each(|frame| hash.add(frame));
        hash
    }

    /// What comes next.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// A strong entity tag (RFC 9110 §8.8.3): 128 bits of SHA-256.
    pub(super) fn etag(self) -> HeaderValue {
        let digest = self.0.finalize();
        let mut text = String::with_capacity(24);
        text.push('"');
        // Six bits a character, in the alphabet of RFC 4648 §5.
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for chunk in digest[..16].chunks(3) {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for place in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
            }
        }
        text.push('"');
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    }
}
