//! What keys are called. Whatever a stranger can choose is hashed, so that no name runs into another.

use std::sync::Arc;

use crate::error::ConfigError;

/// The most bytes of a namespace.
const MOST_BYTES: usize = 64;

/// The names of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    namespace: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self { namespace: "edge-isr".into() }
    }
}

impl Names {
    pub(crate) fn new(namespace: &str) -> Result<Self, ConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        if namespace.is_empty() || namespace.len() > MOST_BYTES || !namespace.bytes().all(is_plain) {
            return Err(ConfigError::Malformed {
                field: "namespace",
                value: namespace.to_owned(),
                reason: "write 1 to 64 letters, digits and signs without braces".to_owned(),
            });
        }
        Ok(Self { namespace: namespace.into() })
    }

    /// Where the page of this digest is kept.
    pub(crate) fn page(&self, digest: &[u8; 32]) -> String {
        format!("{}:p:{}", self.namespace, base64url(&digest[..16]))
    }
}

/// Base64 with the letters of URLs and without padding (RFC 4648 §5): 22 letters for 16 bytes.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_short_name_in_its_namespace() {
        let name = Names::default().page(&[0xff; 32]);
        assert_eq!(name, "edge-isr:p:_____________________w");
        assert_eq!(Names::new("shop").unwrap().page(&[0; 32]), "shop:p:AAAAAAAAAAAAAAAAAAAAAA");
        for (bytes, text) in [(&b"f"[..], "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"foob", "Zm9vYg")] {
            assert_eq!(base64url(bytes), text, "RFC 4648 \u{a7}10");
        }
    }

    #[test]
    fn a_namespace_is_short_and_plain() {
        for bad in ["", "a b", "a{b}", "a\n", "\u{e4}", &"a".repeat(65)] {
            assert!(Names::new(bad).is_err(), "{bad:?}");
        }
        assert!(Names::new(&"a:b/c-1".repeat(9)).is_ok());
    }
}
