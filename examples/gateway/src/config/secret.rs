//! The token of those who run the gateway.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A bearer token. Only a digest of it is kept, so no dump, log or message can show it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Takes a token of printable ASCII without spaces, as it stands behind `Bearer`.
    ///
    /// # Errors
    ///
    /// When it is empty or holds anything else; what, without the token.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be printable ASCII without spaces");
        }
        Ok(Self(digest(text.as_bytes()).finalize().into_bytes().into()))
    }

    /// Whether this is the token. How long that takes tells nothing of it.
    #[must_use]
    pub fn is(&self, presented: &[u8]) -> bool {
        digest(presented).verify_slice(&self.0).is_ok()
    }
}

/// Of a fixed length, so that not even the token's own shows in the time that comparing takes.
fn digest(text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default());
    mac.update(text);
    mac
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p32_a_token_is_itself_alone_and_shows_nowhere() {
        let token = Token::new("a-very-secret-token").unwrap();
        assert!(token.is(b"a-very-secret-token"));
        for other in ["", "a", "a-very-secret-toke", "a-very-secret-token ", "a-very-secret-tokeN"] {
            assert!(!token.is(other.as_bytes()), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
        for refused in ["", " ", "a b", "a\n", "t\u{f6}ken"] {
            assert!(Token::new(refused).is_err(), "{refused:?}");
        }
    }
}
