//! What a gateway route does otherwise: the visitor's own request goes to the origin, and what may be used
//! again is what the origin's answer says (RFC 9111 §4).

use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::isr::look_up::{Hit, LookUp, Miss};
use edge_isr_core::model::cache_status::{CacheStatus, Forward};
use edge_isr_core::model::key::{CacheKey, Dimension, KeyRef, selecting};
use edge_isr_core::model::origin::wishes::{self, Wishes};
use edge_isr_core::model::origin::{Obeys, RequestDirectives};
use edge_isr_core::model::page::Page;
use edge_isr_core::{Cookies, Isr, Reason};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, COOKIE, EXPECT, HeaderMap, HeaderName,
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
    TRANSFER_ENCODING,
};
use http::request;

use crate::edge;
use crate::routes::Route;

mod post;

pub(crate) use post::Posted;

/// What a visitor's request hands on to the origin.
#[derive(Debug)]
pub(crate) struct HandedOn {
    pub(crate) headers: HeaderMap,
    pub(crate) has_authorization: bool,
    pub(crate) has_cookie: bool,
    /// Whether the visitor's own conditions or range are among the headers.
    pub(crate) is_narrowed: bool,
    /// A stale page that the origin is asked about.
    pub(crate) prior: Option<Arc<Page>>,
}

/// What asks for less than a whole page.
const NARROWING: [HeaderName; 6] =
    [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_MATCH, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// What tells of a body: a render has none.
const OF_A_BODY: [HeaderName; 3] = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT];

impl HandedOn {
    /// The visitor's request as the origin sees it: for a whole page.
    pub(crate) fn of(isr: &Isr, route: &Route, parts: &request::Parts) -> Self {
        let mut headers = parts.headers.clone();
        // Whoever stands in front of this layer: none of these is in a key.
        edge::strip(&mut headers, false);
        NARROWING.iter().chain(&OF_A_BODY).for_each(|name| drop(headers.remove(name)));
        keep_untold(route, &mut headers);
        if isr.compresses() {
            headers.remove(ACCEPT_ENCODING);
        }
        let has_authorization = headers.contains_key(AUTHORIZATION);
        let has_cookie = headers.contains_key(COOKIE);
        Self { headers, has_authorization, has_cookie, is_narrowed: false, prior: None }
    }

    /// For what the visitor asked for, and no more.
    pub(crate) fn narrow(&mut self, asked: &HeaderMap) {
        for name in NARROWING {
            for value in asked.get_all(&name) {
                self.headers.append(&name, value.clone());
                self.is_narrowed = true;
            }
        }
    }
}

/// Keeps cookies from the origin that say nothing about the page: those that count have bypassed.
pub(crate) fn keep_untold(route: &Route, headers: &mut HeaderMap) {
    if !matches!(route.rules.cookies, Cookies::Explicit | Cookies::Rfc) {
        headers.remove(COOKIE);
    }
}

/// What is to be done for a request on a gateway route.
#[derive(Debug)]
pub(crate) enum Next {
    /// Answer from this page; render it anew meanwhile if it is stale.
    Answer(Hit, bool),
    /// Render, with others or alone.
    Render(CacheKey, Miss, Option<Reason>),
    /// Hand the request on as it is, and store nothing.
    HandOn(Forward, Reason),
    /// Nothing stored serves, and the client wants nothing else (RFC 9111 §5.2.1.7).
    OnlyIfCached,
}

/// Decides for a request whose key without dimensions led to `found`.
pub(crate) fn next(
    isr: &Isr,
    route: &Route,
    obeys: &Obeys,
    key: &KeyRef<'_>,
    found: LookUp,
    parts: &request::Parts,
) -> Next {
    let varying = match found {
        LookUp::Miss(_) => Varying::of(isr, key, &parts.headers),
        LookUp::Fresh(_) | LookUp::Stale(_) => None,
    };
    let key = varying.as_ref().map_or(*key, |varying| varying.key(key));
    let own = || isr.own_key(&key);
    let wishes = match obeys.request_directives {
        RequestDirectives::Honor => wishes::of(&parts.headers),
        RequestDirectives::Ignore => Wishes::default(),
    };
    if wishes.no_store {
        return Next::HandOn(Forward::Bypass, Reason::NoStore);
    }
    if has_body(&parts.headers) {
        // What it means is between the client and the origin (RFC 9110 §9.3.1).
        return Next::HandOn(Forward::Bypass, Reason::RequestBody);
    }
    if varying.is_some() && key.len_bytes() > isr.limits().key_bytes {
        return match wishes.only_if_cached {
            true => Next::OnlyIfCached,
            false => Next::HandOn(Forward::Bypass, Reason::KeyTooLong),
        };
    }
    let found = if varying.is_some() { again(isr, &key) } else { found };
    let credentials = credentials(route, &parts.headers);
    let found = as_wished(isr, found, &wishes);
    if let Some(reason) = credentials {
        return match found {
            LookUp::Fresh(hit) if hit.page().reuse().for_credentials => Next::Answer(hit, false),
            LookUp::Stale(hit) if hit.page().reuse().for_credentials => Next::Answer(hit, true),
            _ if wishes.only_if_cached => Next::OnlyIfCached,
            _ if !is_plain(parts) => Next::HandOn(Forward::Bypass, reason),
            // The origin may answer them otherwise than everyone: it is not asked about everyone's page.
            LookUp::Miss(missed) => {
                Next::Render(own(), Miss { spare: None, prior: None, ..missed }, Some(reason))
            }
            LookUp::Fresh(_) | LookUp::Stale(_) => {
                let missed = Miss { forward: Forward::Bypass, reason, spare: None, prior: None };
                Next::Render(own(), missed, Some(reason))
            }
        };
    }
    match found {
        LookUp::Fresh(hit) => Next::Answer(hit, false),
        LookUp::Stale(hit) => Next::Answer(hit, true),
        LookUp::Miss(_) if wishes.only_if_cached => Next::OnlyIfCached,
        // Neither is what a page is made of, and a whole page may be far more than was asked for.
        LookUp::Miss(missed) if missed.prior.is_none() && missed.spare.is_none() && !is_plain(parts) => {
            let reason = if parts.method == http::Method::HEAD { Reason::Method } else { Reason::Partial };
            Next::HandOn(missed.forward, reason)
        }
        LookUp::Miss(missed) => Next::Render(own(), missed, None),
    }
}

/// Whether a request has a body.
pub(crate) fn has_body(headers: &HeaderMap) -> bool {
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|len| len == "0");
    !is_empty || headers.contains_key(TRANSFER_ENCODING)
}

/// Whether the answer to a request may become a page: a `GET` for all of it.
fn is_plain(parts: &request::Parts) -> bool {
    parts.method == http::Method::GET && !parts.headers.contains_key(RANGE)
}

/// Why a request is one visitor's own (RFC 9111 §3.5).
fn credentials(route: &Route, headers: &HeaderMap) -> Option<Reason> {
    if headers.contains_key(AUTHORIZATION) {
        return Some(Reason::Authorization);
    }
    let counts = route.rules.cookies == Cookies::Explicit && headers.contains_key(COOKIE);
    counts.then_some(Reason::Cookie)
}

/// What a URL's answers are known to vary on, as a request has it.
struct Varying<'a> {
    names: Arc<[HeaderName]>,
    dimensions: Vec<Dimension<'a>>,
}

impl<'a> Varying<'a> {
    fn of(isr: &Isr, url: &KeyRef<'_>, headers: &'a HeaderMap) -> Option<Self> {
        let names = isr.varies_on(url)?;
        let dimensions: Result<Vec<_>, _> = names.iter().map(|name| selecting(headers, name)).collect();
        Some(Self { dimensions: dimensions.ok()?, names })
    }

    fn key<'b>(&'b self, url: &KeyRef<'b>) -> KeyRef<'b> {
        KeyRef { vary: &self.names, dimensions: &self.dimensions, ..*url }
    }
}

/// Looks again, with what the URL's answers vary on.
fn again(isr: &Isr, key: &KeyRef<'_>) -> LookUp {
    match isr.look_up(key, || 0) {
        LookUp::Miss(missed) if missed.reason == Reason::Absent => {
            LookUp::Miss(Miss { forward: Forward::VaryMiss, ..missed })
        }
        found => found,
    }
}

/// What a request asks of a stored page (RFC 9111 §5.2.1).
fn as_wished(isr: &Isr, found: LookUp, wishes: &Wishes) -> LookUp {
    let hit = match found {
        LookUp::Fresh(hit) | LookUp::Stale(hit) if *wishes != Wishes::default() => hit,
        LookUp::Miss(missed) if wishes.max_stale.is_some() => match isr.stale_hit(missed.prior.as_ref()) {
            Some(hit) => hit,
            None => return LookUp::Miss(missed),
        },
        found => return found,
    };
    let (age, fresh) = (hit.age(), hit.page().lifetime().fresh);
    let left = fresh.saturating_sub(age);
    let stale_for = age.saturating_sub(fresh);
    let is_too_old =
        wishes.max_age.is_some_and(|most| age > most) || wishes.min_fresh.is_some_and(|least| left < least);
    let is_too_stale = match wishes.max_stale {
        Some(most) => left == Duration::ZERO && stale_for > most,
        // Who names an age takes nothing stale (§5.2.1.1), be it by age or by an invalidation.
        None => hit.is_stale() && wishes.max_age.or(wishes.min_fresh).is_some(),
    };
    if !wishes.no_cache && !is_too_old && !is_too_stale {
        return if hit.is_stale() { LookUp::Stale(hit) } else { LookUp::Fresh(hit) };
    }
    let prior = if hit.is_stale() { hit.prior() } else { Some(Arc::clone(hit.page())) };
    LookUp::Miss(Miss { forward: Forward::Request, reason: Reason::Directive, spare: None, prior })
}

/// Whether a request says something that only a gateway route listens to.
pub(crate) fn has_wishes(obeys: &Obeys, headers: &HeaderMap) -> bool {
    obeys.request_directives == RequestDirectives::Honor
        && (headers.contains_key(CACHE_CONTROL) || headers.contains_key(PRAGMA))
}

/// The `Cache-Status` of an answer that was not even asked for.
pub(crate) fn only_if_cached(isr: &Isr) -> http::HeaderValue {
    let status = CacheStatus {
        forward: Some(Forward::Request),
        detail: Some(Reason::Directive),
        ..CacheStatus::default()
    };
    status.to_value(isr.name())
}
