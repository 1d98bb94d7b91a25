use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::authority::Scheme;

/// (authority, route, tenant, path, query, dimensions), from an alphabet that provokes separators.
type Parts = (String, String, Option<String>, String, Option<String>, Vec<Option<String>>);

fn parts() -> impl Strategy<Value = Parts> {
    let text = || "[ab/:&=\u{0}\u{1}]{0,4}";
    let optional = || proptest::option::of(text());
    (text(), text(), optional(), text(), optional(), proptest::collection::vec(optional(), 0..3))
}

fn key(parts: &Parts) -> CacheKey {
    let (authority, route, tenant, path, query, values) = parts;
    let dimensions: Vec<Dimension<'_>> =
        values.iter().map(|value| value.as_deref().map(Cow::Borrowed)).collect();
    let key = KeyRef {
        scheme: Scheme::Http,
        authority,
        route,
        tenant: tenant.as_deref(),
        audience: Audience::Public,
        vary: &[],
        path,
        query: query.as_deref(),
        dimensions: &dimensions,
    };
    key.to_owned(Arc::new(key.scope()))
}

#[test]
fn p27_absent_and_empty_parts_do_not_collide_in_any_order() {
    let values =
        |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>();
    let base = || ("h".to_owned(), "/".to_owned(), None, "/".to_owned(), None);
    let mut hashes = std::collections::BTreeSet::new();
    let all = [
        &[None, None][..],
        &[None, Some("")],
        &[Some(""), None],
        &[Some(""), Some("")],
        &[None],
        &[Some("")],
    ];
    for dimensions in all {
        let (authority, route, tenant, path, query) = base();
        hashes.insert(key(&(authority, route, tenant, path, query, values(dimensions))).hash());
    }
    assert_eq!(hashes.len(), all.len());
}

proptest! {
    #[test]
    fn p27_d07_different_parts_are_different_keys(a in parts(), b in parts()) {
        let (one, two) = (key(&a), key(&b));
        prop_assert_eq!(one == two, a == b);
        prop_assert_eq!(one.digest("x") == two.digest("x"), a == b);
        prop_assert_eq!(two.read(|two| two.matches(one.scope(), one.tail())), Some(a == b));
    }

    #[test]
    fn a_written_key_reads_back(a in parts()) {
        let key = key(&a);
        prop_assert_eq!(key.path(), &a.3);
        prop_assert_eq!(key.query(), a.4.as_deref());
        prop_assert_eq!(key.dimensions(), a.5.iter().map(Option::as_deref).collect::<Vec<_>>());
        let again = CacheKey::from_parts(Arc::clone(key.scope()), Bytes::copy_from_slice(key.tail()));
        prop_assert_eq!(again, Some(key));
    }
}

#[test]
fn p15_an_over_long_tenant_makes_the_key_too_long() {
    for (len, is_too_long) in [(256, false), (257, true)] {
        let tenant = "t".repeat(len);
        let key = KeyRef { tenant: Some(&tenant), ..KeyRef::new(Scheme::Http, "h", "/", "/") };
        assert_eq!(key.len_bytes() == usize::MAX, is_too_long, "{len}");
    }
}

#[test]
fn p28_draft_and_public_are_different_keys() {
    let key = |audience| {
        let key = KeyRef { audience, ..KeyRef::new(Scheme::Http, "h", "/", "/") };
        key.to_owned(Arc::new(key.scope()))
    };
    assert_ne!(key(Audience::Public), key(Audience::Draft));
}
