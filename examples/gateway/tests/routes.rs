//! What the file says of routes, as clients and the origin see it.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use common::{Answer, Client, Origin, Reply};
use gateway::Gateway;
use gateway::config::{self, Asked};

const FILE: &str = r#"
listen = "127.0.0.1:0"

[[route]]
path = "/posts/{id}"
s_maxage = "5m"
stale_while_revalidate = "1h"
tags = ["post:{id}"]
query = ["page"]
cookies = "ignore"
vary = ["accept-language"]

[[route]]
path = "/account/{*rest}"
s_maxage = "5m"

[[route]]
path = "/{shop}"
cookies = "ignore"
query = ["colour"]
tags = ["shop:{shop}"]
"#;

/// A gateway that was told so by a file, in front of an origin.
struct Site {
    origin: Origin,
    address: std::net::SocketAddr,
    isr: edge_isr_core::Isr,
}

impl Site {
    async fn new(name: &str, reply: fn(&common::origin::Request) -> Reply) -> Self {
        let origin = Origin::start(reply).await;
        let file = std::env::temp_dir().join(format!("gateway-routes-{name}-{}.toml", std::process::id()));
        std::fs::write(&file, FILE).unwrap();
        let (url, path) = (format!("http://{}", origin.address), file.to_str().unwrap());
        let flags = ["gateway", "--config", path, "--origin", &url].map(Into::into);
        let asked = config::read(flags, []);
        std::fs::remove_file(&file).unwrap();
        let Ok(Asked::Serve(config, _)) = asked else { panic!("{asked:?}") };
        let gateway = Gateway::bind(&config).await.unwrap();
        let (address, isr) = (gateway.local_addr().unwrap(), gateway.isr().clone());
        tokio::spawn(gateway.run(std::future::pending()));
        Self { origin, address, isr }
    }

    async fn get(&self, target: &str) -> Answer {
        self.get_with(target, "").await
    }

    async fn get_with(&self, target: &str, fields: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: site\r\n{fields}\r\n");
        Client::connect(self.address).await.ask(request).await
    }
}

#[tokio::test]
async fn p23_a_policy_route_is_what_the_file_says_of_it() {
    let site = Site::new("policy", |_| Reply::ok("", "page")).await;
    // The origin says nothing of freshness; the file does.
    assert!(!site.get("/posts/1").await.is_hit());
    let hit = site.get("/posts/1").await;
    assert!(hit.is_hit());
    let control = hit.field("cache-control").unwrap();
    assert!(control.contains("s-maxage=300") && control.contains("stale-while-revalidate=3600"), "{control}");
    // What is not in the key is not in the request.
    assert!(site.get_with("/posts/1?utm=x", "Cookie: a=b\r\nX-Other: c\r\n").await.is_hit());
    assert!(!site.get_with("/posts/2?utm=x&page=3", "Cookie: a=b\r\nX-Other: c\r\n").await.is_hit());
    let seen = site.origin.last("/posts/2?page=3");
    assert_eq!((seen.field("cookie"), seen.field("x-other")), (None, None));
    assert!(site.get("/posts/2?page=3&utm=y").await.is_hit());
    assert!(!site.get("/posts/2?page=4").await.is_hit());
    // Languages are pages of their own.
    assert!(!site.get_with("/posts/1", "Accept-Language: de\r\n").await.is_hit());
    assert!(site.get_with("/posts/1", "Accept-Language: de\r\n").await.is_hit());
    // Its tags, too.
    let graph = site.isr.graph();
    graph.expire_by_tags([edge_isr_core::tag("post", 1)]).await.unwrap();
    assert!(!site.get("/posts/1").await.is_hit());
    assert!(site.get("/posts/2?page=3").await.is_hit());
}

#[tokio::test]
async fn p25_the_origins_prohibitions_win_over_the_file() {
    let site = Site::new("veto", |request| match request.target() {
        "/posts/1" => Reply::ok("Cache-Control: private\r\n", "page"),
        "/posts/2" => Reply::ok("Set-Cookie: a=b\r\n", "page"),
        _ => Reply::ok("", "page"),
    })
    .await;
    for target in ["/posts/1", "/posts/2"] {
        for _ in 0..2 {
            assert!(!site.get(target).await.is_hit(), "{target}");
        }
    }
    // Without a word about cookies, requests that have some are nobody else's business.
    assert!(!site.get("/account/a").await.is_hit());
    assert!(site.get("/account/a").await.is_hit());
    assert!(!site.get_with("/account/a", "Cookie: a=b\r\n").await.is_hit());
    assert_eq!(site.origin.last("/account/a").field("cookie").as_deref(), Some("a=b"));
}

#[tokio::test]
async fn a_gateway_route_changes_what_it_names_and_the_origin_says_the_rest() {
    let site = Site::new("gateway", |request| match request.target() {
        target if target.contains("fresh") => Reply::ok("Cache-Control: max-age=60\r\n", "page"),
        _ => Reply::ok("", "page"),
    })
    .await;
    // Named: cookies mean nothing, one parameter counts, and it has a tag. Not named: how long.
    for _ in 0..2 {
        assert!(!site.get("/silent").await.is_hit());
    }
    assert!(!site.get_with("/fresh?colour=red&utm=x", "Cookie: a=b\r\n").await.is_hit());
    let seen = site.origin.last("/fresh?colour=red");
    assert_eq!(seen.field("cookie"), None);
    assert!(site.get_with("/fresh?utm=y&colour=red", "Cookie: c=d\r\n").await.is_hit());
    assert!(!site.get("/fresh?colour=blue").await.is_hit());
    site.isr.graph().expire_by_tags([edge_isr_core::tag("shop", "fresh")]).await.unwrap();
    assert!(!site.get("/fresh?colour=red").await.is_hit());
    // On all other paths, `/` and what no pattern of the file's matches, everything is as it is by default.
    for target in ["/?fresh", "/a/fresh", "/fresh/", "/a/fresh?b"] {
        assert!(!site.get_with(target, "Cookie: a=b\r\n").await.is_hit(), "{target}");
        assert_eq!(site.origin.last(target).field("cookie").as_deref(), Some("a=b"), "{target}");
        assert!(!site.get(target).await.is_hit(), "a cookie's answer is not shared: {target}");
        assert!(site.get(target).await.is_hit(), "{target}");
    }
}

#[tokio::test]
async fn p23_origins_are_told_who_asked_but_for_what_a_policy_makes_for_everyone() {
    let site = Site::new("asked", |_| Reply::ok("", "")).await;
    site.get("/posts/1").await;
    site.get("/shop").await;
    assert_eq!(site.origin.last("/posts/1").field("x-forwarded-for"), None);
    assert_eq!(site.origin.last("/shop").field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn h18_what_breaks_off_at_once_is_answered_for_on_every_route() {
    let site = Site::new("broken", |_| {
        Reply::Close(
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nhalf".to_vec(),
        )
    })
    .await;
    for target in ["/posts/1", "/account/1", "/shop", "/no/route"] {
        let answer = site.get(target).await;
        assert_eq!(answer.status, 502, "{target}");
        let told = answer.field("proxy-status");
        assert_eq!(told.as_deref(), Some("edge-isr; error=http_response_incomplete"), "{target}");
    }
}
