//! Requests that are refused, byte by byte, and what they leave of others.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use common::{Gate, Origin, Reply};
use std::time::Duration;

async fn site() -> (Origin, Gate) {
    let origin = Origin::start(|_| Reply::ok("Cache-Control: max-age=60\r\n", "page")).await;
    let gate = Gate::before(origin.address).await;
    (origin, gate)
}

/// The status of each refusal, and that the connection ends with it.
#[tokio::test]
async fn d23_requests_that_could_hide_another_are_refused() {
    let (origin, gate) = site().await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
    for (status, request) in [
        (
            400,
            format!("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\n{chunked}\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            400,
            format!("POST / HTTP/1.1\r\nHost: site\r\n{chunked}Content-Length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (400, format!("GET / HTTP/1.1\r\nHost: site\r\n{chunked}\r\n0\r\n\r\n{smuggled}")),
        (400, format!("HEAD / HTTP/1.1\r\nHost: site\r\n{chunked}\r\n0\r\n\r\n{smuggled}")),
        (
            400,
            format!(
                "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n{smuggled}"
            ),
        ),
        (400, format!("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0, 44\r\n\r\n{smuggled}")),
        (400, format!("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: -1\r\n\r\n{smuggled}")),
        (
            400,
            format!(
                "POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked, identity\r\n\r\n{smuggled}"
            ),
        ),
        (400, format!("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding : chunked\r\n\r\n{smuggled}")),
        (400, format!("POST / HTTP/1.1\r\nHost: site\r\nX: a\r\n {chunked}\r\n{smuggled}")),
        (400, format!("POST / HTTP/1.0\r\nHost: site\r\n{chunked}\r\n{smuggled}")),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHOST: b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n".to_owned()),
        (400, "GET  /  HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_owned()),
        (400, "garbage\r\n\r\n".to_owned()),
        (400, "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n".to_owned()),
        (431, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(65_535))),
    ] {
        let mut client = gate.client().await;
        client.send(&request).await;
        let answer = client.answer(request.starts_with("HEAD")).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert!(client.is_ended().await, "something follows the refusal of {request:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gate.get("/").await.status, 200);
}

#[tokio::test]
async fn requests_for_no_host_or_no_path_are_refused() {
    let (origin, gate) = site().await;
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: user@site\r\n\r\n"),
        (400, "GET http://user@site/ HTTP/1.1\r\nHost: site\r\n\r\n"),
        (400, "GET ftp://site/ HTTP/1.1\r\nHost: site\r\n\r\n"),
        (400, "GET http://site/ HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET http://site/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "GET http://site/ HTTP/1.1\r\nHost: user@site\r\n\r\n"),
        (400, "GET http://site/ HTTP/1.0\r\nHost: site/path\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: site\r\n\r\n"),
        (400, "GET site HTTP/1.1\r\nHost: site\r\n\r\n"),
        (405, "CONNECT site:80 HTTP/1.1\r\nHost: site:80\r\n\r\n"),
        (405, "TRACE / HTTP/1.1\r\nHost: site\r\n\r\n"),
        (417, "POST /e HTTP/1.1\r\nHost: site\r\nExpect: miracles\r\n\r\n"),
    ] {
        let answer = gate.ask(request).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.field("allow").is_some(), status == 405);
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"), "{request:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    // HTTP/1.0 need not say a host: then it is the origin's.
    let answer = gate.ask("GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "page".to_owned()));
    assert_eq!(origin.last("/old").field("host"), Some(origin.address.to_string()));
}

#[tokio::test]
async fn hosts_of_other_sites_are_misdirected() {
    let origin = Origin::start(|_| Reply::ok("Cache-Control: max-age=60\r\n", "page")).await;
    let gate =
        Gate::with(origin.address, |config, _| config.origins = vec!["www.example.com".to_owned()]).await;
    let ask = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for host in ["example.com", "www.example.com.evil", "www.example.com:81", "127.0.0.1"] {
        let answer = gate.ask(ask("/", host)).await;
        assert_eq!(answer.status, 421, "{host}");
        assert!(!answer.is_hit());
    }
    assert_eq!(gate.ask(ask("http://example.com/", "www.example.com")).await.status, 421);
    assert_eq!(origin.requests().len(), 0);
    for host in ["www.example.com", "WWW.Example.com.", "www.example.com:80"] {
        assert_eq!(gate.ask(ask("/", host)).await.status, 200, "{host}");
    }
    // The target names the host, if it does (RFC 9112 §3.2.2).
    let answer = gate.ask(ask("http://www.example.com/absolute", "example.com")).await;
    assert_eq!(answer.status, 200);
    let asked = origin.last("/absolute");
    assert_eq!(asked.field("host").as_deref(), Some("www.example.com"));
}

#[tokio::test]
async fn heads_have_a_bound() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |config, front| {
        config.limits.head_bytes = 16 << 10;
        front.head_bytes = 16 << 10;
    })
    .await;
    let with = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: site\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(gate.ask(with(15 << 10)).await.status, 200);
    assert_eq!(gate.ask(with(17 << 10)).await.status, 431);
    assert_eq!(gate.ask(with(1 << 20)).await.status, 431);
    let endless = format!("GET / HTTP/1.1\r\nHost: site\r\nX: {}", "x".repeat(40 << 10));
    assert_eq!(gate.ask(endless).await.status, 431);
    let many: String = (0..500).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(gate.ask(format!("GET / HTTP/1.1\r\nHost: site\r\n{many}\r\n")).await.status, 431);
    assert_eq!(gate.get("/").await.status, 200);
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let origin = Origin::start(|_| Reply::ok("", "taken")).await;
    let gate = Gate::with(origin.address, |config, front| {
        config.limits.request_body_bytes = 10_000;
        front.body_bytes = 10_000;
    })
    .await;
    let stated = |bytes: usize| {
        format!("POST /s HTTP/1.1\r\nHost: site\r\nContent-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes))
    };
    let chunked = |chunks: usize| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        format!(
            "POST /c HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(chunks)
        )
    };
    assert_eq!(gate.ask(stated(10_000)).await.status, 200);
    assert_eq!(gate.ask(chunked(10)).await.status, 200);
    assert_eq!(origin.requests().len(), 2);
    // Stated: refused at once, also where nothing of the body comes. In chunks: once there is too much.
    assert_eq!(gate.ask("POST /s HTTP/1.1\r\nHost: site\r\nContent-Length: 10001\r\n\r\n").await.status, 413);
    assert_eq!(gate.ask(stated(1 << 20)).await.status, 413);
    assert_eq!(gate.ask(chunked(11)).await.status, 413);
    assert_eq!(gate.ask(chunked(1000)).await.status, 413);
    assert_eq!(origin.count("/s") + origin.count("/c"), 2, "the origin saw no end of them");
}

#[tokio::test]
async fn who_is_slow_is_told_and_who_is_silent_is_not() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let head = Duration::from_millis(300);
    let gate = Gate::with(origin.address, |_, front| front.head_timeout = head).await;
    let mut slow = gate.client().await;
    slow.send("GET / HTTP/1.1\r\nHost: ").await;
    let answer = slow.answer(false).await;
    assert_eq!((answer.status, answer.field("connection").as_deref()), (408, Some("close")));
    assert!(slow.is_ended().await);
    // The second request of a connection, too.
    let mut slow = gate.client().await;
    assert_eq!(slow.get("/").await.status, 200);
    slow.send("GET /again HT").await;
    assert_eq!(slow.answer(false).await.status, 408);
    assert!(gate.client().await.is_ended().await);
}

#[tokio::test]
async fn a_slow_head_is_timed_as_a_whole() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |_, front| front.head_timeout = Duration::from_millis(500)).await;
    let mut slow = gate.client().await;
    // A byte at a time, as long as the gateway listens.
    let drip = async {
        for byte in "GET / HTTP/1.1\r\nX: ".bytes().chain(std::iter::repeat(b'x')) {
            if tokio::io::AsyncWriteExt::write_all(&mut slow.socket, &[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    common::client::soon(drip).await;
    assert_eq!(gate.get("/").await.status, 200);
}

#[tokio::test]
async fn idle_connections_end_and_slow_uploads_are_told() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(200);
        front.idle_timeout = Duration::from_millis(400);
    })
    .await;
    let mut idle = gate.client().await;
    assert_eq!(idle.get("/").await.status, 200);
    assert!(idle.is_ended().await);
    let mut slow = gate.client().await;
    slow.send("POST /slow HTTP/1.1\r\nHost: site\r\nContent-Length: 100\r\n\r\nhalf").await;
    assert_eq!(slow.answer(false).await.status, 408);
    assert!(slow.is_ended().await);
    assert_eq!(origin.count("/slow"), 0, "it never came whole");
}

#[tokio::test]
async fn a_client_that_waits_for_a_slow_origin_is_not_idle() {
    let origin = Origin::start(|request| match request.target() {
        "/slow" => Reply::Halves(Vec::new(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
        _ => Reply::ok("", "page"),
    })
    .await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(50);
        front.idle_timeout = Duration::from_millis(100);
    })
    .await;
    let mut client = gate.client().await;
    client.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n").await;
    origin.until(|origin| origin.count("/slow") == 1).await;
    // Others come and go by the same rules meanwhile.
    let mut idle = gate.client().await;
    assert_eq!(idle.get("/").await.status, 200);
    assert!(idle.is_ended().await);
    origin.go_on();
    assert_eq!(client.answer(false).await.text(), "ok");
}

/// Empty lines are no beginning: they neither are a head nor keep the connection.
#[tokio::test]
async fn empty_lines_keep_nobody() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    for (head, idle, has_asked) in [(300, 3_600_000, false), (300, 300, true)] {
        let gate = Gate::with(origin.address, |_, front| {
            front.head_timeout = Duration::from_millis(head);
            front.idle_timeout = Duration::from_millis(idle);
        })
        .await;
        for empty in ["\r\n", "\n"] {
            let mut client = gate.client().await;
            if has_asked {
                assert_eq!(client.get("/").await.status, 200);
            }
            let (mut read, mut write) = client.socket.split();
            let drip = async {
                for byte in empty.bytes().cycle() {
                    if tokio::io::AsyncWriteExt::write_all(&mut write, &[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let end = async { tokio::io::AsyncReadExt::read(&mut read, &mut [0; 100]).await.unwrap_or(0) };
            tokio::select! {
                () = common::client::soon(drip) => {}
                read = common::client::soon(end) => assert_eq!(read, 0, "nothing is said of {empty:?}"),
            }
        }
        // One before a request is passed over (RFC 9112 §2.2).
        assert_eq!(gate.ask("\r\nGET / HTTP/1.1\r\nHost: site\r\n\r\n").await.status, 200);
    }
}
