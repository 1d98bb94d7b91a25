//! How a head becomes a template: what is the page's own, what it shares, and what a 304 carries of both.

use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, DATE, ETAG, EXPIRES, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, LINK, LOCATION, VARY,
};
use http::{Response, StatusCode};

use super::{CACHE_TAG, Head, SURROGATE_KEY};
use crate::ladder;
use crate::model::cache_status::CACHE_STATUS;
use crate::model::lifetime::Lifetime;
use crate::model::reuse::Reuse;
use crate::model::storable::is_targeted;
use crate::model::verdict::Loss;

const PLACEHOLDER: HeaderValue = HeaderValue::from_static("");

/// Takes a page's head apart: the values of its own, and what is left for the template.
#[derive(Debug)]
pub struct HeadParts {
    status: StatusCode,
    own: Vec<(HeaderName, HeaderValue)>,
    prior: Option<Box<str>>,
    common: HeaderMap,
    lifetime: Lifetime,
    loss: Loss,
    reuse: Reuse,
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
            EXPIRES,
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
        Self { status, own, prior, common: headers, lifetime, loss, reuse: Reuse::default() }
    }

    /// With what a gateway route has to know.
    #[must_use]
    pub fn with_reuse(self, reuse: Reuse) -> Self {
        Self { reuse, ..self }
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
        id.extend_from_slice(&[self.loss as u8, self.reuse.bits()]);
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

    /// Builds a template that no other page shares.
    #[must_use]
    pub fn alone(self) -> Head {
        let id = self.id();
        self.build(id)
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
        let etag = self.own.iter().position(|(name, _)| *name == ETAG);
        let mut in_304 = Vec::with_capacity(self.own.len());
        for (name, _) in self.own {
            // The length is the one a 200 would have (RFC 9110 §8.6); without it a server may add a wrong one.
            let kept = [
                ETAG,
                CONTENT_LENGTH,
                LAST_MODIFIED,
                DATE,
                EXPIRES,
                CONTENT_LOCATION,
                SURROGATE_KEY,
                CACHE_TAG,
            ]
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
            etag,
            prior: self.prior,
            lifetime: self.lifetime,
            loss: self.loss,
            reuse: self.reuse,
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
