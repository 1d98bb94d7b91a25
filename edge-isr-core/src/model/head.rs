//! Response heads, shared by all pages that look alike.
//!
//! A page keeps only the values of its own (entity tag, length, tags …); the rest, its lifetime included, is a
//! template that a hit clones and fills in by position. Positions are right by construction: the two values of every answer come
//! first, then the page's own, then the common ones, and a clone keeps the order.

use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, DATE, ETAG, EXPIRES, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, LINK, LOCATION, VARY,
};
use http::{Response, StatusCode};

use super::cache_status::CACHE_STATUS;
use super::lifetime::Lifetime;
use super::storable::is_targeted;
use super::verdict::Loss;
use crate::ladder;

/// The tag header of Fastly and its kin: tags separated by spaces.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// The tag header of Cloudflare, Akamai and their kin: tags separated by commas.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

const PLACEHOLDER: HeaderValue = HeaderValue::from_static("");

/// The template of a head.
#[derive(Debug)]
pub struct Head {
    full: Response<()>,
    not_modified: Response<()>,
    /// For each of the page's own values, whether a 304 carries it.
    in_304: Box<[bool]>,
    /// The `Cache-Status` of caches nearer to the origin, before which ours is not to be put (RFC 9211 §2).
    prior: Option<Box<str>>,
    lifetime: Lifetime,
    loss: Loss,
    id: Box<[u8]>,
}

/// Takes a page's head apart: the values of its own, and what is left for the template.
#[derive(Debug)]
pub struct HeadParts {
    status: StatusCode,
    own: Vec<(HeaderName, HeaderValue)>,
    prior: Option<Box<str>>,
    common: HeaderMap,
    lifetime: Lifetime,
    loss: Loss,
}

impl HeadParts {
    /// From a head that is ready to be sent, but for `Age` and `Cache-Status`.
    #[must_use]
    pub fn take(status: StatusCode, mut headers: HeaderMap, lifetime: Lifetime, loss: Loss) -> Self {
        let names = [
            ETAG,
            CONTENT_LENGTH,
            LAST_MODIFIED,
            DATE,
            LOCATION,
            CONTENT_LOCATION,
            LINK,
            SURROGATE_KEY,
            CACHE_TAG,
        ];
        let prior: Vec<&str> =
            headers.get_all(CACHE_STATUS).iter().filter_map(|line| line.to_str().ok()).collect();
        let prior = (!prior.is_empty()).then(|| prior.join(", ").into());
        // The places of these two are kept for the values of each answer.
        headers.remove(CACHE_STATUS);
        headers.remove(AGE);
        let mut own = Vec::new();
        for name in names {
            let mut lines = headers.get_all(&name).iter();
            // Alone, and short enough for the two bytes of length that a page keeps.
            let fits = lines.next().is_some_and(|line| line.len() <= usize::from(u16::MAX));
            let is_own = fits && lines.next().is_none();
            if is_own && let Some(value) = headers.remove(&name) {
                own.push((name, value));
            }
        }
        Self { status, own, prior, common: headers, lifetime, loss }
    }

    /// The page's own values, in the order of the template.
    pub fn own(&self) -> impl Iterator<Item = &HeaderValue> {
        self.own.iter().map(|(_, value)| value)
    }

    /// What makes two templates the same.
    #[must_use]
    pub fn id(&self) -> Box<[u8]> {
        let mut id = self.status.as_u16().to_le_bytes().to_vec();
        id.extend_from_slice(self.prior.as_deref().unwrap_or_default().as_bytes());
        id.push(self.loss as u8);
        for duration in [self.lifetime.fresh, self.lifetime.while_revalidate, self.lifetime.if_error] {
            id.extend_from_slice(&duration.as_nanos().to_le_bytes());
        }
        let own = self.own.iter().map(|(name, _)| (name, &b""[..]));
        let common = self.common.iter().map(|(name, value)| (name, value.as_bytes()));
        for (name, value) in own.chain(common) {
            for part in [name.as_str().as_bytes(), value] {
                id.extend_from_slice(&part.len().to_le_bytes());
                id.extend_from_slice(part);
            }
        }
        id.into()
    }

    /// Builds the template.
    #[must_use]
    pub fn build(self, id: Box<[u8]>) -> Head {
        let mut full = HeaderMap::with_capacity(self.own.len() + self.common.len() + 2);
        let mut not_modified = HeaderMap::with_capacity(8);
        for map in [&mut full, &mut not_modified] {
            map.insert(AGE, PLACEHOLDER);
            map.insert(CACHE_STATUS, PLACEHOLDER);
        }
        let mut in_304 = Vec::with_capacity(self.own.len());
        for (name, _) in self.own {
            // The length is the one a 200 would have (RFC 9110 §8.6); without it a server may add a wrong one.
            let kept =
                [ETAG, CONTENT_LENGTH, LAST_MODIFIED, DATE, CONTENT_LOCATION, SURROGATE_KEY, CACHE_TAG]
                    .contains(&name);
            if kept {
                not_modified.insert(name.clone(), PLACEHOLDER);
            }
            in_304.push(kept);
            full.insert(name, PLACEHOLDER);
        }
        for (name, value) in &self.common {
            let value = ladder::intern(value.clone());
            // RFC 9110 §15.4.5: what a 304 carries beside the validators.
            if [CACHE_CONTROL, VARY, EXPIRES].contains(name) || is_targeted(name) {
                not_modified.append(name, value.clone());
            }
            full.append(name, value);
        }
        Head {
            full: respond(self.status, full),
            not_modified: respond(StatusCode::NOT_MODIFIED, not_modified),
            in_304: in_304.into(),
            prior: self.prior,
            lifetime: self.lifetime,
            loss: self.loss,
            id,
        }
    }
}

fn respond(status: StatusCode, headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
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

    /// The place of a field among the page's own values.
    #[must_use]
    pub fn own_position(&self, name: &HeaderName) -> Option<usize> {
        self.full.headers().keys().skip(2).take(self.in_304.len()).position(|own| own == name)
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

    #[inline]
    fn after_prior(&self, status: HeaderValue) -> HeaderValue {
        let Some(prior) = &self.prior else { return status };
        let joined = format!("{prior}, {}", status.to_str().unwrap_or_default());
        HeaderValue::from_str(&joined).unwrap_or(status)
    }
}

#[inline]
fn fill<'a>(
    headers: &mut HeaderMap,
    age: HeaderValue,
    status: HeaderValue,
    own: impl Iterator<Item = &'a HeaderValue>,
) {
    let mut values = headers.values_mut();
    for value in [age, status] {
        if let Some(slot) = values.next() {
            *slot = value;
        }
    }
    for (slot, value) in values.zip(own) {
        slot.clone_from(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_land_under_their_names_in_both_heads() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/html"),
            ("link", "</a>"),
            ("etag", "\"e\""),
            ("age", "99"),
            ("cache-status", "inner;fwd=miss"),
            ("cache-status", "middle;hit"),
            ("x-multi", "1"),
            ("x-multi", "2"),
            ("content-length", "3"),
            ("cache-control", "public"),
            ("surrogate-key", "a b"),
            ("date", "d"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let parts = HeadParts::take(StatusCode::OK, headers, Lifetime::default(), Loss::Miss);
        let own: Vec<HeaderValue> = parts.own().cloned().collect();
        let id = parts.id();
        let head = parts.build(id);
        let age = || HeaderValue::from_static("7");
        let status = || HeaderValue::from_static("c;hit");

        let full = head.full(age(), status(), &own);
        let get = |response: &Response<()>, name: &str| {
            response
                .headers()
                .get_all(name)
                .iter()
                .map(|v| v.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join("|")
        };
        for (name, value) in [
            ("age", "7"),
            ("cache-status", "inner;fwd=miss, middle;hit, c;hit"),
            ("content-type", "text/html"),
            ("link", "</a>"),
            ("etag", "\"e\""),
            ("x-multi", "1|2"),
            ("content-length", "3"),
            ("cache-control", "public"),
            ("surrogate-key", "a b"),
            ("date", "d"),
        ] {
            assert_eq!(get(&full, name), value, "{name}");
        }
        let short = head.not_modified(age(), status(), &own);
        assert_eq!(short.status(), StatusCode::NOT_MODIFIED);
        for (name, value) in [
            ("age", "7"),
            ("etag", "\"e\""),
            ("cache-control", "public"),
            ("date", "d"),
            ("surrogate-key", "a b"),
            ("content-length", "3"),
            ("content-type", ""),
            ("link", ""),
        ] {
            assert_eq!(get(&short, name), value, "{name}");
        }
    }
}
