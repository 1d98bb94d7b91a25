//! What a gateway route adds to admitting an answer: the origin's own terms decide.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AGE, CONTENT_LENGTH, COOKIE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue,
};
use http::response;

use super::Isr;
use super::admit::{Admission, Sealed};
use super::etag::Hash;
use crate::clock::Moment;
use crate::model::key::CacheKey;
use crate::model::lifetime::Lifetime;
use crate::model::origin::{self, Asked, Obeys, OriginCookies, groups};
use crate::model::page::Page;
use crate::model::policy::Rules;
use crate::model::reason::Reason;
use crate::model::reuse::Reuse;
use crate::model::storable;
use crate::model::tag::{Tag, TagSet};

/// One request to an origin, and when its answer came.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The request's headers as the origin saw them.
    pub headers: HeaderMap,
    /// Whose request it was, and when it was sent and answered by the time of day.
    pub asked: Asked,
    /// When the answer's head came.
    pub at: Moment,
    /// The page that the answer, a 304, says is unchanged: its bytes are the same, and so is what was made of them.
    /// `None` for any other.
    pub confirmed: Option<Arc<Page>>,
}

impl Isr {
    /// The time of day: what an origin's dates are compared with.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.0.clock.wall()
    }

    /// Whether an origin's answer may be stored, for how long, and under which key.
    pub(super) fn may_store_as_origin(
        &self,
        asked: &CacheKey,
        rules: &Rules,
        obeys: &Obeys,
        (parts, len): (&response::Parts, Option<usize>),
        sealed: &Sealed,
        exchange: &Exchange,
    ) -> Result<Admission, Reason> {
        let terms = origin::terms(parts, &exchange.asked, obeys)?;
        len.map_or(Ok(()), |len| storable::body(parts, len, rules))?;
        if let Some(reason) = sealed.veto {
            return Err(reason);
        }
        let named = origin::tags_of(&parts.headers, obeys)?;
        let mut tags = sealed.tags.clone();
        tags.extend(named.iter().cloned());
        let mut tags = self.with_groups(tags, asked, &parts.headers);
        if let Some(page) = &exchange.confirmed {
            tags = self.with_stored(&tags, page, !named.is_empty(), &parts.headers);
        }
        if tags.len() > self.0.limits.tags_per_page {
            return Err(Reason::TooManyTags);
        }
        let varies = self.varies_of(&parts.headers, obeys)?;
        let key = self.key_of_answer(asked, varies, exchange)?;
        if parts.status.is_server_error() && self.may_stand_in(&key) {
            // A failure that may be stored does not displace the page that may be served in its place.
            return Err(Reason::Status);
        }
        let reuse = Reuse {
            for_credentials: terms.for_credentials,
            never_stale: terms.never_stale,
            own_etag: !parts.headers.contains_key(ETAG),
        };
        let own = sealed.lifetime.unwrap_or(terms.lifetime.fresh);
        let fresh = sealed.at_most.map_or(own, |most| own.min(most)).min(Lifetime::LONGEST);
        if fresh.is_zero() && !terms.lifetime.fresh.is_zero() {
            return Err(Reason::HandlerLifetime);
        }
        let lifetime = Lifetime { fresh, ..terms.lifetime };
        Ok(Admission { key, tags, lifetime, born: exchange.at.before(terms.age), reuse })
    }

    /// With the tags of the page that an answer says is unchanged: those that it does not name stay (RFC 9111 §3.2), and
    /// too many do no harm. Where there is no room for all, those that it names replace the others of their kind.
    fn with_stored(&self, tags: &TagSet, page: &Page, names_tags: bool, headers: &HeaderMap) -> TagSet {
        let with = |may_stay: &dyn Fn(&Tag) -> bool| {
            let mut all = tags.clone();
            all.extend(page.tag_set().iter().filter(|tag| may_stay(tag)).cloned());
            all
        };
        let all = with(&|_| true);
        if all.len() <= self.0.limits.tags_per_page {
            return all;
        }
        let names_groups = headers.contains_key(groups::CACHE_GROUPS);
        with(&|tag| if tag.as_str().starts_with('~') { !names_groups } else { !names_tags })
    }

    /// On what an answer depends that its key has to hold.
    fn varies_of(&self, headers: &HeaderMap, obeys: &Obeys) -> Result<Vec<HeaderName>, Reason> {
        let mut varies = origin::vary::named(headers)?;
        // What the origin is never told is the same for everyone.
        varies.retain(|name| {
            let is_untold = (*name == COOKIE && obeys.cookies == OriginCookies::Ignore)
                || (*name == ACCEPT_ENCODING && self.compresses());
            !is_untold
        });
        Ok(varies)
    }

    /// Whether a failure that is not stored is what everyone who waits by this key would get: its `Vary` names nothing
    /// in which they may differ (RFC 9111 §4.1).
    pub(super) fn is_everyones(&self, key: &CacheKey, rules: &Rules, headers: &HeaderMap) -> bool {
        let Some(obeys) = &rules.origin else { return true };
        let varies = self.varies_of(headers, obeys);
        varies.is_ok_and(|names| names.iter().all(|name| key.scope().vary.contains(name)))
    }

    fn may_stand_in(&self, key: &CacheKey) -> bool {
        self.0.pages.peek(key).is_some_and(|page| self.stand_in(&page).is_some())
    }

    /// Puts on what every page of a gateway route leaves with; its freshness is the origin's to tell.
    /// A body that is still to come has no entity tag but its origin's.
    pub(super) fn dress_as_origin(
        &self,
        headers: &mut HeaderMap,
        obeys: &Obeys,
        body: Option<(&[Bytes], &Sealed)>,
    ) {
        storable::strip_hop_by_hop(headers);
        headers.remove(AGE);
        if let Some((body, sealed)) = body {
            let len: usize = body.iter().map(Bytes::len).sum();
            if len > 0 || headers.contains_key(CONTENT_LENGTH) {
                // Some statuses must not have one (RFC 9110 §8.6).
                headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
            }
            let known = || sealed.hash.clone().map(Hash::etag).or_else(|| made_before(sealed));
            headers.entry(ETAG).or_insert_with(|| known().unwrap_or_else(|| Hash::of(body).etag()));
        }
        if !headers.contains_key(DATE)
            && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(self.wall()))
        {
            // RFC 9110 §6.6.1: who stores it adds the date that it lacks.
            headers.insert(DATE, date);
        }
        obeys.withhold_tags(headers);
    }

    /// An answer that is not stored, as those who wait share it.
    pub(super) fn unstored(&self, key: &CacheKey) -> Admission {
        Admission {
            key: key.clone(),
            tags: TagSet::default(),
            lifetime: Lifetime::default(),
            born: self.0.clock.now(),
            reuse: Reuse::default(),
        }
    }
}

/// The entity tag that was made of the same bytes when they came.
fn made_before(sealed: &Sealed) -> Option<HeaderValue> {
    let page = sealed.confirmed().filter(|page| page.reuse().own_etag)?;
    HeaderValue::from_bytes(page.validators().etag?).ok()
}
