//! What many pages share, kept once: scopes and heads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use crate::model::authority::HostUse;
use crate::model::head::{Head, HeadParts};
use crate::model::key::{KeyRef, Scope};
use crate::sync::{Mutex, lock};

/// Keeps at most so many shared values by weak reference; what no page uses any more makes room.
#[derive(Debug)]
struct Shared<K, V> {
    most: usize,
    known: Mutex<HashMap<K, Weak<V>>>,
}

impl<K: Eq + Hash, V> Shared<K, V> {
    fn new(most: usize) -> Self {
        Self { most, known: Mutex::new(HashMap::new()) }
    }

    /// The value of a key if there is one that `is_good`, else a new one; whether it was new.
    fn get_or(&self, key: K, is_good: impl Fn(&V) -> bool, make: impl FnOnce(&K) -> V) -> (Arc<V>, bool) {
        let mut known = lock(&self.known);
        if let Some(shared) = known.get(&key).and_then(Weak::upgrade).filter(|shared| is_good(shared)) {
            return (shared, false);
        }
        let shared = Arc::new(make(&key));
        if known.len() >= self.most {
            known.retain(|_, value| value.strong_count() > 0);
        }
        // At the bound a value stays private to its page: correct, only larger.
        if known.len() < self.most || known.contains_key(&key) {
            known.insert(key, Arc::downgrade(&shared));
        }
        (shared, true)
    }
}

/// Interned scopes.
#[derive(Debug)]
pub struct Scopes(Shared<Scope, Scope>);

impl Scopes {
    /// At most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Shared::new(most))
    }

    /// The scope of a key.
    #[must_use]
    pub fn of(&self, key: &KeyRef<'_>) -> Arc<Scope> {
        self.on(key, None)
    }

    /// The scope of a key on a host whose use is watched. One from before the host lost its place and came
    /// back is not it: its pages went with the place.
    pub(crate) fn on(&self, key: &KeyRef<'_>, host: Option<&Arc<HostUse>>) -> Arc<Scope> {
        let is_good = |scope: &Scope| match (scope.host(), host) {
            (Some(known), Some(host)) => Arc::ptr_eq(known, host),
            (known, host) => known.is_none() && host.is_none(),
        };
        let own = key.scope().with_host(host.map(Arc::clone));
        self.0.get_or(own, is_good, Scope::clone).0
    }
}

/// Interned heads.
#[derive(Debug)]
pub struct Heads(Shared<Box<[u8]>, Head>);

impl Heads {
    /// At most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Shared::new(most))
    }

    /// The template for a head, and whether it is new: then the page pays for it.
    #[must_use]
    pub fn of(&self, parts: HeadParts) -> (Arc<Head>, bool) {
        self.0.get_or(parts.id(), |_| true, |id| parts.build(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 3;

    fn shared(most: &Shared<u32, u32>, key: u32) -> (Arc<u32>, bool) {
        most.get_or(key, |_| true, |key| *key)
    }

    #[test]
    fn what_is_alike_is_kept_once_for_as_long_as_a_page_uses_it() {
        let values = Shared::new(MOST);
        let (one, is_new) = shared(&values, 1);
        assert!(is_new);
        let (again, is_new) = shared(&values, 1);
        assert!(Arc::ptr_eq(&one, &again) && !is_new);
        drop((one, again));
        assert!(shared(&values, 1).1, "nobody used it any more");
    }

    #[test]
    fn p15_at_the_bound_values_are_private_until_those_out_of_use_make_room() {
        let values = Shared::new(MOST);
        let mut used: Vec<Arc<u32>> = (0..3).map(|key| shared(&values, key).0).collect();
        let (private, _) = shared(&values, 9);
        assert_eq!(*private, 9);
        assert!(shared(&values, 9).1, "there was no room to remember it");
        assert_eq!(lock(&values.known).len(), MOST);
        used.pop();
        let (kept, _) = shared(&values, 9);
        assert!(Arc::ptr_eq(&kept, &shared(&values, 9).0));
        assert_eq!(lock(&values.known).len(), MOST);
    }

    #[test]
    fn a_value_that_is_no_good_any_more_is_replaced_even_at_the_bound() {
        let values = Shared::new(1);
        let (old, _) = shared(&values, 1);
        let (new, is_new) = values.get_or(1, |_| false, |_| 2);
        assert!(is_new && (*old, *new) == (1, 2));
        assert!(Arc::ptr_eq(&new, &shared(&values, 1).0));
    }
}
