//! The backends on Redis keep the contracts of their ports, on a real server that each test starts.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod redis_server;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edge_isr_core::clock::{Clock, Moment};
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::store::{Put, RedisPages};
use edge_isr_core::testing::sample::{self, SamplePage};
use edge_isr_core::{Error, PageStore, Redis, Result, async_trait};

use redis_server::Server;

edge_isr_core::page_store_contract!(redis_pages, Served::new(Redis::open).await);
edge_isr_core::page_store_contract!(
    redis_pages_sealed,
    Served::new(|url| Ok(Redis::open(url)?.seal_key(b"secret"))).await
);

/// When sample pages are born.
const BIRTH: Moment = Moment::from_nanos(1_000_000_000);

/// A clock that stands still.
#[derive(Debug)]
struct Stands(Moment);

impl Clock for Stands {
    fn now(&self) -> Moment {
        self.0
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH
    }
}

fn pages(redis: &Redis) -> RedisPages {
    RedisPages::new(redis, Arc::new(Stands(BIRTH)), "build")
}

/// Pages, and the server that they are on.
#[derive(Debug)]
struct Served {
    pages: RedisPages,
    server: Server,
}

impl Served {
    async fn new(open: impl Fn(&str) -> Result<Redis, edge_isr_core::ConfigError>) -> Self {
        let server = Server::start(&[]).await;
        let pages = pages(&open(&server.url()).unwrap());
        Self { pages, server }
    }
}

#[async_trait]
impl PageStore for Served {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        self.pages.get(key).await
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        self.pages.put(key, page).await
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        self.pages.remove(keys).await
    }
}

#[tokio::test]
async fn p28_what_others_put_in_a_pages_place_is_an_error_and_written_over() {
    let served = Served::new(Redis::open).await;
    let key = sample::key();
    let long = SamplePage::of(&key).with_body(vec![b'x'; 100_000]).build();
    for page in [SamplePage::of(&key).build(), long] {
        served.put(&key, Arc::clone(&page)).await.unwrap();
        let name = served.server.only_key().await;
        for spoil in [&["SETRANGE", &name, "60", "!"][..], &["SET", &name, "<html>"], &["SET", &name, ""]] {
            served.server.ask(spoil).await;
            served.server.ask(&["PEXPIRE", &name, "1000000"]).await;
            assert!(matches!(served.get(&key).await, Err(Error::Corrupt { .. })), "{spoil:?}");
        }
        served.server.ask(&["DEL", &name]).await;
        served.server.ask(&["HSET", &name, "a", "b"]).await;
        assert!(served.get(&key).await.is_err());
        assert_eq!(served.put(&key, Arc::clone(&page)).await.unwrap(), Put::Kept);
        assert_eq!(served.get(&key).await.unwrap().unwrap().body(), page.body());
    }
}

#[tokio::test]
async fn a_page_ends_with_its_life_and_ages_by_the_servers_clock() {
    let server = Server::start(&[]).await;
    let now = Moment::BEGINNING.after(Duration::from_secs(1000));
    let pages = RedisPages::new(&Redis::open(&server.url()).unwrap(), Arc::new(Stands(now)), "build");
    let (key, slack) = (sample::key(), Duration::from_secs(30));
    let page = SamplePage { at: now.before(Duration::from_secs(100)), ..SamplePage::of(&key) }.build();
    pages.put(&key, Arc::clone(&page)).await.unwrap();
    let name = server.only_key().await;
    let whole = page.lifetime().total() + Duration::from_secs(60);
    let left: u64 = server.ask(&["PTTL", &name]).await.parse().unwrap();
    let kept = whole - Duration::from_secs(100) - Duration::from_millis(left);
    assert!(kept < slack, "{kept:?}");
    // As it is later, beyond its life at last.
    for age in [300, 86_400, 86_745] {
        let age = Duration::from_secs(age);
        server.ask(&["PEXPIRE", &name, &(whole - age).as_millis().to_string()]).await;
        let aged = pages.get(&key).await.unwrap().unwrap().age(now);
        assert!(aged >= age && aged < age + slack, "{aged:?} {age:?}");
    }
}

#[tokio::test]
async fn p15_a_full_server_refuses_and_never_errs() {
    let server = Server::start(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]).await;
    let pages = pages(&Redis::open(&server.url()).unwrap());
    let mut refused = 0;
    for _ in 0..60 {
        let key = sample::key();
        let page = SamplePage::of(&key).with_body(vec![b'x'; 100_000]).build();
        match pages.put(&key, page).await.unwrap() {
            Put::Kept => assert!(pages.get(&key).await.unwrap().is_some()),
            Put::Refused => {
                refused += 1;
                assert!(pages.get(&key).await.unwrap().is_none());
            }
            Put::Outrun => panic!("nothing else stood there"),
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_that_and_is_found_when_it_comes() {
    let server = Server::start(&[]).await;
    let url = server.url();
    let pages = pages(&Redis::open(&url).unwrap());
    let key = sample::key();
    pages.put(&key, SamplePage::of(&key).build()).await.unwrap();
    let port = server.stop();
    let error = pages.get(&key).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { backend: "redis", queued: false, .. }), "{error:?}");
    let _again = Server::start_on(port, &[]).await;
    redis_server::soon(async || pages.get(&key).await.is_ok()).await;
}

#[tokio::test]
async fn what_a_person_has_to_change_is_told_apart_and_no_secret_with_it() {
    let server = Server::start(&["--requirepass", "right"]).await;
    let key = sample::key();
    for user in ["", ":wrong@"] {
        let url = server.url().replace("redis://", &format!("redis://{user}"));
        let pages = pages(&Redis::open(&url).unwrap());
        let error = pages.get(&key).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("wrong@") && !text.contains("right"), "{text}");
        assert!(!error.is_transient(), "{text}");
    }
    let error = Redis::open("http://user:secret@host/").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}
