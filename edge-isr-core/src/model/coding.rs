//! Content codings: which of them a request takes, and which bodies are worth one (RFC 9110 §8.4.1, §12.5.3).

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE,
};

/// A coding that a page may have beside its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Coding {
    /// `br` (RFC 7932): the smallest.
    Br = 1,
    /// `zstd` (RFC 8878): nearly as small, and quicker to read.
    Zstd = 2,
    /// `gzip` (RFC 1952): what everyone knows.
    Gzip = 3,
}

impl Coding {
    /// All of them, those that we like best first: of what a request likes as well, the smallest is chosen.
    pub const ALL: [Self; 3] = [Self::Br, Self::Zstd, Self::Gzip];

    /// The word in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    pub(crate) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// One bit of a byte, each coding another.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << (self as u8 - 1)
    }

    fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // RFC 9110 §8.4.1.3: `x-gzip` is another word for it.
        if is("x-gzip") { Some(Self::Gzip) } else { Self::ALL.into_iter().find(|coding| is(coding.as_str())) }
    }
}

/// The codings that a request takes rather than none, the best first.
///
/// What a request says of `identity` shows in what stands here: what it likes less than that is left out.
/// Where nothing that it takes is there, a page is sent as it is (RFC 9110 §12.1 lets a server do so).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepts(u8);

/// How many bits each place has.
const PLACE: u32 = 2;

impl Accepts {
    /// None but a page's own form.
    pub const NONE: Self = Self(0);

    /// In this order.
    const fn in_order<const N: usize>(codings: [Coding; N]) -> Self {
        let (mut all, mut n) = (0, N);
        while n > 0 {
            n -= 1;
            all = all << PLACE | codings[n] as u8;
        }
        Self(all)
    }

    /// Reads the value of an `Accept-Encoding` that stands on one line.
    #[must_use]
    #[inline]
    pub fn of(line: &[u8]) -> Self {
        use Coding::{Br, Gzip, Zstd};
        // What nearly all clients say, compared whole.
        match line {
            b"gzip, deflate, br, zstd" | b"deflate, gzip, br, zstd" => Self::in_order([Br, Zstd, Gzip]),
            b"gzip, deflate, br" | b"gzip, br" => Self::in_order([Br, Gzip]),
            b"gzip" | b"gzip, deflate" | b"gzip,deflate" => Self::in_order([Gzip]),
            b"identity" | b"" => Self::NONE,
            _ => Self::read([line]),
        }
    }

    /// Reads what a request says. With a range it is a part of the page's own form that it gets.
    #[must_use]
    pub fn of_request(headers: &HeaderMap) -> Self {
        if headers.contains_key(RANGE) {
            return Self::NONE;
        }
        Self::read(headers.get_all(ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes))
    }

    #[cold]
    fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut said = Said::default();
        for member in lines.into_iter().flat_map(|line| line.split(|&byte| byte == b',')) {
            said.note(member);
        }
        said.in_order()
    }

    /// The coding that it likes best.
    #[must_use]
    #[inline]
    pub const fn best(self) -> Option<Coding> {
        // Two bits have four values, and none is left over.
        match self.0 & ((1 << PLACE) - 1) {
            1 => Some(Coding::Br),
            2 => Some(Coding::Zstd),
            3 => Some(Coding::Gzip),
            _ => None,
        }
    }

    /// The codings in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Coding> {
        let mut left = self;
        std::iter::from_fn(move || {
            let best = left.best();
            left.0 >>= PLACE;
            best
        })
    }

    /// Without the codings that have no bit in `kept`.
    #[must_use]
    pub fn only(self, kept: u8) -> Self {
        let codings = self.iter().filter(|coding| coding.bit() & kept != 0);
        Self(
            codings
                .enumerate()
                .fold(0, |all, (place, coding)| all | (coding as u8) << (place as u32 * PLACE)),
        )
    }
}

impl std::fmt::Debug for Accepts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(Coding::as_str)).finish()
    }
}

/// The qualities that a request gives, in thousandths.
#[derive(Default)]
struct Said {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Said {
    /// Reads `coding *( OWS ";" OWS "q=" qvalue )`. What is none says nothing; of two that say something the first counts.
    fn note(&mut self, member: &[u8]) {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let quality = match (parts.next(), parts.next()) {
            (None, _) => Some(1000),
            (Some([b'q' | b'Q', b'=', value @ ..]), None) => thousandths(value),
            _ => None,
        };
        let place = match Coding::named(name) {
            Some(coding) => {
                Coding::ALL.iter().position(|known| *known == coding).map(|at| &mut self.codings[at])
            }
            None if name.eq_ignore_ascii_case(b"identity") => Some(&mut self.identity),
            None if name == b"*" => Some(&mut self.others),
            None => None,
        };
        if let (Some(place), Some(quality)) = (place, quality) {
            place.get_or_insert(quality);
        }
    }

    fn in_order(&self) -> Accepts {
        // Unless it is named it is taken, but nothing is taken less gladly.
        let identity = self.identity.or(self.others).unwrap_or(0);
        let qualities = self.codings.map(|own| own.or(self.others).unwrap_or(0));
        let mut taken: Vec<(u16, Coding)> = qualities
            .into_iter()
            .zip(Coding::ALL)
            .filter(|(quality, _)| *quality > 0 && *quality >= identity)
            .collect();
        // Stable: of equals the one that we like best comes first.
        taken.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        Accepts(taken.iter().rev().fold(0, |all, (_, coding)| all << PLACE | *coding as u8))
    }
}

/// RFC 9110 §12.4.2: `0` to `1` with up to three digits behind the point.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, digits) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let whole = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    let fraction =
        digits.iter().chain(b"000").take(3).try_fold(0_u16, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'))
        })?;
    (whole + fraction <= 1000).then_some(whole + fraction)
}

/// Fields that are about the very bytes of a body: to code it would make them wrong (RFC 9530, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether the body of an answer with this head may be coded, and is of a kind that gets smaller by it.
#[must_use]
pub fn is_codable(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else { return false };
    !headers.contains_key(CONTENT_ENCODING)
        && !DIGESTS.iter().any(|name| headers.contains_key(name))
        && !forbids_transforming(headers)
        && is_text(kind.as_bytes())
}

/// RFC 9111 §5.2.2.6. In doubt, yes: whatever has the word in it.
fn forbids_transforming(headers: &HeaderMap) -> bool {
    const WORD: &[u8] = b"no-transform";
    let mut lines = headers.get_all(CACHE_CONTROL).iter();
    lines.any(|line| line.as_bytes().windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD)))
}

/// The media types that are text, whatever they are called, and a few that are as good as text. Pictures, films and
/// archives are compressed already.
fn is_text(kind: &[u8]) -> bool {
    const KNOWN: [&str; 17] = [
        "application/javascript",
        "application/json",
        "application/manifest",
        "application/rtf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-sh",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "image/x-icon",
    ];
    let essence = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let essence = essence.to_ascii_lowercase();
    essence.starts_with(b"text/")
        || essence.ends_with(b"+json")
        || essence.ends_with(b"+xml")
        || essence.ends_with(b"+text")
        || KNOWN.iter().any(|known| known.as_bytes() == essence)
}

#[cfg(test)]
mod tests;
