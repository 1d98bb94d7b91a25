//! The admin listener over its own socket, beside a gateway that serves.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::client::soon;
use common::{Answer, Client, Origin, Reply};
use gateway::Gateway;
use gateway::config::{Admin, Config, Token};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const TOKEN: &str = "a-token-for-tests";

/// A gateway with an admin listener.
struct Watched {
    public: SocketAddr,
    admin: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Watched {
    async fn before(origin: &Origin) -> Self {
        Self::with(origin, |_| {}).await
    }

    async fn with(origin: &Origin, change: impl FnOnce(&mut Config)) -> Self {
        let here = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::new(here, format!("http://{}", origin.address).parse().unwrap());
        config.admin = Some(Admin { listen: here, token: Token::new(TOKEN).unwrap() });
        change(&mut config);
        let gateway = Gateway::bind(&config).await.unwrap();
        let (stop, told) = oneshot::channel();
        let (public, admin) = (gateway.local_addr().unwrap(), gateway.admin_addr().unwrap());
        let running = tokio::spawn(gateway.run(async { _ = told.await }));
        Self { public, admin, stop, running }
    }

    async fn get(&self, target: &str) -> Answer {
        Client::connect(self.public).await.get(target).await
    }

    async fn order(&self, body: &str) -> Answer {
        order(self.admin, &[("Authorization", &format!("Bearer {TOKEN}"))], body).await
    }
}

async fn order(address: SocketAddr, fields: &[(&str, &str)], body: &str) -> Answer {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("POST /revalidate HTTP/1.1\r\nHost: site\r\n{fields}Content-Length: {length}\r\n\r\n");
    Client::connect(address).await.ask(head + body).await
}

async fn posts() -> Origin {
    Origin::start(|request| {
        let id = request.target().trim_start_matches("/posts/").to_owned();
        Reply::ok(&format!("Cache-Control: max-age=60\r\nSurrogate-Key: post:{id}\r\n"), "page")
    })
    .await
}

#[tokio::test]
async fn what_the_origin_tagged_is_forgotten_when_it_is_ordered() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    for target in ["/posts/1", "/posts/2"] {
        assert!(!site.get(target).await.is_hit());
        let hit = site.get(target).await;
        assert!(hit.is_hit());
        assert_eq!(hit.field("surrogate-key"), None, "tags are nobody's business outside");
    }
    let receipt = site.order(r#"{"tags": ["post:1"], "mode": "hard"}"#).await;
    assert_eq!((receipt.status, &*receipt.text()), (200, "{\"mode\":\"hard\",\"sequence\":1,\"urls\":1}\n"));
    assert!(!site.get("/posts/1").await.is_hit());
    assert!(site.get("/posts/2").await.is_hit());
    assert_eq!((origin.count("/posts/1"), origin.count("/posts/2")), (2, 1));

    let target = format!("/pages?tag=post HTTP/1.1\r\nHost: site\r\nAuthorization: Bearer {TOKEN}");
    let pages = Client::connect(site.admin).await.ask(format!("GET {target}\r\n\r\n")).await;
    assert!(pages.text().contains("http://site/posts/1") && pages.text().contains("http://site/posts/2"));
}

#[tokio::test]
async fn p27_a_url_with_a_query_is_that_query_and_one_without_is_all_of_them() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    let targets = ["/list", "/list?page=1", "/list?page=2", "/list/more"];
    let hits = async || {
        let mut hits = Vec::new();
        for target in targets {
            hits.push(site.get(target).await.is_hit());
        }
        hits
    };
    hits().await;
    for (url, expected) in [
        ("http://site/list?page=1", [true, false, true, true]),
        ("https://site/list", [false, false, false, true]),
        ("http://other/list", [true; 4]),
    ] {
        assert_eq!(hits().await, [true; 4]);
        let receipt = site.order(&format!(r#"{{"urls": ["{url}"], "mode": "hard"}}"#)).await;
        assert_eq!(receipt.status, 200);
        assert_eq!(hits().await, expected, "{url}");
    }
}

#[tokio::test]
async fn p33_nothing_of_it_is_on_the_public_port() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    let token = format!("Bearer {TOKEN}");
    assert_eq!(order(site.public, &[("Authorization", &token)], r#"{"all":true}"#).await.text(), "page");
    for target in ["/pages?tag=post", "/stats", "/metrics", "/live", "/health"] {
        assert_eq!(site.get(target).await.text(), "page", "{target}");
    }
    assert_eq!(origin.requests().len(), 6, "all of them are the origin's");
    // The origin gets the token, since it might be one of its own; the order had no effect.
    let receipt = site.order(r#"{"all":true}"#).await;
    assert!(
        receipt.text().contains("\"sequence\":2"),
        "the POST invalidated its own URL alone: {}",
        receipt.text()
    );
}

#[tokio::test]
async fn p33_a_wrong_token_is_refused_on_a_connection_that_showed_the_right_one() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    let mut client = Client::connect(site.admin).await;
    let get =
        |token: &str| format!("GET /stats HTTP/1.1\r\nHost: site\r\nAuthorization: Bearer {token}\r\n\r\n");
    for (token, status) in [(TOKEN, 200), ("wrong", 401), (TOKEN, 200), ("", 401)] {
        assert_eq!(client.ask(get(token)).await.status, status, "{token}");
    }
}

#[tokio::test]
async fn b18_a_body_that_is_too_large_is_refused_and_not_kept() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    let large = " ".repeat(3 << 20) + r#"{"all":true}"#;
    let refused = site.order(&large).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("\"field\":\"body\""), "{}", refused.text());
    assert!(site.order(r#"{"all":true}"#).await.text().contains("\"sequence\":1"));
}

#[tokio::test]
async fn p21_it_says_that_the_gateway_stops_until_the_last_request_is_answered() {
    let origin = Origin::start(|_| {
        let first = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";
        Reply::Halves(first.into(), "half".into())
    })
    .await;
    let site = Watched::before(&origin).await;
    let mut client = Client::connect(site.public).await;
    client.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n").await;
    origin.until(|origin| origin.count("/slow") == 1).await;
    let health = async || {
        let asked = Client::connect(site.admin).await.ask("GET /health HTTP/1.1\r\nHost: site\r\n\r\n").await;
        (asked.status, asked.text())
    };
    assert_eq!(health().await, (200, "{\"reasons\":[],\"state\":\"good\"}\n".to_owned()));
    site.stop.send(()).unwrap();
    // It notices in its own time, and stays so.
    soon(async { while health().await.0 == 200 {} }).await;
    assert_eq!(health().await, (503, "{\"reasons\":[],\"state\":\"stopping\"}\n".to_owned()));
    origin.go_on();
    assert_eq!(client.answer(false).await.text(), "halfhalf");
    soon(site.running).await.unwrap();
    assert!(TcpStream::connect(site.admin).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_refused_before_it_is_a_question_is_told_as_everything_else_is() {
    let origin = posts().await;
    let site = Watched::before(&origin).await;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let long = "a".repeat(70_000);
    for (status, field, request) in [
        (405, "method", "TRACE /stats HTTP/1.1\r\nHost: site\r\n\r\n".to_owned()),
        (405, "method", "CONNECT site:80 HTTP/1.1\r\nHost: site:80\r\n\r\n".to_owned()),
        (400, "head", "GET * HTTP/1.1\r\nHost: site\r\n\r\n".to_owned()),
        (400, "head", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "head", "garbage\r\n\r\n".to_owned()),
        (400, "head", "HEAD /live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (417, "expect", format!("POST /revalidate HTTP/1.1\r\nHost: site\r\n{bearer}Expect: x\r\n\r\n")),
        (431, "head", format!("GET /live HTTP/1.1\r\nHost: site\r\nX: {long}\r\n\r\n")),
    ] {
        // What was asked before on the connection is answered first, whatever is written together.
        for before in ["", "GET /live HTTP/1.1\r\nHost: site\r\n\r\n"] {
            let mut client = Client::connect(site.admin).await;
            client.send([before, &request].concat()).await;
            if !before.is_empty() {
                assert_eq!(client.answer(false).await.text(), "{\"state\":\"live\"}\n");
            }
            let answer = client.answer(before.is_empty() && request.starts_with("HEAD")).await;
            assert_eq!(answer.status, status, "{request:.80}");
            assert_eq!(answer.field("content-type").as_deref(), Some("application/json"), "{request:.80}");
            assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"), "{request:.80}");
            assert_eq!(answer.field("allow").is_some(), status == 405);
            if !(before.is_empty() && request.starts_with("HEAD")) {
                let told = answer.text();
                assert!(told.ends_with(&format!(",\"field\":\"{field}\"}}\n")), "{request:.80}: {told}");
            }
            assert!(client.is_ended().await, "something follows {request:.80}");
        }
    }
    let hasty =
        Watched::with(&origin, |config| config.limits.header_timeout = Duration::from_millis(200)).await;
    let slow = Client::connect(hasty.admin).await.ask("GET /live HTTP/1.1\r\nHo").await;
    assert_eq!((slow.status, &*slow.text()), (408, "{\"error\":\"took too long\",\"field\":\"head\"}\n"));
    // Who shares pages is told in a line of text, as before.
    let public = Client::connect(site.public).await.ask("TRACE / HTTP/1.1\r\nHost: site\r\n\r\n").await;
    assert_eq!(public.text(), "405 Method Not Allowed\n");
}

/// What no cache hears of is counted all the same, once each.
#[tokio::test]
async fn what_the_way_in_refused_is_counted() {
    let origin = posts().await;
    let watched = Watched::with(&origin, |config| {
        config.limits.header_timeout = Duration::from_secs(1);
        config.limits.request_body_bytes = 10;
    })
    .await;
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (400, "garbage\r\n\r\n".to_owned()),
        (400, "GET ftp://site/ HTTP/1.1\r\nHost: site\r\n\r\n".to_owned()),
        (405, "TRACE / HTTP/1.1\r\nHost: site\r\n\r\n".to_owned()),
        (408, "GET / HT".to_owned()),
        (408, "PRI".to_owned()),
        (413, "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 11\r\n\r\n".to_owned()),
        (417, "GET / HTTP/1.1\r\nHost: site\r\nExpect: miracles\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: site\r\n{many}\r\n")),
    ] {
        let mut client = Client::connect(watched.public).await;
        assert_eq!(client.ask(&request).await.status, status, "{request}");
        drop(client.rest().await);
    }
    assert_eq!(watched.get("/posts/1").await.status, 200);
    let metrics = format!("GET /metrics HTTP/1.1\r\nHost: site\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let text = Client::connect(watched.admin).await.ask(metrics).await.text();
    for (status, count) in [(400, 3), (405, 1), (408, 2), (413, 1), (417, 1), (431, 1)] {
        let line = format!("edge_isr_gateway_refused_total{{status=\"{status}\"}} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert_eq!(origin.requests().len(), 1);
}
