//! What the keys of one route on one host share.

use std::sync::{Arc, OnceLock};

use http::header::HeaderName;

use super::key_ref::KeyRef;
use crate::clock::Moment;
use crate::model::authority::{HostUse, Scheme};
use crate::model::implicit;
use crate::model::tag::TagId;

/// Who may see a page: everybody, or those whom the policy's `draft` predicate let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Audience {
    /// Everybody.
    #[default]
    Public,
    /// Preview traffic. Never shares a key, a flight or a fill with public traffic.
    Draft,
}

/// What a page's key shares with its neighbours. Interned, so that a page pays one pointer for it.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The scheme of the origin.
    pub scheme: Scheme,
    /// Host and port of the origin, normalized.
    pub authority: Box<str>,
    /// The pattern that matched, as the router knows it.
    pub route: Box<str>,
    /// The tenant, where the policy has tenants.
    pub tenant: Option<Box<str>>,
    /// Public or draft.
    pub audience: Audience,
    /// The headers whose values are part of the key, in the policy's order.
    pub vary: Box<[HeaderName]>,
    /// When the host was last used, where the number of hosts is bounded.
    host: Option<Arc<HostUse>>,
    /// The implicit tags of all its pages, once needed.
    ids: OnceLock<Box<[TagId]>>,
}

impl Scope {
    pub(super) fn of(key: &KeyRef<'_>) -> Self {
        Self {
            scheme: key.scheme,
            authority: key.authority.into(),
            route: key.route.into(),
            tenant: key.tenant.map(Into::into),
            audience: key.audience,
            vary: key.vary.into(),
            host: None,
            ids: OnceLock::new(),
        }
    }

    /// The implicit tags that all pages of the scope share. `build` is the same at every call.
    #[must_use]
    pub fn ids(&self, build: Option<&str>) -> &[TagId] {
        self.ids.get_or_init(|| {
            let mut tags =
                vec![implicit::all(), implicit::host(&self.authority), implicit::route(&self.route)];
            tags.extend(build.map(implicit::build));
            tags.iter().map(|tag| TagId::of(tag.as_str())).collect()
        })
    }

    pub(crate) fn with_host(self, host: Option<Arc<HostUse>>) -> Self {
        Self { host, ..self }
    }

    pub(crate) fn host(&self) -> Option<&Arc<HostUse>> {
        self.host.as_ref()
    }

    /// Remembers that its host is in use.
    #[inline]
    pub(crate) fn touch(&self, now: Moment) {
        if let Some(host) = &self.host {
            host.touch(now);
        }
    }

    /// Whether another host took the place of its own.
    #[inline]
    pub(crate) fn is_displaced(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.is_displaced())
    }

    /// How many bytes of text it holds. Each page and each row counts them as its own: a stranger who chooses
    /// hosts makes a scope a page.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.authority.len() + self.route.len() + self.tenant.as_deref().map_or(0, str::len)
    }

    fn parts(&self) -> (Scheme, &str, &str, Option<&str>, Audience, &[HeaderName]) {
        (self.scheme, &self.authority, &self.route, self.tenant.as_deref(), self.audience, &self.vary)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Scope {}

impl std::hash::Hash for Scope {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}
