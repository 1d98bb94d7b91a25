//! The directives of an answer, out of the one field that counts.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::age;
use crate::model::cache_control::read_line;
use crate::model::lifetime::Lifetime;
use crate::model::reason::Reason;

/// What a directive that counts seconds says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Seconds {
    #[default]
    Unsaid,
    Said(Duration),
    Malformed,
}

impl Seconds {
    /// RFC 9111 §4.2.1: of two values the one that caches less.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unsaid, said) | (said, Self::Unsaid) => said,
            (Self::Said(one), Self::Said(other)) => Self::Said(one.min(other)),
            (Self::Malformed, _) | (_, Self::Malformed) => Self::Malformed,
        }
    }

    fn read(argument: Option<&[u8]>) -> Self {
        argument.and_then(age::seconds).map_or(Self::Malformed, Self::Said)
    }

    pub(super) fn said(self) -> Option<Duration> {
        match self {
            Self::Said(duration) => Some(duration),
            Self::Unsaid | Self::Malformed => None,
        }
    }
}

/// RFC 9111 §5.2.2 and RFC 5861.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Directives {
    /// Whether a targeted field says all this, so that `Expires` says nothing.
    pub(super) is_targeted: bool,
    /// With or without field names, as are `no_cache` and `no_store`.
    pub(super) private: bool,
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) s_maxage: Seconds,
    pub(super) max_age: Seconds,
    pub(super) while_revalidate: Seconds,
    pub(super) if_error: Seconds,
}

/// The first targeted field that is valid and not empty, or else `Cache-Control`.
///
/// # Errors
///
/// When `Cache-Control` can't be read: what else it forbids is not known.
pub(super) fn of(headers: &HeaderMap, targeted: &[HeaderName]) -> Result<Directives, Reason> {
    if let Some(found) = targeted.iter().find_map(|name| self::targeted(headers, name)) {
        return Ok(found);
    }
    let mut found = Directives::default();
    for line in headers.get_all(CACHE_CONTROL) {
        read_line(line.as_bytes(), |name, argument| found.note(name, argument))
            .ok_or(Reason::BadCacheControl)?;
    }
    Ok(found)
}

/// A targeted field (RFC 9213 §2.1): a dictionary, of which nothing counts unless all of it is right.
fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let members = Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>().ok()?;
    let mut found = Directives { is_targeted: true, ..Directives::default() };
    for (name, member) in &members {
        let ListEntry::Item(item) = member else {
            // No directive we know has a list; others may have anything.
            if Directives::is_known(name.as_str()) {
                return None;
            }
            continue;
        };
        found.note_typed(name.as_str(), &item.bare_item)?;
    }
    (!members.is_empty()).then_some(found)
}

impl Directives {
    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "private" => &mut self.private,
            "no-store" => &mut self.no_store,
            "no-cache" => &mut self.no_cache,
            "public" => &mut self.public,
            "must-revalidate" => &mut self.must_revalidate,
            "proxy-revalidate" => &mut self.proxy_revalidate,
            "must-understand" => &mut self.must_understand,
            _ => return None,
        })
    }

    fn seconds(&mut self, name: &str) -> Option<&mut Seconds> {
        Some(match name {
            "s-maxage" => &mut self.s_maxage,
            "max-age" => &mut self.max_age,
            "stale-while-revalidate" => &mut self.while_revalidate,
            "stale-if-error" => &mut self.if_error,
            _ => return None,
        })
    }

    fn is_known(name: &str) -> bool {
        let mut any = Self::default();
        any.flag(name).is_some() || any.seconds(name).is_some()
    }

    fn note(&mut self, name: &[u8], argument: Option<&[u8]>) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        // What allows more has no argument; what forbids counts with any.
        let is_bare = argument.is_none();
        if let Some(flag) = self.flag(&name) {
            *flag |= is_bare || name != "public";
        } else if let Some(seconds) = self.seconds(&name) {
            *seconds = seconds.and(Seconds::read(argument));
        }
    }

    /// `None` when the value is not of the directive's type.
    fn note_typed(&mut self, name: &str, value: &BareItem) -> Option<()> {
        let may_name_fields = matches!(name, "private" | "no-cache");
        if let Some(flag) = self.flag(name) {
            *flag = match value {
                BareItem::Boolean(true) => true,
                BareItem::String(_) | BareItem::Token(_) => may_name_fields.then_some(true)?,
                _ => return None,
            };
        } else if let Some(seconds) = self.seconds(name) {
            let number = i64::from(value.as_integer()?);
            // An integer that is no number of seconds is of the right type, and can't be trusted.
            *seconds = u64::try_from(number).map_or(Seconds::Malformed, |number| {
                Seconds::Said(Duration::from_secs(number).min(Lifetime::LONGEST))
            });
        }
        Some(())
    }

    /// Whether a number was given that is none: then nothing the field allows can be trusted.
    pub(super) fn is_malformed(&self) -> bool {
        [self.s_maxage, self.max_age].contains(&Seconds::Malformed)
    }
}
