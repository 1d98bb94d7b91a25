//! Connections of clients: many requests on one, HTTP/2, and how they end.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::client::soon;
use common::{Client, Gate, Origin, Reply};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

const CACHED: &str = "Cache-Control: max-age=60\r\n";

const LARGE: usize = 3 << 20;

async fn site() -> (Origin, Gate) {
    let origin = Origin::start(|request| match request.target() {
        "/slow" => Reply::Halves(Vec::new(), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec()),
        "/hang" => Reply::Hang(Vec::new()),
        "/large" => Reply::ok(CACHED, vec![b'x'; LARGE]),
        target => Reply::ok(CACHED, target),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    (origin, gate)
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let (_origin, gate) = site().await;
    let mut client = gate.client().await;
    for n in 0..100 {
        let target = format!("/{}", n % 7);
        let answer = client.get(&target).await;
        assert_eq!((answer.text(), answer.is_hit()), (target, n >= 7));
        assert_eq!(answer.field("connection"), None);
    }
    let last = client.ask("GET /0 HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n").await;
    assert_eq!((last.text(), last.field("connection").as_deref()), ("/0".to_owned(), Some("close")));
    assert!(client.is_ended().await);
    let old = gate.ask("GET /0 HTTP/1.0\r\nHost: site\r\n\r\n").await;
    assert_eq!(old.text(), "/0");
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let (origin, gate) = site().await;
    let mut client = gate.client().await;
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n");
    let targets = ["/a", "/slow", "/a", "/b", "/slow", "/a"];
    client.send(targets.map(request).concat()).await;
    for target in targets {
        if target == "/slow" {
            origin.go_on();
        }
        assert_eq!(
            client.answer(false).await.text(),
            target.trim_start_matches("/slow").to_owned() + if target == "/slow" { "slow" } else { "" }
        );
    }
    // With bodies between them, and one byte at a time.
    let post = "POST /p HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\n\r\nGET GET /a HTTP/1.1\r\nHost: site\r\n\r\n";
    client.send(post.repeat(5)).await;
    for byte in post.bytes() {
        client.send([byte]).await;
    }
    for _ in 0..6 {
        assert_eq!(client.answer(false).await.text(), "/p");
        assert_eq!(client.answer(false).await.text(), "/a");
    }
}

#[tokio::test]
async fn d23_a_body_beside_a_get_is_no_request() {
    let (origin, gate) = site().await;
    assert_eq!(gate.get("/page").await.text(), "/page");
    let mut client = gate.client().await;
    let inner = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
    let head = format!("GET /page HTTP/1.1\r\nHost: site\r\nContent-Length: {}\r\n\r\n", inner.len());
    let after = "GET /after HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n";
    client.send([&head, inner, after].concat()).await;
    assert_eq!(client.answer(false).await.text(), "/page");
    assert_eq!(client.answer(false).await.text(), "/after");
    assert!(client.is_ended().await);
    assert_eq!(origin.count("/smuggled"), 0);
}

async fn http2(gate: &Gate) -> SendRequest<Full<Bytes>> {
    let socket = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(async { _ = connection.await });
    sender
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
    body: &'static str,
) -> (u16, String) {
    let request = request.body(Full::from(body)).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    let status = answer.status().as_u16();
    (status, String::from_utf8(soon(answer.collect()).await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn http2_shares_the_pages_of_http1() {
    let (origin, gate) = site().await;
    assert_eq!(gate.get("/page?a").await.text(), "/page?a");
    let mut sender = http2(&gate).await;
    let get = |target: &str| http::Request::get(format!("http://site{target}"));
    assert_eq!(ask(&mut sender, get("/page?a"), "").await, (200, "/page?a".to_owned()));
    assert_eq!(origin.count("/page?a"), 1, "one host, one page");
    assert_eq!(ask(&mut sender, get("/new"), "").await.1, "/new");
    assert!(gate.get("/new").await.is_hit());
    let asked = origin.last("/new");
    assert_eq!(asked.field("host").as_deref(), Some("site"));
    assert_eq!(ask(&mut sender, http::Request::post("http://site/form"), "a=b").await.0, 200);
    let asked = origin.last("/form");
    assert_eq!((&*asked.body, asked.field("via").as_deref()), (&b"a=b"[..], Some("2.0 edge-isr")));
    // Many at once, on one connection.
    let mut all = Vec::new();
    for n in 0..50 {
        let mut sender = sender.clone();
        all.push(tokio::spawn(async move {
            ask(&mut sender, http::Request::get(format!("http://site/{n}")), "").await
        }));
    }
    for (n, answer) in all.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap(), (200, format!("/{n}")));
    }
    for bad in
        [get("/").header("host", "other"), http::Request::builder().method("TRACE").uri("http://site/")]
    {
        assert!(matches!(ask(&mut sender, bad, "").await.0, 400 | 405));
    }
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_finish_and_nobody_else_in() {
    let (origin, mut gate) = site().await;
    let (mut busy, mut idle, mut half) = (gate.client().await, gate.client().await, gate.client().await);
    let mut multiplexed = http2(&gate).await;
    assert_eq!(idle.get("/").await.status, 200);
    assert_eq!(ask(&mut multiplexed, http::Request::get("http://site/"), "").await.0, 200);
    half.send("GET /half HTTP/1.1\r\nHost").await;
    busy.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n").await;
    origin.until(|origin| origin.count("/slow") == 1).await;
    gate.stop();
    assert!(idle.is_ended().await, "who asks nothing is let go");
    soon(async {
        while tokio::net::TcpStream::connect(gate.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    half.send(": site\r\n\r\n").await;
    let answer = half.answer(false).await;
    assert_eq!((answer.text(), answer.field("connection").as_deref()), ("/half".to_owned(), Some("close")));
    origin.go_on();
    assert_eq!(busy.answer(false).await.text(), "slow");
    assert!(busy.is_ended().await);
    soon(gate.stopped()).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let origin = Origin::start(|_| Reply::Hang(Vec::new())).await;
    let gate = Gate::with(origin.address, |_, front| front.drain = Duration::from_millis(100)).await;
    let mut stuck = gate.client().await;
    stuck.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    origin.until(|origin| origin.count("/") == 1).await;
    soon(gate.stopped()).await;
    assert!(stuck.is_ended().await);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let body = vec![b'x'; 64 << 20];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = [head.into_bytes(), body].concat();
    let origin = Origin::start(move |_| Reply::Keep(answer.clone())).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(100);
        front.idle_timeout = Duration::from_millis(200);
    })
    .await;
    let mut lazy = gate.client().await;
    lazy.send("POST /big HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(lazy.head().await.status, 200);
    // It reads nothing more: the gateway leaves it, and the origin with it.
    origin.until(|origin| origin.left() == 1).await;
    drop(lazy);
}

/// A stop reaches a connection of HTTP/2 whatever was asked on it before.
#[tokio::test]
async fn a_stop_reaches_http2_after_a_miss() {
    let (origin, gate) = site().await;
    gate.stopped().await;
    // The end of all patience is not what ends it.
    let mut gate = Gate::with(origin.address, |_, front| front.drain = Duration::from_secs(3600)).await;
    let socket = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    let ended = tokio::spawn(connection);
    // One whose origin has to be waited for.
    let slow = tokio::spawn({
        let mut sender = sender.clone();
        async move { ask(&mut sender, http::Request::get("http://site/slow"), "").await }
    });
    origin.until(|origin| origin.count("/slow") == 1).await;
    origin.go_on();
    assert_eq!(slow.await.unwrap(), (200, "slow".to_owned()));
    assert_eq!(ask(&mut sender, http::Request::get("http://site/"), "").await.0, 200);
    gate.stop();
    // The client would stay.
    soon(ended).await.unwrap().unwrap();
    drop(sender);
    soon(gate.stopped()).await;
}

/// Who asks for much over HTTP/2 and reads nothing of it is let go, as over HTTP/1.
#[tokio::test]
async fn http2_clients_that_read_nothing_are_let_go() {
    let origin = Origin::start(|_| Reply::ok("Cache-Control: no-store\r\n", vec![b'x'; 4 << 20])).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(200);
        front.idle_timeout = Duration::from_millis(200);
    })
    .await;
    let socket = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = http::Request::get("http://site/").body(Full::<Bytes>::default()).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let _ = soon(ended).await.unwrap();
    drop(answer);
}

/// A client of HTTP/2 has as long for its first words as one of HTTP/1.
#[tokio::test]
async fn half_a_beginning_is_timed_out() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |_, front| front.head_timeout = Duration::from_millis(200)).await;
    for half in ["P", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut client = gate.client().await;
        client.send(half).await;
        assert_eq!(client.answer(false).await.status, 408, "{half:?}");
        assert!(client.is_ended().await);
    }
    assert_eq!(origin.requests().len(), 0);
}

/// An origin and a gateway in front of it with a tunnel through both.
async fn tunnel(idle: Duration) -> (Origin, Gate, Client) {
    let origin = Origin::start(|_| {
        Reply::Echo("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into())
    })
    .await;
    let gate = Gate::with(origin.address, |_, front| {
        front.tunnel_timeout = idle;
        front.drain = Duration::from_secs(3600);
    })
    .await;
    let mut client = gate.client().await;
    client.send("GET / HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(client.head().await.status, 101);
    client.send("hello").await;
    assert_eq!(client.bytes(5).await, b"hello");
    (origin, gate, client)
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_ends_on_both_sides() {
    let (origin, _gate, mut client) = tunnel(Duration::from_millis(200)).await;
    assert!(client.is_ended().await);
    origin.until(|origin| origin.left() == 1).await;
}

#[tokio::test]
async fn a_stop_ends_tunnels_and_does_not_wait_for_them_for_ever() {
    let (origin, mut gate, mut client) = tunnel(Duration::from_secs(3600)).await;
    gate.stop();
    assert!(client.is_ended().await);
    origin.until(|origin| origin.left() == 1).await;
    soon(gate.stopped()).await;
}

/// What a client says right after it asked for a tunnel is for the tunnel, whatever it looks like.
#[tokio::test]
async fn what_follows_an_upgrade_reaches_the_tunnel_as_it_is() {
    let origin = Origin::start(|_| {
        Reply::LateEcho(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into(),
        )
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    for (n, said) in
        ["\r\n\r\nhello", "a\n\n", "POST / HTTP/1.1\r\n\r\n", "\0\x01\r\n\r\n"].into_iter().enumerate()
    {
        for is_at_once in [true, false] {
            let mut client = gate.client().await;
            let before = origin.count("/");
            if is_at_once {
                client.send([upgrade, said].concat()).await;
                origin.until(|origin| origin.count("/") > before).await;
            } else {
                client.send(upgrade).await;
                origin.until(|origin| origin.count("/") > before).await;
                client.send(said).await;
            }
            // So that it was there before the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
            origin.go_on();
            assert_eq!(client.head().await.status, 101, "{n} {is_at_once}");
            assert_eq!(client.bytes(said.len()).await, said.as_bytes(), "{n} {is_at_once}");
            client.send("more").await;
            assert_eq!(client.bytes(4).await, b"more");
        }
    }
}

/// Where there is no tunnel, what follows is the next request, and judged as one.
#[tokio::test]
async fn d23_what_follows_a_refused_upgrade_is_a_request() {
    let (origin, gate) = site().await;
    let mut client = gate.client().await;
    let upgrade = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    };
    let plain = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n");
    let post = "POST /p HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nbody";
    let all = [plain("/slow"), upgrade("/a"), upgrade("/slow"), post.to_owned(), plain("/b"), upgrade("/a")];
    client.send([all.concat(), "GET /c HTTP/1.1\r\n\r\n".to_owned()].concat()).await;
    for text in ["slow", "/a", "slow", "/p", "/b", "/a"] {
        if text == "slow" {
            origin.go_on();
        }
        assert_eq!(client.answer(false).await.text(), text);
    }
    assert_eq!(client.answer(false).await.status, 400);
    assert!(client.is_ended().await);
    assert_eq!(origin.count("/c"), 0);
    // Who asked and left is seen to have left.
    let mut client = gate.client().await;
    client.send(upgrade("/hang")).await;
    origin.until(|origin| origin.count("/hang") == 1).await;
    drop(client);
    origin.until(|origin| origin.left() == 1).await;
}

/// Who ends its side with its last request still gets what is stored; for the rest it has left.
#[tokio::test]
async fn who_says_nothing_more_gets_what_is_stored() {
    let (origin, gate) = site().await;
    assert_eq!(gate.get("/page").await.text(), "/page");
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n");
    for requests in [1, 3] {
        let mut client = gate.client().await;
        client.send(request("/page").repeat(requests)).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
        for _ in 0..requests {
            assert!(client.answer(false).await.is_hit());
        }
        assert!(client.is_ended().await);
    }
    // Also what is stored in parts, and more than goes out at once.
    assert_eq!(gate.get("/large").await.body.len(), LARGE);
    for requests in [1, 2] {
        let mut client = gate.client().await;
        client.send(request("/large").repeat(requests)).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
        for _ in 0..requests {
            let answer = client.answer(false).await;
            assert!(answer.is_hit() && answer.body.len() == LARGE);
        }
        assert!(client.is_ended().await);
    }
    let mut client = gate.client().await;
    client.send(request("/hang").replace("GET", "OPTIONS")).await;
    origin.until(|origin| origin.count("/hang") == 1).await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
    origin.until(|origin| origin.left() == 1).await;
    assert!(client.is_ended().await);
}
