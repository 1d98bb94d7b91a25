//! Bodies of requests that an origin does not read as such, or does not get; answers that break off.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::client::soon;
use common::{Gate, Origin, Reply};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

const CACHED: &str = "Cache-Control: max-age=60\r\n";
/// Without its end it takes in the next request, with it its answer is taken for the next one's.
const EVIL: [&str; 2] =
    ["GET /evil HTTP/1.1\r\nHost: site\r\nX: ", "GET /evil HTTP/1.1\r\nHost: site\r\n\r\n"];

/// An origin that reads no bodies, and is slow with what it takes for a request then.
async fn deaf() -> Origin {
    Origin::deaf(|request| match request.target() {
        "/evil" => Reply::Halves(
            Vec::new(),
            format!("HTTP/1.1 200 OK\r\n{CACHED}Content-Length: 4\r\n\r\nevil").into(),
        ),
        target if request.head.starts_with("HEAD ") => {
            Reply::Keep(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len()).into())
        }
        "/elsewhere" => Reply::keep(
            "HTTP/1.1 301 Moved Permanently\r\nLocation: /elsewhere/\r\nContent-Length: 0\r\n\r\n",
        ),
        "/refused" => Reply::keep("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"),
        target => Reply::ok(CACHED, target),
    })
    .await
}

/// Others ask, and are answered.
async fn others_are_unaffected(origin: &Origin, gate: &Gate, case: &str) {
    for n in 0..5 {
        let target = format!("/{n}?{case}");
        let mut client = gate.client().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n")).await;
        origin.go_on();
        assert_eq!(client.answer(false).await.text(), target);
        assert_eq!(gate.get(&target).await.text(), target);
    }
}

#[tokio::test]
async fn d23_a_body_that_the_origin_ignores_is_nobodys_request() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PURGE"] {
        for (nth, evil) in EVIL.into_iter().enumerate() {
            let origin = deaf().await;
            let gate = Gate::before(origin.address).await;
            // So that there is a connection to be used again.
            assert_eq!(gate.get("/before").await.text(), "/before");
            let head =
                format!("{method} /a HTTP/1.1\r\nHost: site\r\nContent-Length: {}\r\n\r\n", evil.len());
            let answer = gate.ask([&head, evil].concat()).await;
            assert_eq!(answer.status, 200, "{method} {nth}");
            assert_eq!(origin.last("/a").field("connection").as_deref(), Some("close"));
            others_are_unaffected(&origin, &gate, &format!("{method}-{nth}")).await;
        }
    }
}

#[tokio::test]
async fn d23_a_body_that_the_origin_ignores_is_nobodys_request_over_http2() {
    for method in ["GET", "OPTIONS", "PURGE"] {
        for (nth, evil) in EVIL.into_iter().enumerate() {
            let origin = deaf().await;
            let gate = Gate::before(origin.address).await;
            assert_eq!(gate.get("/before").await.text(), "/before");
            let socket = tokio::net::TcpStream::connect(gate.address).await.unwrap();
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
            tokio::spawn(async { _ = connection.await });
            let request = http::Request::builder().method(method).uri("http://site/a");
            let request = request.body(Full::<Bytes>::from(evil)).unwrap();
            let answer = soon(sender.send_request(request)).await.unwrap();
            assert_eq!(answer.status(), 200, "{method} {nth}");
            soon(answer.collect()).await.unwrap();
            others_are_unaffected(&origin, &gate, &format!("{method}-{nth}")).await;
        }
    }
}

#[tokio::test]
async fn d23_a_body_for_what_takes_none_is_nobodys_request() {
    for (method, target, status) in [("POST", "/elsewhere", 301), ("PUT", "/refused", 405)] {
        for (nth, evil) in EVIL.into_iter().enumerate() {
            let origin = deaf().await;
            let gate = Gate::before(origin.address).await;
            let head =
                format!("{method} {target} HTTP/1.1\r\nHost: site\r\nContent-Length: {}\r\n\r\n", evil.len());
            assert_eq!(gate.ask([&head, evil].concat()).await.status, status, "{method} {nth}");
            others_are_unaffected(&origin, &gate, &format!("{method}-{nth}")).await;
        }
    }
}

/// What programs say of a form that they have read costs no connection.
#[tokio::test]
async fn connections_are_used_again_after_answers_to_forms() {
    for status in [200, 302, 303, 401, 403, 409, 422] {
        let origin = Origin::start(move |_| {
            Reply::keep(&format!("HTTP/1.1 {status} X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
        })
        .await;
        let gate = Gate::before(origin.address).await;
        let mut client = gate.client().await;
        // Now and then the next request comes before the gateway has put the connection back.
        soon(async {
            while origin.requests().iter().all(|request| request.number == 0) {
                let form = "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 3\r\n\r\na=b";
                assert_eq!(client.ask(form).await.status, status);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn d23_what_follows_an_early_answer_is_nobodys_request() {
    for evil in EVIL {
        let origin = deaf().await;
        let gate = Gate::before(origin.address).await;
        let mut client = gate.client().await;
        client
            .send(format!("POST /a HTTP/1.1\r\nHost: site\r\nContent-Length: {}\r\n\r\n", evil.len()))
            .await;
        assert_eq!(client.answer(false).await.text(), "/a");
        client.send(evil).await;
        for round in 0..5 {
            others_are_unaffected(&origin, &gate, &format!("{round}")).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_stalls_is_told_so_and_the_origin_is_not_blamed() {
    let origin = Origin::start(|_| Reply::Hang(Vec::new())).await;
    let gate = Gate::with(origin.address, |config, front| {
        config.limits.origin_timeout = Duration::from_millis(100);
        (front.head_timeout, front.idle_timeout) = (Duration::from_millis(300), Duration::from_millis(300));
    })
    .await;
    for method in ["POST", "DELETE"] {
        let mut client = gate.client().await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: site\r\nContent-Length: 9\r\n\r\nhalf")).await;
        assert_eq!(client.answer(false).await.status, 408, "{method}");
    }
    // Slowly, but it comes: then it is the origin's turn.
    let mut client = gate.client().await;
    client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\n\r\n").await;
    for byte in *b"slow" {
        tokio::time::sleep(Duration::from_millis(60)).await;
        client.send([byte]).await;
    }
    assert_eq!(client.answer(false).await.status, 504);
    assert_eq!(origin.count("/"), 1, "the others were never whole");
}

#[tokio::test]
async fn h18_an_answer_that_breaks_off_at_once_is_answered_for() {
    let breaks = |request: &common::origin::Request| {
        let rest = match request.target() {
            "/short" => "Content-Length: 10\r\n\r\nabc",
            "/none" => "Content-Length: 10\r\n\r\n",
            "/chunk" => "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            _ => "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        };
        Reply::Close(format!("HTTP/1.1 200 OK\r\n{CACHED}{rest}").into())
    };
    let origin = Origin::start(breaks).await;
    let gate = Gate::before(origin.address).await;
    for target in ["/short", "/none", "/chunk", "/chunks"] {
        for times in 1..=2 {
            let answer = gate.get(target).await;
            assert_eq!(answer.status, 502, "{target}");
            let told = answer.field("proxy-status");
            assert_eq!(told.as_deref(), Some("edge-isr; error=http_response_incomplete"));
            let told = answer.field("cache-status").unwrap();
            assert!(told.contains("fwd-status=200") && told.contains("detail=truncated"), "{told}");
            assert_eq!(origin.count(target), times, "{target} is asked for anew");
        }
    }
}

#[tokio::test]
async fn h06_the_stale_page_stands_in_for_an_answer_that_breaks_off() {
    let origin = Origin::start(|request| match request.field("x-break") {
        None => Reply::ok("Cache-Control: max-age=0, stale-if-error=60\r\n", "whole"),
        Some(_) => Reply::Close(format!("HTTP/1.1 200 OK\r\n{CACHED}Content-Length: 10\r\n\r\nabc").into()),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    assert_eq!(gate.get("/").await.text(), "whole");
    let answer = gate.ask("GET / HTTP/1.1\r\nHost: site\r\nX-Break: 1\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "whole".to_owned()));
}

#[tokio::test]
async fn h18_what_is_no_status_is_answered_for_and_never_stored() {
    let origin = Origin::start(|request| {
        let status = request.target().trim_start_matches('/');
        Reply::keep(&format!("HTTP/1.1 {status} X\r\n{CACHED}Content-Length: 4\r\n\r\npage"))
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for target in ["/600", "/999"] {
        for times in 1..=2 {
            assert_eq!(gate.get(target).await.status, 502, "{target}");
            assert_eq!(origin.count(target), times, "{target}");
        }
    }
    assert_eq!(gate.get("/599").await.status, 599);
}

#[tokio::test]
async fn an_origin_switches_to_what_was_offered_and_to_nothing_else() {
    let origin = Origin::start(|request| {
        let switches = |to: &str| {
            Reply::Echo(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n{to}\r\n").into())
        };
        match request.target() {
            "/offered" => switches("Upgrade: B\r\n"),
            "/other" => switches("Upgrade: c\r\n"),
            "/more" => switches("Upgrade: a, c\r\n"),
            _ => switches(""),
        }
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for (target, status) in [("/offered", 101), ("/other", 502), ("/more", 502), ("/none", 502)] {
        let mut client = gate.client().await;
        client
            .send(format!(
                "GET {target} HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n"
            ))
            .await;
        let answer = client.head().await;
        assert_eq!(answer.status, status, "{target}");
        if status == 101 {
            assert_eq!(answer.field("upgrade").as_deref(), Some("B"));
        }
    }
}

#[tokio::test]
async fn b07_a_host_that_is_none_ends_the_connection() {
    let origin = deaf().await;
    let gate = Gate::before(origin.address).await;
    for method in ["GET", "POST"] {
        let mut client = gate.client().await;
        let answer =
            client.ask(format!("{method} / HTTP/1.1\r\nHost: u@site\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!((answer.status, answer.field("connection").as_deref()), (400, Some("close")), "{method}");
        assert!(client.is_ended().await);
    }
    assert!(origin.requests().is_empty());
}
