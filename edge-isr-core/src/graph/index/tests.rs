use std::sync::Arc;

use super::room::MOST_OF_URL;
use super::*;
use crate::model::authority::Scheme;
use crate::model::key::{Dimension, KeyRef};

fn key(path: &str, query: Option<&str>) -> CacheKey {
    on("h", path, query, &[])
}

fn on(authority: &str, path: &str, query: Option<&str>, dimensions: &[Dimension<'_>]) -> CacheKey {
    let key = KeyRef { query, dimensions, ..KeyRef::new(Scheme::Http, authority, "/r", path) };
    key.to_owned(Arc::new(key.scope()))
}

fn tags(names: &[&str]) -> TagSet {
    names.iter().map(|name| Tag::named(name)).collect()
}

fn at(second: u64) -> Moment {
    Moment::from_nanos(second * 1_000_000_000)
}

fn paths(index: &Index, tag: &Tag) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let members = index.members(tag, after, 2);
        assert!(members.keys.len() <= 2, "a page of a listing is bounded");
        all.extend(members.keys.iter().map(CacheKey::path_and_query));
        after = members.next;
        if after.is_none() {
            all.sort();
            return all;
        }
    }
}

#[test]
fn a_tag_leads_to_its_pages_and_an_ancestor_to_those_below() {
    let mut index = Index::new(1000, usize::MAX, None);
    for (path, names) in [("/1", ["post:1", "list"]), ("/2", ["post:2", "list"]), ("/3", ["postal:1", "x"])] {
        assert!(index.bind(&key(path, None), &tags(&names), at(0), at(60)));
    }
    assert_eq!(paths(&index, &Tag::named("list")), ["/1", "/2"]);
    assert_eq!(paths(&index, &Tag::named("post")), ["/1", "/2"]);
    assert_eq!(paths(&index, &Tag::named("post:2")), ["/2"]);
    assert_eq!(paths(&index, &implicit::all()), ["/1", "/2", "/3"]);
    assert_eq!((index.count(&Tag::named("list")), index.count(&Tag::named("post"))), (Some(2), None));
}

#[test]
fn a_url_leads_to_its_queries_and_to_no_other_path() {
    let mut index = Index::new(1000, usize::MAX, None);
    for (path, query) in [("/a", None), ("/a", Some("p=1")), ("/a", Some("p=2")), ("/a/b", None)] {
        index.bind(&key(path, query), &tags(&[]), at(0), at(60));
    }
    let url = |query| implicit::url(implicit::At::Anywhere, "/a", query);
    assert_eq!(paths(&index, &url(None)), ["/a", "/a?p=1", "/a?p=2"]);
    assert_eq!(paths(&index, &url(Some("p=2"))), ["/a?p=2"]);
    index.unbind(&key("/a", Some("p=2")));
    assert_eq!(paths(&index, &url(None)), ["/a", "/a?p=1"]);
}

#[test]
fn p15_hosts_share_no_bucket_and_a_url_leads_to_each_of_few_or_to_its_own_of_many() {
    let mut index = Index::new(10_000, usize::MAX, None);
    let url = |at| implicit::url(at, "/", None);
    for n in 0..1_000 {
        let key = on(&format!("h{n}"), "/", None, &[]);
        index.bind(&key, &tags(&[]), at(0), at(60));
        assert_eq!(index.of_url(url_hash(&key)).count(), 1);
        assert_eq!(index.members(&url(implicit::At::Host("h0")), None, 9).keys.len(), 1);
        if n < 5 {
            let all = index.members(&url(implicit::At::Anywhere), None, 9);
            assert_eq!((all.keys.len(), all.next), (n + 1, None), "at once");
        }
    }
    assert!(index.members(&url(implicit::At::Host("nobody")), None, 9).keys.is_empty());
    let some = index.members(&url(implicit::At::Anywhere), None, 9);
    assert_eq!((some.keys.len(), some.next), (9, Some(Cursor(9))), "a walk, in stretches");
}

#[test]
fn p15_spellings_of_one_url_are_bounded() {
    let mut index = Index::new(10_000, usize::MAX, None);
    let spelling = |n: usize| {
        let letter = |(at, byte): (usize, u8)| {
            if n >> at & 1 == 1 { format!("%{byte:02x}") } else { char::from(byte).to_string() }
        };
        key(&format!("/{}", (b'a'..b'k').enumerate().map(letter).collect::<String>()), None)
    };
    let stored = (0..1_000).filter(|&n| {
        let room = index.room_for(&spelling(n), 32, at(0), |_| true).is_some();
        room && index.bind(&spelling(n), &tags(&[]), at(0), at(60))
    });
    assert_eq!(stored.count(), MOST_OF_URL);
    assert!(index.room_for(&spelling(0), 32, at(0), |_| false).is_some(), "what is there may be bound again");
    assert!(index.room_for(&key("/other", None), 32, at(0), |_| false).is_some());
    assert!(index.room_for(&spelling(999), 32, at(62), |_| false).is_some(), "what has expired makes room");
}

#[test]
fn p15_x06_variants_that_have_expired_count_no_more() {
    let mut index = Index::new(1_000, usize::MAX, None);
    let variant = |n: u32| on("h", "/", None, &[Some(n.to_string().into())]);
    for n in 0..4 {
        assert!(index.room_for(&variant(n), 4, at(0), |_| false).is_some());
        index.bind(&variant(n), &tags(&["list"]), at(0), at(60 + u64::from(n)));
    }
    assert!(index.room_for(&variant(4), 4, at(60), |_| false).is_none());
    assert!(index.room_for(&variant(4), 4, at(61), |_| false).is_some(), "one of four has expired");
    assert_eq!(index.len(), 3, "and is gone");
}

#[test]
fn p15_x06_variants_that_are_gone_give_way_those_first_that_expire_first() {
    let mut index = Index::new(1_000, usize::MAX, None);
    let variant = |n: u32| on("h", "/", None, &[Some(n.to_string().into())]);
    for n in 0..4 {
        index.bind(&variant(n), &tags(&["list"]), at(0), at(60 - u64::from(n)));
    }
    let gives_way = |index: &mut Index, n: u32, most: usize, gone: &[u32]| {
        let gone: Vec<CacheKey> = gone.iter().copied().map(variant).collect();
        index.room_for(&variant(n), most, at(0), |key| gone.contains(key))
    };
    assert_eq!(gives_way(&mut index, 4, 4, &[]), None);
    assert_eq!(gives_way(&mut index, 4, 5, &[0]), Some(vec![]), "there is room");
    assert_eq!(gives_way(&mut index, 4, 4, &[0, 2, 1]), Some(vec![variant(2)]));
    assert_eq!(
        gives_way(&mut index, 4, 3, &[0, 2, 1]),
        Some(vec![variant(2), variant(1)]),
        "as many as it takes"
    );
    assert_eq!(gives_way(&mut index, 4, 3, &[0]), None);
    assert_eq!(gives_way(&mut index, 3, 4, &[0]), Some(vec![]), "it has its own place");
    assert_eq!(gives_way(&mut index, 3, 3, &[3]), None, "and does not give it to itself");
    index.bind(&on("h", "/%2e", None, &[Some("0".into())]), &tags(&[]), at(0), at(1));
    assert_eq!(gives_way(&mut index, 4, 4, &[3]), Some(vec![variant(3)]), "only variants of one spelling");
    assert_eq!(index.len(), 5, "they are known until they are unbound");
}

#[test]
fn p15_x06_a_bound_of_very_many_variants_is_met_like_any_other() {
    let mut index = Index::new(10_000, usize::MAX, None);
    let (variant, most) = (|n: usize| on("h", "/", None, &[Some(n.to_string().into())]), MOST_OF_URL + 9);
    for n in 0..most {
        assert_eq!(index.room_for(&variant(n), most, at(0), |_| true), Some(vec![]), "{n}");
        index.bind(&variant(n), &tags(&[]), at(0), at(60 + n as u64));
    }
    assert_eq!(index.room_for(&variant(most), most, at(0), |_| false), None);
    assert_eq!(index.room_for(&variant(most), most, at(0), |_| true), Some(vec![variant(0)]));
}

#[test]
fn binding_replaces_and_leaves_nothing_behind() {
    let mut index = Index::new(1000, usize::MAX, None);
    for round in 0..50 {
        index.bind(&key("/1", None), &tags(&["list", &format!("post:{round}")]), at(0), at(60));
    }
    assert_eq!(index.len(), 1);
    assert_eq!(index.tags_of(&key("/1", None)), Some(tags(&["list", "post:49"])));
    assert!(paths(&index, &Tag::named("post:48")).is_empty());
    index.unbind(&key("/1", None));
    assert_eq!((index.len(), index.bytes, index.below.len()), (0, 0, 0));
    assert!(index.sites.is_empty());
    assert!(paths(&index, &Tag::named("list")).is_empty());
}

#[test]
fn x06_rows_expire_with_their_pages() {
    let mut index = Index::new(1000, usize::MAX, None);
    for id in 0..100 {
        index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(0), at(60));
    }
    for id in 0..100 {
        index.bind(&key(&format!("/later/{id}"), None), &tags(&["list"]), at(62), at(200));
    }
    assert_eq!(index.len(), 100);
    assert!(index.is_complete(), "expiring is not losing");
}

#[test]
fn p15_at_its_bounds_the_oldest_go_and_it_says_so_until_they_would_have_expired() {
    let by_bytes = Index::new(1000, 10 * 200, None);
    for mut index in [Index::new(10, usize::MAX, None), by_bytes] {
        for id in 0..100 {
            index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(0), at(60));
        }
        assert!(index.len() <= 20, "{}", index.len());
        assert!(paths(&index, &Tag::named("list")).contains(&"/99".to_owned()), "what is new stays");
        assert!(!index.is_complete());
        index.bind(&key("/x", None), &tags(&["list"]), at(62), at(100));
        assert!(index.is_complete());
    }
}

#[test]
fn p06_a_page_that_is_bound_anew_while_its_tag_is_listed_is_in_the_list() {
    let mut index = Index::new(1000, usize::MAX, None);
    for id in 0..20 {
        // Those in front are about to expire.
        let expires = if id < 10 { 60 } else { 300 };
        index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(0), at(expires));
    }
    let list = Tag::named("list");
    let first = index.members(&list, None, 10);
    assert_eq!(first.keys.len(), 10);
    // Each makes some of them expire, and is bound where the list has not come to.
    for id in 10..20 {
        index.bind(&key(&format!("/{id}"), None), &tags(&["list"]), at(100), at(300));
    }
    let rest = index.members(&list, first.next, 100);
    assert_eq!(rest.keys.len(), 10, "none has moved before the place where the list goes on");
}
