//! What a visitor who waited leaves with.

use bytes::Bytes;
use edge_isr_core::isr::fill::HandOut;
use edge_isr_core::model::cache_status::{CACHE_STATUS, CacheStatus};
use edge_isr_core::model::coding::Accepts;
use edge_isr_core::model::conditional::{Selection, select};
use edge_isr_core::model::key::Audience;
use edge_isr_core::model::page::{Page, Shown, keep_private, zero_freshness};
use edge_isr_core::{BoxError, Reason};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Response, StatusCode};
use http_body::Body;

use super::{Landed, Visitor};
use crate::body::IsrBody;
use crate::render::{Confirmed, forbid_caching};

/// Says what went wrong between a proxy and its origin (RFC 9209).
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

impl<S, F> Visitor<S, F> {
    /// An answer from a page that was rendered for this request or for one it waited with.
    pub(super) fn answer_from<B>(
        &self,
        given: &HandOut,
        collapsed: bool,
        unstored: Option<Reason>,
        why: Reason,
    ) -> Response<IsrBody<B>> {
        let isr = &self.shared.isr;
        let stored = unstored.is_none() && !given.page.is_unstored_failure();
        let detail = Some(unstored.unwrap_or(why));
        let status = CacheStatus { stored, detail, ..self.status_of(&given.page, collapsed) };
        let accepts = Accepts::of_request(&self.asked.parts.headers);
        let shown = given.page.shown(isr.coding_for(&given.page, accepts));
        let selection = self.select(shown);
        // What is not stored can't be listed, so nobody could tell a cache downstream to forget it.
        let unlisted = unstored.is_some_and(is_unlisted);
        let zero = given.overtaken || unlisted;
        isr.answer_as(shown, &selection, given.now, status, zero).map(IsrBody::stored)
    }

    /// How the answer came about. Its status is the one that the origin sent (RFC 9211 §2.3).
    pub(super) fn status_of(&self, page: &Page, collapsed: bool) -> CacheStatus<'static> {
        let status = Some(page.forward_status().as_u16());
        CacheStatus { forward: Some(self.asked.missed.forward), status, collapsed, ..CacheStatus::default() }
    }

    pub(super) fn select(&self, shown: Shown<'_>) -> Selection {
        select(&self.asked.parts.headers, self.is_head(), &shown.validators())
    }

    fn is_head(&self) -> bool {
        self.asked.parts.method == Method::HEAD
    }

    /// The stale page that stands in for a render that failed, if there is one and it may.
    pub(crate) fn spare<B>(&self, because: Reason) -> Option<Response<IsrBody<B>>> {
        let given = self.shared.isr.stand_in(self.asked.missed.spare.as_ref()?)?;
        self.shared.isr.count(because);
        self.shared.isr.count(Reason::StaleIfError);
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            detail: Some(Reason::StaleIfError),
            ..CacheStatus::default()
        };
        let accepts = Accepts::of_request(&self.asked.parts.headers);
        let shown = given.page.shown(given.page.form_among(accepts));
        let selection = self.select(shown);
        let response = self.shared.isr.answer_as(shown, &selection, given.now, status, given.overtaken);
        Some(response.map(IsrBody::stored))
    }

    /// The handler's own answer, or the page that stands in where that is a failure.
    pub(super) fn own_or_spare<B>(
        &self,
        response: Response<IsrBody<B>>,
        reason: Reason,
    ) -> Response<IsrBody<B>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let has_failed = response.status().is_server_error() || reason == Reason::Truncated;
        let spare = has_failed.then(|| self.spare(reason)).flatten();
        spare.unwrap_or_else(|| {
            let is_cut = reason == Reason::Truncated && self.shared.is_before_origin();
            if is_cut { self.cut_short(response.status()) } else { self.own(response, reason) }
        })
    }

    /// In place of an answer of the origin's that broke off before any of it was sent: nobody could tell a connection
    /// that ends without a byte from a fault between them and us.
    fn cut_short<B>(&self, said: StatusCode) -> Response<IsrBody<B>> {
        let mut response = made(StatusCode::BAD_GATEWAY);
        let told = format!("{}; error=http_response_incomplete", self.shared.isr.name());
        if let Ok(told) = HeaderValue::from_str(&told) {
            response.headers_mut().insert(PROXY_STATUS, told);
        }
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            status: Some(said.as_u16()),
            detail: Some(Reason::Truncated),
            ..CacheStatus::default()
        };
        response.headers_mut().append(CACHE_STATUS, status.to_value(self.shared.isr.name()));
        forbid_caching(response.headers_mut());
        response
    }

    /// The handler's own answer, for this visitor only.
    fn own<B>(&self, mut response: Response<IsrBody<B>>, reason: Reason) -> Response<IsrBody<B>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let confirmed = response.extensions_mut().remove::<Confirmed>();
        let said = confirmed.map_or(response.status(), |Confirmed| StatusCode::NOT_MODIFIED);
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            status: Some(said.as_u16()),
            detail: Some(reason),
            ..CacheStatus::default()
        };
        if let Some(obeys) = &self.asked.route.rules.origin {
            // What the origin says of its own answer stands, unless a cache in front would have to be told later.
            obeys.withhold_tags(response.headers_mut());
            if is_unlisted(reason) && self.shared.isr.tells_caches() {
                zero_freshness(response.headers_mut());
            }
        } else if self.asked.key.scope().audience == Audience::Draft {
            keep_private(response.headers_mut());
        } else if reason != Reason::Status {
            forbid_caching(response.headers_mut());
        }
        if self.is_head() {
            if let Some(len) = response.body().size_hint().exact()
                && !response.headers().contains_key(CONTENT_LENGTH)
            {
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len));
            }
            *response.body_mut() = IsrBody::empty();
        }
        response.headers_mut().append(CACHE_STATUS, status.to_value(self.shared.isr.name()));
        response
    }

    /// An answer of ours, where there is nothing to answer with.
    pub(super) fn failed<B>(&self, code: StatusCode, reason: Reason) -> Landed<B> {
        if let Some(response) = self.spare(reason) {
            return Landed::Answer(response);
        }
        let mut response = made(code);
        let status = CacheStatus {
            forward: Some(self.asked.missed.forward),
            detail: Some(reason),
            ..CacheStatus::default()
        };
        let headers = response.headers_mut();
        headers.append(CACHE_STATUS, status.to_value(self.shared.isr.name()));
        forbid_caching(headers);
        if code == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Landed::Answer(response)
    }
}

/// Whether a page is not stored for a reason of ours: nobody could tell a cache in front to forget it.
pub(crate) const fn is_unlisted(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BadHeader
            | Reason::BadTag
            | Reason::HeadTooLarge
            | Reason::HostLimit
            | Reason::KeyTooLong
            | Reason::Overtaken
            | Reason::StoreRefused
            | Reason::TooLarge
            | Reason::TooManyTags
            | Reason::VariantLimit
            | Reason::VaryWithheld
    )
}

pub(crate) fn made<B>(code: StatusCode) -> Response<IsrBody<B>> {
    let mut response = Response::new(IsrBody::empty());
    *response.status_mut() = code;
    response
}
