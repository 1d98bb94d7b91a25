//! What many pages share, kept once: scopes and heads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

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

    fn get_or(&self, key: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        let mut known = lock(&self.known);
        if let Some(shared) = known.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(make(&key));
        if known.len() >= self.most {
            known.retain(|_, value| value.strong_count() > 0);
        }
        // At the bound a value stays private to its page: correct, only larger.
        if known.len() < self.most {
            known.insert(key, Arc::downgrade(&shared));
        }
        shared
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
        self.0.get_or(key.scope(), Scope::clone)
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

    /// The template for a head.
    #[must_use]
    pub fn of(&self, parts: HeadParts) -> Arc<Head> {
        self.0.get_or(parts.id(), |id| parts.build(id.clone()))
    }
}
