//! Response heads, shared by all pages that look alike.
//!
//! A page keeps only the values of its own (entity tag, length, tags …); the rest, its lifetime included, is a
//! template that a hit clones and fills in by position. Positions are right by construction: the two values of every answer come
//! first, then the page's own, then the common ones, and a clone keeps the order.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::lifetime::Lifetime;
use super::reuse::Reuse;
use super::verdict::Loss;

mod parts;
#[cfg(test)]
mod tests;

pub use parts::HeadParts;

/// The tag header of Fastly and its kin: tags separated by spaces.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// The tag header of Cloudflare, Akamai and their kin: tags separated by commas.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The template of a head.
#[derive(Debug)]
pub struct Head {
    pub(super) full: Response<()>,
    pub(super) not_modified: Response<()>,
    /// For each of the page's own values, whether a 304 carries it.
    pub(super) in_304: Box<[bool]>,
    /// The place of the entity tag among them.
    pub(super) etag: Option<usize>,
    /// The `Cache-Status` of caches nearer to the origin, before which ours is not to be put (RFC 9211 §2).
    pub(super) prior: Option<Box<str>>,
    pub(super) lifetime: Lifetime,
    pub(super) loss: Loss,
    pub(super) reuse: Reuse,
    pub(super) id: Box<[u8]>,
}

impl Head {
    /// See [`HeadParts::id`].
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// About how many bytes of memory the template takes, its place among the shared ones included.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        // An entry of a map of headers and its share of the map's index.
        const LINE_BYTES: usize = 110;
        let maps = [self.full.headers(), self.not_modified.headers()];
        let lines: usize = maps.iter().map(|map| map.capacity().max(map.len()) * LINE_BYTES).sum();
        // The id is kept twice, and holds the text of every name and value once.
        size_of::<Self>() + lines + 3 * self.id.len()
    }

    /// The page's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.full.status()
    }

    /// For how long pages that look like this are of use.
    #[must_use]
    #[inline]
    pub const fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    /// What becomes of them when marks are lost.
    #[must_use]
    pub const fn loss(&self) -> Loss {
        self.loss
    }

    /// What a gateway route has to know to use them again.
    #[must_use]
    pub const fn reuse(&self) -> Reuse {
        self.reuse
    }

    /// The place of a field among the page's own values.
    #[must_use]
    pub fn own_position(&self, name: &HeaderName) -> Option<usize> {
        self.full.headers().keys().skip(2).take(self.in_304.len()).position(|own| own == name)
    }

    /// The place of the entity tag among the page's own values.
    #[must_use]
    #[inline]
    pub const fn etag_position(&self) -> Option<usize> {
        self.etag
    }

    /// The complete head.
    #[must_use]
    pub fn full(&self, age: HeaderValue, status: HeaderValue, own: &[HeaderValue]) -> Response<()> {
        let mut response = self.full.clone();
        fill(response.headers_mut(), age, self.after_prior(status), own.iter());
        response
    }

    /// The head of a 304.
    #[must_use]
    pub fn not_modified(&self, age: HeaderValue, status: HeaderValue, own: &[HeaderValue]) -> Response<()> {
        let mut response = self.not_modified.clone();
        let own = own.iter().zip(&self.in_304).filter_map(|(value, kept)| kept.then_some(value));
        fill(response.headers_mut(), age, self.after_prior(status), own);
        response
    }

    /// The fields of an answer, in order, without putting it together: those of [`full`](Self::full), or of
    /// [`not_modified`](Self::not_modified). The two values come first.
    #[inline]
    pub(crate) fn fields<'a>(
        &'a self,
        values: [&'a HeaderValue; 2],
        own: &'a [HeaderValue],
        is_304: bool,
    ) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        let template = if is_304 { &self.not_modified } else { &self.full };
        let own = own.iter().zip(&self.in_304).filter(move |(_, in_304)| !is_304 || **in_304);
        let mut values = values.into_iter().chain(own.map(|(value, _)| value));
        template.headers().iter().map(move |(name, common)| (name, values.next().unwrap_or(common)))
    }

    /// The `Cache-Status` of an answer: this cache's member, after those of caches nearer to the origin.
    #[inline(always)]
    pub(crate) fn after_prior(&self, status: HeaderValue) -> HeaderValue {
        match &self.prior {
            None => status,
            Some(prior) => joined(prior, status),
        }
    }
}

#[cold]
fn joined(prior: &str, status: HeaderValue) -> HeaderValue {
    let joined = format!("{prior}, {}", status.to_str().unwrap_or_default());
    HeaderValue::from_str(&joined).unwrap_or(status)
}

#[inline(always)]
fn fill<'a>(
    headers: &mut HeaderMap,
    age: HeaderValue,
    status: HeaderValue,
    own: impl Iterator<Item = &'a HeaderValue>,
) {
    let mut values = headers.values_mut();
    let mut put = |value| {
        if let Some(slot) = values.next() {
            let placeholder = std::mem::replace(slot, value);
            debug_assert!(placeholder.is_empty(), "nothing else is overwritten");
            // It is static: to drop it would be a call for nothing.
            std::mem::forget(placeholder);
        }
    };
    put(age);
    put(status);
    own.for_each(|value| put(value.clone()));
}
