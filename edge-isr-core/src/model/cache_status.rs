//! Writes `Cache-Status` (RFC 9211) through `sfv`, never by hand.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Integer, ItemSerializer, KeyRef, List, ListEntry, Parser, StringRef, TokenRef};

use super::reason::Reason;

/// The field's name.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went to the origin (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// The cache was told not to handle it.
    Bypass,
    /// The method's semantics require it.
    Method,
    /// No page for the URI.
    UriMiss,
    /// No page that may be used.
    Miss,
    /// There was a page, but stale.
    Stale,
    /// There are pages for the URI, but none for a request like this.
    VaryMiss,
    /// The request's own directives require it.
    Request,
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
        }
    }
}

/// One member of the list: what this cache did with one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheStatus<'a> {
    /// `hit` if `None`.
    pub forward: Option<Forward>,
    /// The status of the forwarded answer.
    pub status: Option<u16>,
    /// What remains of the freshness lifetime.
    pub ttl: Option<i64>,
    /// Whether the answer was stored.
    pub stored: bool,
    /// Whether the request shared another's render.
    pub collapsed: bool,
    /// The reason's word.
    pub detail: Option<Reason>,
    /// In debug mode: the key.
    pub key: Option<&'a str>,
    /// In debug mode: the snapshot's sequence.
    pub seq: Option<u64>,
    /// In debug mode: the tags.
    pub tags: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// The member as text, for the cache named `name`.
    ///
    /// # Panics
    ///
    /// Never: `name` was checked when the cache was built, and the rest are numbers and words of ours.
    #[must_use]
    pub fn to_value(&self, name: &str) -> HeaderValue {
        let text = self.serialize(name).unwrap_or_default();
        HeaderValue::from_str(&text).expect("structured fields are visible ASCII")
    }

    fn serialize(&self, name: &str) -> Option<String> {
        let token = |text| TokenRef::from_str(text).ok();
        let named = |text| KeyRef::from_str(text).ok();
        // A list of one member is written as an item is (RFC 9651 §4.1.1 and §4.1.3).
        let mut member = ItemSerializer::new().bare_item(token(name)?);
        member = match self.forward {
            None => member.parameter(named("hit")?, true),
            Some(forward) => member.parameter(named("fwd")?, token(forward.as_str())?),
        };
        for (name, number) in [
            ("fwd-status", self.status.map(i64::from)),
            ("ttl", self.ttl),
            ("seq", self.seq.and_then(|seq| i64::try_from(seq).ok())),
        ] {
            if let Some(number) = number {
                // Structured integers have 15 digits; nothing here needs more.
                let number = number.clamp(-999_999_999_999_999, 999_999_999_999_999);
                member = member.parameter(named(name)?, Integer::try_from(number).ok()?);
            }
        }
        for (name, flag) in [("stored", self.stored), ("collapsed", self.collapsed)] {
            if flag {
                member = member.parameter(named(name)?, true);
            }
        }
        if let Some(reason) = self.detail {
            member = member.parameter(named("detail")?, token(reason.as_str())?);
        }
        for (name, text) in [("key", self.key), ("tags", self.tags)] {
            if let Some(text) = text.and_then(|text| StringRef::from_str(text).ok()) {
                member = member.parameter(named(name)?, text);
            }
        }
        Some(member.finish())
    }
}

/// Whether the last member of the answer's `Cache-Status` is this cache's: whether the answer is ours.
///
/// A field that can't be read may well end in ours: nearer caches put there what they like.
#[must_use]
pub fn is_ours(headers: &HeaderMap, name: &str) -> bool {
    let Some(last) = headers.get_all(CACHE_STATUS).iter().next_back() else { return false };
    let Ok(members) = Parser::new(last.as_bytes()).parse::<List>() else { return true };
    match members.last() {
        Some(ListEntry::Item(item)) => {
            matches!(&item.bare_item, BareItem::Token(token) if token.as_str() == name)
        }
        Some(ListEntry::InnerList(_)) => false,
        // A line without members hides the one before it.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_as_rfc_9211_writes_them() {
        let hit = CacheStatus { ttl: Some(299), ..CacheStatus::default() };
        assert_eq!(hit.to_value("edge-isr"), "edge-isr;hit;ttl=299");
        let miss = CacheStatus {
            forward: Some(Forward::UriMiss),
            status: Some(200),
            stored: true,
            collapsed: true,
            detail: Some(Reason::Absent),
            ..CacheStatus::default()
        };
        assert_eq!(
            miss.to_value("edge-isr"),
            "edge-isr;fwd=uri-miss;fwd-status=200;stored;collapsed;detail=absent"
        );
    }

    #[test]
    fn p31_debug_text_stays_inside_its_string() {
        let status = CacheStatus { key: Some("/a\"; hit, evil"), ..CacheStatus::default() };
        assert_eq!(status.to_value("c"), r#"c;hit;key="/a\"; hit, evil""#);
    }

    #[test]
    fn ours_is_the_last_member() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("inner;fwd=miss, edge-isr;hit"));
        assert!(is_ours(&headers, "edge-isr"));
        headers.append(CACHE_STATUS, HeaderValue::from_static("inner;hit,edge-isr;hit"));
        assert!(is_ours(&headers, "edge-isr"));
        headers.append(CACHE_STATUS, HeaderValue::from_static("inner;detail=\", edge-isr;hit\""));
        assert!(!is_ours(&headers, "edge-isr"));
        headers.append(CACHE_STATUS, HeaderValue::from_static("\"broken, edge-isr;hit"));
        assert!(is_ours(&headers, "edge-isr"), "in doubt it is taken back");
        headers.append(CACHE_STATUS, HeaderValue::from_static(""));
        assert!(is_ours(&headers, "edge-isr"), "an empty line hides nothing");
        headers.append(CACHE_STATUS, HeaderValue::from_static("edge-isr2;hit"));
        assert!(!is_ours(&headers, "edge-isr"));
    }
}
