//! A key as a request has it: nothing is copied to look a page up.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::sync::Arc;

use http::header::HeaderName;

use super::cache_key::CacheKey;
use super::scope::{Audience, Scope};
use crate::hash;
use crate::model::authority::Scheme;
use crate::model::written::{put, put_optional, strip, strip_optional};

/// The most bytes of a tenant.
const MAX_TENANT_BYTES: usize = 256;

/// The value of one dimension: a declared header's, normalized, or what a variant function said. An absent
/// header is not an empty one.
pub type Dimension<'a> = Option<Cow<'a, str>>;

/// A key as a request has it, borrowed: hashed and compared without being built.
#[derive(Debug, Clone, Copy)]
pub struct KeyRef<'a> {
    /// See [`Scope::scheme`].
    pub scheme: Scheme,
    /// See [`Scope::authority`].
    pub authority: &'a str,
    /// See [`Scope::route`].
    pub route: &'a str,
    /// See [`Scope::tenant`].
    pub tenant: Option<&'a str>,
    /// See [`Scope::audience`].
    pub audience: Audience,
    /// See [`Scope::vary`].
    pub vary: &'a [HeaderName],
    /// The raw path, as the router saw it.
    pub path: &'a str,
    /// The declared parameters, sorted by name, as raw text; `None` when there is none.
    pub query: Option<&'a str>,
    /// The values of the declared headers, then of the policy's variants.
    pub dimensions: &'a [Dimension<'a>],
}

impl<'a> KeyRef<'a> {
    /// The key of a page that stands once under its path: public, without tenant, query, headers or variants.
    #[must_use]
    pub const fn new(scheme: Scheme, authority: &'a str, route: &'a str, path: &'a str) -> Self {
        Self {
            scheme,
            authority,
            route,
            tenant: None,
            audience: Audience::Public,
            vary: &[],
            path,
            query: None,
            dimensions: &[],
        }
    }
}

impl KeyRef<'_> {
    /// The keyed hash of the key, for use inside the process only.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = hash::hasher();
        let has = |part: Option<&str>, bit: u8| u8::from(part.is_some()) << bit;
        let has = has(self.tenant, 2) | has(self.query, 3);
        hasher.write_u8(self.scheme as u8 | ((self.audience as u8) << 1) | has);
        hash::segment(&mut hasher, self.authority.as_bytes());
        hash::segment(&mut hasher, self.route.as_bytes());
        hash::segment(&mut hasher, self.path.as_bytes());
        for part in [self.tenant, self.query].into_iter().flatten() {
            hash::segment(&mut hasher, part.as_bytes());
        }
        for dimension in self.dimensions {
            hash_optional(&mut hasher, dimension.as_deref());
        }
        hasher.finish()
    }

    /// How many bytes the key has once written down, for the bound on keys. With an over-long tenant more than
    /// any bound: each tenant is a scope of its own, of which few can be shared.
    #[must_use]
    #[inline(always)]
    pub fn len_bytes(&self) -> usize {
        if self.tenant.is_some_and(|tenant| tenant.len() > MAX_TENANT_BYTES) {
            return usize::MAX;
        }
        let dimensions: usize = self.dimensions.iter().flatten().map(|value| value.len() + 3).sum();
        self.authority.len()
            + self.route.len()
            + self.path.len()
            + self.tenant.map_or(0, str::len)
            + self.query.map_or(0, str::len)
            + dimensions
    }

    /// Whether this is the key written down as `scope` and `tail`.
    #[must_use]
    #[inline]
    pub fn matches(&self, scope: &Scope, tail: &[u8]) -> bool {
        *scope.authority == *self.authority
            && *scope.route == *self.route
            && scope.scheme == self.scheme
            && scope.audience == self.audience
            && scope.tenant.as_deref() == self.tenant
            && (scope.vary.is_empty() && self.vary.is_empty() || *scope.vary == *self.vary)
            && self.matches_tail(tail).is_some()
    }

    #[inline]
    fn matches_tail(&self, tail: &[u8]) -> Option<()> {
        let mut rest = strip(tail, self.path)?;
        rest = strip_optional(rest, self.query)?;
        for dimension in self.dimensions {
            rest = strip_optional(rest, dimension.as_deref())?;
        }
        rest.is_empty().then_some(())
    }

    /// The key's own part, written down.
    fn tail(&self) -> Vec<u8> {
        let mut tail = Vec::with_capacity(self.path.len() + self.query.map_or(0, str::len) + 8);
        put(&mut tail, self.path);
        put_optional(&mut tail, self.query);
        for dimension in self.dimensions {
            put_optional(&mut tail, dimension.as_deref());
        }
        tail
    }

    /// The scope of this key, to be interned.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::of(self)
    }

    /// The key, owned. `scope` must equal [`KeyRef::scope`].
    #[must_use]
    pub fn to_owned(&self, scope: Arc<Scope>) -> CacheKey {
        debug_assert!(*scope == self.scope(), "a key is written down in its own scope");
        CacheKey::written(self.hash(), scope, self.tail().into())
    }
}

fn hash_optional(hasher: &mut impl std::hash::Hasher, text: Option<&str>) {
    match text {
        // No text is so long. As wide as a length, since the hasher joins numbers without their widths.
        None => hasher.write_usize(usize::MAX),
        Some(text) => hash::segment(hasher, text.as_bytes()),
    }
}
