//! The one pass over a request's headers, and what stands in cookies.

use edge_isr_core::isr::RECEIPT_COOKIE;
use edge_isr_core::model::coding::Accepts;
use edge_isr_core::model::policy::Rules;
use edge_isr_core::{Cookies, Reason};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, RANGE, TRANSFER_ENCODING, UPGRADE,
};

/// What a request says of codings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encodings<'a> {
    /// Nothing.
    None,
    /// All in one line, as nearly all do.
    One(&'a HeaderValue),
    /// In several, or it wants a part, which is one of the page as it is.
    More,
}

impl Encodings<'_> {
    /// The codings that the request takes.
    #[inline]
    pub(super) fn accepts(self, headers: &HeaderMap) -> Accepts {
        match self {
            Self::None => Accepts::NONE,
            Self::One(line) => Accepts::of(line.as_bytes()),
            Self::More => Accepts::of_request(headers),
        }
    }
}

/// What of the page a request wants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Conditions<'a> {
    /// All of it, as most do.
    None,
    /// What is not this one: the first line of `If-None-Match`.
    Known(&'a HeaderValue),
    /// What other conditions and ranges say.
    Other,
}

/// What one pass over the headers finds.
pub(super) struct Scan<'a> {
    pub(super) host: Option<&'a HeaderValue>,
    pub(super) conditions: Conditions<'a>,
    pub(super) encodings: Encodings<'a>,
    /// Credentials or a body, on gateway routes.
    pub(super) is_own: bool,
}

impl<'a> Scan<'a> {
    /// An error is what makes the request bypass.
    #[inline(always)]
    pub(super) fn of(headers: &'a HeaderMap, rules: &Rules) -> Result<Self, Reason> {
        let mut scan =
            Self { host: None, conditions: Conditions::None, encodings: Encodings::None, is_own: false };
        for (name, value) in headers {
            if name == HOST {
                if scan.host.replace(value).is_some() {
                    return Err(Reason::BadHost);
                }
            } else if name == AUTHORIZATION {
                if rules.origin.is_none() {
                    return Err(Reason::Authorization);
                }
                scan.is_own = true;
            } else if name == UPGRADE {
                return Err(Reason::Upgrade);
            } else if name == COOKIE {
                match &rules.cookies {
                    Cookies::Ignore | Cookies::Rfc => {}
                    Cookies::Explicit => scan.is_own = true,
                    cookies if counts(value, cookies) => return Err(Reason::Cookie),
                    Cookies::Bypass | Cookies::BypassOn(_) => {}
                }
            } else if rules.origin.is_some() && (name == CONTENT_LENGTH || name == TRANSFER_ENCODING) {
                scan.is_own = true;
            } else if name == ACCEPT_ENCODING {
                scan.encodings = match scan.encodings {
                    Encodings::None => Encodings::One(value),
                    Encodings::One(_) | Encodings::More => Encodings::More,
                };
            } else if name == IF_NONE_MATCH {
                if !matches!(scan.conditions, Conditions::Known(_)) {
                    scan.conditions = Conditions::Known(value);
                }
            } else if name == IF_MODIFIED_SINCE || name == RANGE {
                if matches!(scan.conditions, Conditions::None) {
                    scan.conditions = Conditions::Other;
                }
                if name == RANGE {
                    scan.encodings = Encodings::More;
                }
            }
        }
        Ok(scan)
    }
}

/// Whether a `Cookie` line has a cookie that counts. The receipt's own never does.
fn counts(line: &HeaderValue, cookies: &Cookies) -> bool {
    pairs(line.as_bytes()).any(|(name, _)| match cookies {
        Cookies::Ignore | Cookies::Explicit | Cookies::Rfc => false,
        Cookies::Bypass => name != RECEIPT_COOKIE.as_bytes(),
        Cookies::BypassOn(names) => names.iter().any(|counted| counted.as_bytes() == name),
    })
}

pub(crate) fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (&pair[..at], pair.get(at + 1..).unwrap_or_default())
    })
}

/// The value of the receipt's cookie.
pub(crate) fn receipt(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes()));
    all.find(|(name, _)| *name == RECEIPT_COOKIE.as_bytes()).map(|(_, value)| value)
}
