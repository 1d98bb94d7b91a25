//! What an answer of an origin allows a shared cache (RFC 9111, 5861, 9213, 9875): gateway routes obey it.
//!
//! [`terms`] is the veto and the lifetime in one; [`vary`], [`validation`], [`groups`] and [`wishes`] read what
//! else origins and clients say. Pure: moments come in as values, and nothing is stored here.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName};

use super::head::{CACHE_TAG, SURROGATE_KEY};
use super::lifetime::Lifetime;

mod age;
pub mod date;
mod directives;
pub mod groups;
mod heuristics;
mod post;
mod status;
mod tags;
mod terms;
#[cfg(test)]
mod tests;
pub mod validation;
pub mod vary;
pub mod wishes;

pub use post::is_stored_for_get;
pub use tags::tags_of;
pub use terms::terms;

/// The targeted field that every CDN may obey (RFC 9213 §3.1).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What a gateway route obeys, and what it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obeys {
    /// What a request's `Cookie` means.
    pub cookies: OriginCookies,
    /// What becomes of answers that set cookies.
    pub set_cookie: SetCookie,
    /// Whether clients may ask for a newer answer than the stored one.
    pub request_directives: RequestDirectives,
    /// Whether an answer that names no lifetime is given one by its `Last-Modified` (RFC 9111 §4.2.2).
    pub heuristics: bool,
    /// The targeted fields that are obeyed; the first valid one counts (RFC 9213 §2.2).
    pub targeted: Box<[HeaderName]>,
    /// How long a stale answer serves when the origin fails, where the answer itself says nothing.
    pub if_error: Duration,
    /// Where an origin names the tags of a page. `Surrogate-Key` is separated by spaces, `Cache-Groups` is a
    /// structured field, and any other one is separated by commas or spaces.
    pub tag_headers: Box<[HeaderName]>,
    /// Whether clients see those headers.
    pub pass_tag_headers: bool,
}

impl Obeys {
    /// Takes off what clients are not to see: where tags were read from.
    pub fn withhold_tags(&self, headers: &mut HeaderMap) {
        if !self.pass_tag_headers {
            self.tag_headers.iter().for_each(|name| drop(headers.remove(name)));
        }
    }
}

impl Default for Obeys {
    fn default() -> Self {
        Self {
            cookies: OriginCookies::default(),
            set_cookie: SetCookie::default(),
            request_directives: RequestDirectives::default(),
            heuristics: true,
            targeted: Box::new([CDN_CACHE_CONTROL]),
            if_error: Duration::ZERO,
            tag_headers: Box::new([SURROGATE_KEY, CACHE_TAG, groups::CACHE_GROUPS]),
            pass_tag_headers: false,
        }
    }
}

/// What a gateway makes of a request's `Cookie`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OriginCookies {
    /// As of `Authorization` (RFC 9111 §3.5): only an answer that says so is shared.
    #[default]
    Explicit,
    /// The origin does not see it.
    Ignore,
    /// Nothing, as the RFC does: the origin answers for `Vary` and `private`.
    Rfc,
}

/// What a gateway makes of an answer's `Set-Cookie`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SetCookie {
    /// The answer is neither stored nor shared.
    #[default]
    Veto,
    /// It is stored as it is: **everybody gets the same cookie.** For origins that are known to set no
    /// cookie that names a visitor.
    Store,
}

/// What a gateway makes of a request's `Cache-Control`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequestDirectives {
    /// Nothing: strangers can't make the origin work.
    #[default]
    Ignore,
    /// What RFC 9111 §5.2.1 says.
    Honor,
}

/// The facts of one exchange with the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Whether the visitor's request has `Authorization`.
    pub has_authorization: bool,
    /// Whether it has `Cookie`.
    pub has_cookie: bool,
    /// Whether it was asked with one visitor's own conditions, or for a range.
    pub is_narrowed: bool,
    /// When it was sent to the origin.
    pub sent: SystemTime,
    /// When the head of the answer came.
    pub received: SystemTime,
}

/// On what terms an answer may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For how long it is of use, counted from its birth at the origin. A lifetime of zero is that of a page
    /// which must be validated on each use.
    pub lifetime: Lifetime,
    /// How old it was when it came (RFC 9111 §4.2.3).
    pub age: Duration,
    /// Whether it may be stored from and reused for requests with credentials (RFC 9111 §3.5).
    pub for_credentials: bool,
    /// Whether it is never used once it is stale, whatever a request allows (RFC 9111 §4.2.4).
    pub never_stale: bool,
}
