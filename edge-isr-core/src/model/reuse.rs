//! What else an origin's answer says about being used again.

/// What a gateway route has to know of a page beside its lifetime. It follows from the head, and stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reuse {
    /// Requests with credentials may be answered from it (RFC 9111 §3.5).
    pub for_credentials: bool,
    /// It is never used once it is stale, whatever a request allows (RFC 9111 §4.2.4).
    pub never_stale: bool,
    /// Its entity tag is ours: the origin does not know it.
    pub own_etag: bool,
}

impl Reuse {
    /// From the lower bits of a byte.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self { for_credentials: bits & 1 != 0, never_stale: bits & 2 != 0, own_etag: bits & 4 != 0 }
    }

    /// As one byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.for_credentials as u8 | (self.never_stale as u8) << 1 | (self.own_etag as u8) << 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_a_byte_is_what_it_was() {
        for bits in 0..8 {
            assert_eq!(Reuse::from_bits(bits | 0xf8).bits(), bits);
        }
    }

    #[test]
    fn each_fact_has_a_bit_of_its_own() {
        let all = [false, true].map(|for_credentials| {
            [false, true].map(|never_stale| {
                [false, true].map(|own_etag| Reuse { for_credentials, never_stale, own_etag }.bits())
            })
        });
        assert_eq!(all, [[[0, 4], [2, 6]], [[1, 5], [3, 7]]]);
    }
}
