//! What every [`PageStore`] promises.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::model::conditional::Selection;
use crate::model::key::CacheKey;
use crate::model::lifetime::Lifetime;
use crate::model::page::Page;
use crate::model::snapshot::{Incarnation, Mark, Marks, Seen, Snapshot};
use crate::model::tag::{TagId, TagSet, tag};
use crate::model::verdict::Loss;
use crate::store::{PageStore, Put};
use crate::testing::sample::{self, SamplePage};

/// Makes a test of each clause of [`PageStore`](crate::PageStore)'s contract.
///
/// ```
/// use edge_isr_core::store::MemoryPages;
///
/// edge_isr_core::page_store_contract!(pages, MemoryPages::new(8 << 20, 2 << 20), most_bytes: 8 << 20);
/// ```
///
/// `most_bytes` is the bound of what it makes, about. A store whose bound no test can reach, since it is its
/// server's, leaves it out; then `room_is_bounded` is no test. All other clauses need room for 4 MiB.
#[macro_export]
macro_rules! page_store_contract {
    (@always $make:expr) => {
        $crate::__contract_clauses!(store, (::std::sync::Arc::new($make)), [
            put_then_get_round_trips,
            bodies_are_bytes,
            many_tags_round_trip,
            keys_are_compared_whole,
            later_snapshots_win,
            the_latest_of_racing_puts_stands,
            removed_pages_are_gone,
        ]);
    };
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::page_store_contract!(@always $make);
        }
    };
    ($name:ident, $make:expr, most_bytes: $most:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "what makes the backend may need none")]
            use super::*;
            $crate::page_store_contract!(@always $make);
            $crate::__contract_clauses!(store, (::std::sync::Arc::new($make), $most), [room_is_bounded]);
        }
    };
}

async fn get(store: &Arc<dyn PageStore>, key: &CacheKey) -> Option<Arc<Page>> {
    store.get(key).await.expect("a store that is there answers")
}

async fn put(store: &Arc<dyn PageStore>, page: &Arc<Page>) -> Put {
    let key = page.key().expect("samples have keys");
    store.put(&key, Arc::clone(page)).await.expect("a store that is there takes pages")
}

async fn keep(store: &Arc<dyn PageStore>, page: &Arc<Page>) {
    assert_eq!(put(store, page).await, Put::Kept, "there is room for it");
}

/// What a reader can tell of a page, but for the moment of its birth, which never leaves a process.
fn look(page: &Page) -> impl PartialEq + std::fmt::Debug + use<> {
    let whole = [Selection::Whole, Selection::HeadOnly, Selection::NotModified].map(|selection| {
        let value = HeaderValue::from_static("x");
        let (parts, body) = page.answer(&selection, value.clone(), value).into_parts();
        (parts.status, parts.headers, body.into_bytes())
    });
    let lost = Marks { incarnation: Incarnation::from_bytes(*b"another one's id"), latest: Mark::default() };
    let mut ids: Vec<TagId> = page.ids().collect();
    ids.sort_unstable();
    ids.dedup();
    let tags: Vec<String> = page.tags().map(str::to_owned).collect();
    // What the loss of marks makes of it: only pages that say so survive it.
    let after_loss = page.judge(page.birth().at, &lost, Seen { applied: 0, changes: 0 });
    (page.key(), whole, tags, ids, *page.lifetime(), page.birth().snapshot, page.is_draft(), after_loss)
}

/// A kept page comes back as it was put: key, status, head, body, tags, lifetime, snapshot, and what the loss
/// of marks makes of it.
pub async fn put_then_get_round_trips(store: Arc<dyn PageStore>) {
    for (n, key) in sample::neighbors().into_iter().enumerate() {
        let mut page = SamplePage::of(&key);
        match n % 4 {
            1 => {
                page.loss = Loss::Revalidate;
                page.lifetime = Lifetime::default();
            }
            2 => {
                page.status = StatusCode::NOT_FOUND;
                page.tags = TagSet::default();
                page.headers.append("cache-status", HeaderValue::from_static("origin; hit"));
            }
            3 => {
                let line =
                    HeaderValue::from_bytes(b"no utf-8: \xff").expect("a value may have any high byte");
                page.headers.append("x-raw", line);
                page.headers.append("x-twice", HeaderValue::from_static("one"));
                page.headers.append("x-twice", HeaderValue::from_static(""));
                page.snapshot.seq = u64::MAX - 1;
            }
            _ => {}
        }
        let page = page.build();
        keep(&store, &page).await;
        let found = get(&store, &key).await.expect("it was kept");
        assert_eq!(look(&found), look(&page), "it came back as another");
    }
}

/// A body comes back byte by byte: an empty one, one that is no text, one of 1 MiB, one of 2 MiB, which a
/// page keeps in parts.
pub async fn bodies_are_bytes(store: Arc<dyn PageStore>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let long: Vec<u8> = (0..2_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for body in [Vec::new(), every_byte, b"\r\n\0--\xc3\x28".to_vec(), long[..1 << 20].to_vec(), long] {
        let key = sample::key();
        keep(&store, &SamplePage::of(&key).with_body(body.clone()).build()).await;
        let found = get(&store, &key).await.expect("it was kept");
        assert!(found.body() == body, "a body of {} bytes came back as another", body.len());
    }
}

/// A page with a hundred tags, some of them as long as tags may be, comes back with all of them.
pub async fn many_tags_round_trip(store: Arc<dyn PageStore>) {
    let key = sample::key();
    let long = |n| tag("a:b:c", format!("{}{n}", "%".repeat(60)));
    let tags: TagSet = (0..80).map(|n| tag("many", n)).chain((0..20).map(long)).collect();
    let page = SamplePage { tags, ..SamplePage::of(&key) }.build();
    keep(&store, &page).await;
    let found = get(&store, &key).await.expect("it was kept");
    assert_eq!(look(&found), look(&page), "it came back as another");
}

/// `get` never returns the page of another key, however alike the keys and whatever their hashes.
pub async fn keys_are_compared_whole(store: Arc<dyn PageStore>) {
    let victim = sample::key();
    let attacker = sample::key().colliding_with(&victim);
    let page = SamplePage::of(&attacker).with_body("the attacker's").build();
    let put = store.put(&attacker, page).await;
    put.expect("a store that is there takes pages");
    assert!(get(&store, &victim).await.is_none(), "their hashes are alike, and they are not");
    let keys = sample::neighbors();
    for key in &keys {
        keep(&store, &SamplePage::of(key).build()).await;
        for other in &keys {
            let found = get(&store, other).await.and_then(|page| page.key());
            assert!(found.as_ref().is_none_or(|found| found == other), "another key's page came back");
            // Keys whose hashes are alike may take each other's place.
            assert!(found.is_some() || other != key, "it was just kept");
        }
    }
}

/// Within an incarnation a page from an earlier snapshot does not replace one from a later one, and `put` says
/// so. One from the same snapshot, a later one or another incarnation does.
pub async fn later_snapshots_win(store: Arc<dyn PageStore>) {
    let key = sample::key();
    let page = |seq, body: &'static str| SamplePage::of(&key).since(seq).with_body(body).build();
    keep(&store, &page(5, "five")).await;
    assert_eq!(put(&store, &page(4, "four")).await, Put::Outrun);
    assert_eq!(get(&store, &key).await.expect("kept").body(), "five");
    keep(&store, &page(5, "five again")).await;
    assert_eq!(get(&store, &key).await.expect("kept").body(), "five again");
    keep(&store, &page(600, "six hundred")).await;
    assert_eq!(get(&store, &key).await.expect("kept").body(), "six hundred");
    assert_eq!(put(&store, &page(70, "seventy")).await, Put::Outrun, "numbers, not texts, are compared");
    let snapshot = Snapshot { incarnation: Incarnation::from_bytes(*b"another one's id"), seq: 1 };
    let reborn = SamplePage { snapshot, ..SamplePage::of(&key) }.with_body("reborn").build();
    keep(&store, &reborn).await;
    assert_eq!(get(&store, &key).await.expect("kept").body(), "reborn");
}

/// However puts of one key race, the page of the latest snapshot stands in the end.
pub async fn the_latest_of_racing_puts_stands(store: Arc<dyn PageStore>) {
    const RACERS: u64 = 8;
    const LAPS: u64 = 40;
    let key = sample::key();
    let runtime = tokio::runtime::Handle::current();
    for lap in 0..LAPS {
        // Threads, not tasks, so that puts meet inside the store.
        let racers = (0..RACERS).map(|racer| {
            let (store, runtime) = (Arc::clone(&store), runtime.clone());
            let page = SamplePage::of(&key).since(lap * RACERS + racer).build();
            tokio::task::spawn_blocking(move || runtime.block_on(async { put(&store, &page).await }))
        });
        let racers: Vec<_> = racers.collect();
        for racer in racers {
            racer.await.expect("a put does not panic");
        }
        let seq = get(&store, &key).await.expect("one of them is kept").birth().snapshot.seq;
        assert_eq!(seq, lap * RACERS + RACERS - 1, "an earlier one overtook it");
    }
}

/// After `remove`, `get` finds nothing until the next `put`, which may be of an earlier snapshot. Others stay.
pub async fn removed_pages_are_gone(store: Arc<dyn PageStore>) {
    let keys = [sample::key(), sample::key(), sample::key()];
    for key in &keys {
        keep(&store, &SamplePage::of(key).since(9).build()).await;
    }
    let gone = [keys[0].clone(), sample::key(), keys[2].clone()];
    for _ in 0..2 {
        store.remove(&gone).await.expect("removing what is not there is no error");
        assert!(get(&store, &keys[0]).await.is_none());
        assert!(get(&store, &keys[1]).await.is_some(), "it was not named");
        assert!(get(&store, &keys[2]).await.is_none());
    }
    store.remove(&[]).await.expect("nothing is removed at once");
    keep(&store, &SamplePage::of(&keys[0]).since(3).build()).await;
    assert!(get(&store, &keys[0]).await.is_some());
}

/// At its bound the store evicts or refuses, and never errs for it; what it refused is not there.
pub async fn room_is_bounded(store: Arc<dyn PageStore>, most_bytes: u64) {
    const PAGE: u64 = 64 << 10;
    let body = vec![b'x'; usize::try_from(PAGE).expect("64 KiB")];
    let mut kept = Vec::new();
    for _ in 0..2 * most_bytes / PAGE + 2 {
        let key = sample::key();
        let page = SamplePage::of(&key).with_body(body.clone()).build();
        match put(&store, &page).await {
            Put::Kept => kept.push(key),
            Put::Refused => assert!(get(&store, &key).await.is_none(), "it was refused"),
            Put::Outrun => panic!("nobody else has this key"),
        }
    }
    assert!(!kept.is_empty(), "something fits");
    let mut there = 0;
    for key in &kept {
        there += u64::from(get(&store, key).await.is_some());
    }
    assert!(there * PAGE <= most_bytes, "{there} pages of {PAGE} bytes are there");
    let key = sample::key();
    let huge = SamplePage::of(&key).with_body(vec![0; usize::try_from(most_bytes).expect("memory") + 1]);
    assert_eq!(put(&store, &huge.build()).await, Put::Refused, "it alone is larger than the bound");
    assert!(get(&store, &key).await.is_none(), "it was refused");
}
