//! What the origin gets, what the client gets of its answers, and what happens when either breaks off.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::time::Duration;

use common::client::soon;
use common::origin::Request;
use common::{Answer, Client, Gate, Origin, Reply};

const CACHED: &str = "Cache-Control: max-age=60\r\n";

#[tokio::test]
async fn h12_fields_of_one_connection_stay_on_it_both_ways() {
    let origin = Origin::start(|_| {
        let answer = "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                      Proxy-Connection: a\r\nX-End: a\r\nX-End:  b \r\nCache-Control: max-age=60\r\n\
                      Transfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n";
        Reply::keep(answer)
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let request = |method: &str| {
        format!(
            "{method} /a?b=c HTTP/1.1\r\nHost: site\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nTE: trailers\r\n\
             Keep-Alive: 5\r\nProxy-Connection: b\r\nProxy-Authorization: c\r\nAccept: x\r\nAccept: y\r\n\r\n"
        )
    };
    for (method, hit) in [("OPTIONS", false), ("GET", false), ("GET", true)] {
        let answer = gate.ask(request(method)).await;
        assert_eq!(
            (answer.status, answer.text(), answer.is_hit()),
            (200, "page".to_owned(), hit),
            "{method}"
        );
        for gone in ["x-hop", "keep-alive", "proxy-connection"] {
            assert_eq!(answer.field(gone), None, "{method} {gone}");
        }
        assert_eq!(answer.field("x-end").as_deref(), Some("a, b"));
        assert_eq!(answer.field("via").as_deref(), Some("1.1 edge-isr"), "{method}");
    }
    for request in origin.requests() {
        for gone in ["connection", "x-mine", "te", "keep-alive", "proxy-connection", "proxy-authorization"] {
            assert_eq!(request.field(gone), None, "{gone}");
        }
        assert!(
            request.head.starts_with("OPTIONS /a?b=c HTTP/1.1")
                || request.head.starts_with("GET /a?b=c HTTP/1.1")
        );
        assert_eq!(request.field("accept").as_deref(), Some("x, y"));
        assert_eq!(request.field("host").as_deref(), Some("site"));
        assert_eq!(request.field("via").as_deref(), Some("1.1 edge-isr"));
    }
}

#[tokio::test]
async fn d01_the_gateway_says_who_asked_and_clients_do_not() {
    let origin = Origin::start(|_| Reply::ok("", "")).await;
    let gate = Gate::before(origin.address).await;
    for method in ["GET", "POST"] {
        let request = format!(
            "{method} /w HTTP/1.1\r\nHost: site:81\r\nForwarded: for=evil\r\nX-Forwarded-For: evil\r\n\
             X-Forwarded-Host: evil\r\nX-Forwarded-Proto: evil\r\nX-Forwarded-Prefix: evil\r\nX-Real-IP: evil\r\n\
             X-Original-URL: evil\r\nX-HTTP-Method-Override: evil\r\nVia: 1.0 other\r\nContent-Length: 0\r\n\r\n"
        );
        gate.ask(request).await;
        let request = origin.last("/w");
        assert!(request.head.starts_with(method) && !request.head.contains("evil"), "{}", request.head);
        assert_eq!(request.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        assert_eq!(request.field("x-forwarded-host").as_deref(), Some("site:81"));
        assert_eq!(request.field("x-forwarded-proto").as_deref(), Some("http"));
        let forwarded = "for=127.0.0.1;host=\"site:81\";proto=http";
        assert_eq!(request.field("forwarded").as_deref(), Some(forwarded));
        assert_eq!(request.field("via").as_deref(), Some("1.0 other, 1.1 edge-isr"));
    }
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    const HALF: usize = 3 << 20;
    let origin = Origin::start(|request| match request.target() {
        "/down" => {
            let head =
                format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n", 2 * HALF);
            Reply::Halves([head.into_bytes(), vec![b'a'; HALF]].concat(), vec![b'b'; HALF])
        }
        _ => Reply::ok("", request.body.len().to_string()),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let mut client = gate.client().await;
    client.send("POST /down HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.bytes(HALF).await, vec![b'a'; HALF], "the first half, before there is a second");
    origin.go_on();
    assert_eq!(client.bytes(HALF).await, vec![b'b'; HALF]);
    // Up: more than fits into the buffers of all sockets together.
    let body = vec![b'x'; 16 << 20];
    client.send(format!("PUT /up HTTP/1.1\r\nHost: site\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert_eq!(client.answer(false).await.text(), body.len().to_string());
    client.send("PUT /up HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("5\r\nhello\r\n").await;
    client.send("1;ext=1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status, 200);
    assert!(!String::from_utf8(origin.last("/up").body).unwrap().contains("Trailer"));
}

#[tokio::test]
async fn who_expects_100_gets_it_once_somebody_reads() {
    let origin = Origin::start(|request| Reply::ok("", &request.body)).await;
    let gate = Gate::before(origin.address).await;
    let mut client = gate.client().await;
    let head = "POST /e HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await;
    assert_eq!(client.head().await.status, 100);
    client.send("hello").await;
    assert_eq!(client.answer(false).await.text(), "hello");
    assert_eq!(origin.last("/e").field("expect"), None);
    // Nobody reads what is too large: no 100 before the refusal.
    let gate = Gate::with(origin.address, |config, front| {
        config.limits.request_body_bytes = 4;
        front.body_bytes = 4;
    })
    .await;
    assert_eq!(gate.ask(head).await.status, 413);
}

#[tokio::test]
async fn h18_a_dead_origin_is_answered_for() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gate = Gate::before(nobody).await;
    let mut client = gate.client().await;
    for request in ["GET / HTTP/1.1\r\nHost: site\r\n\r\n", "DELETE / HTTP/1.1\r\nHost: site\r\n\r\n"] {
        let answer = client.ask(request).await;
        assert_eq!(answer.status, 502);
        assert!(answer.field("cache-status").is_some_and(|status| status.contains("fwd=")), "{answer:?}");
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
        assert_eq!(answer.field("proxy-status").as_deref(), Some("edge-isr; error=connection_refused"));
        assert!(answer.field("age").is_none());
    }
}

#[tokio::test]
async fn h18_an_origin_that_says_nothing_is_timed_out() {
    let origin = Origin::start(|request| match request.target() {
        "/half" => Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let gate =
        Gate::with(origin.address, |config, _| config.limits.origin_timeout = Duration::from_millis(200))
            .await;
    let mut client = gate.client().await;
    for method in ["GET", "POST"] {
        let answer =
            client.ask(format!("{method} / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(answer.status, 504, "{method}");
        assert!(answer.field("cache-status").is_some_and(|status| !status.contains("stored")));
    }
    assert_eq!(origin.count("/"), 2, "neither is sent again");
    // What stops in the middle is cut off: nobody takes it for whole.
    let mut client = gate.client().await;
    client.send("POST /half HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.rest().await, b"half");
}

#[tokio::test]
async fn h18_origins_that_do_not_speak_http_are_answered_for() {
    let answers: [&[u8]; 6] = [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let origin = Origin::start(move |_| Reply::Close(answer.to_vec())).await;
        let gate = Gate::before(origin.address).await;
        for method in ["GET", "POST"] {
            let request = format!("{method} /{n} HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(gate.ask(request).await.status, 502, "{method} {:?}", String::from_utf8_lossy(answer));
        }
        assert_eq!(origin.requests().len(), 2, "a new connection is not tried twice");
    }
}

#[tokio::test]
async fn h18_a_short_body_is_cut_off_and_never_stored() {
    // So much that its head is on its way before it breaks off.
    const HALF: usize = 1 << 20;
    let origin = Origin::start(|request| {
        let (rest, half) = match request.target() {
            "/length" => (format!("Content-Length: {}\r\n\r\n", 2 * HALF), vec![b'a'; HALF]),
            _ => {
                let chunk =
                    [format!("{HALF:x}\r\n").into_bytes(), vec![b'a'; HALF], b"\r\n".to_vec()].concat();
                ("Transfer-Encoding: chunked\r\n\r\n".to_owned(), chunk)
            }
        };
        Reply::Close([format!("HTTP/1.1 200 OK\r\n{CACHED}{rest}").into_bytes(), half].concat())
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for target in ["/length", "/chunks"] {
        for times in 1..=2 {
            let mut client = gate.client().await;
            client.send(format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n")).await;
            assert_eq!(client.head().await.status, 200);
            let rest = client.rest().await;
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{target} looks whole");
            assert_eq!(origin.count(target), times, "{target} is asked for anew");
        }
    }
}

#[tokio::test]
async fn h18_a_connection_with_too_much_body_is_not_used_again() {
    let origin = Origin::start(|request| match request.target() {
        "/much" => {
            Reply::keep("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npageHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        }
        _ => Reply::ok("", "good"),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let mut client = gate.client().await;
    for _ in 0..10 {
        assert_eq!(
            client.ask("POST /much HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await.text(),
            "page"
        );
        assert_eq!(
            client.ask("POST /next HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await.text(),
            "good"
        );
    }
    let requests = origin.requests();
    for much in requests.iter().filter(|request| request.target() == "/much") {
        let is_after = |other: &&Request| other.connection == much.connection && other.number > much.number;
        assert_eq!(requests.iter().filter(is_after).count(), 0);
    }
}

#[tokio::test]
async fn connections_to_the_origin_are_used_again() {
    let origin = Origin::start(|request| match request.target() {
        "/chunked" => {
            Reply::keep("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n")
        }
        "/none" => Reply::keep("HTTP/1.1 204 No Content\r\n\r\n"),
        _ if request.head.starts_with("HEAD ") => Reply::keep("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
        _ => Reply::ok("", "page"),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let mut client = gate.client().await;
    for n in 0..20 {
        for request in ["GET /", "HEAD /", "POST /", "GET /chunked", "DELETE /none"] {
            let request = format!("{request} HTTP/1.1\r\nHost: site\r\nX: {n}\r\nContent-Length: 0\r\n\r\n");
            assert!(client.ask(request).await.status < 300);
        }
    }
    // Now and then the next request comes before the gateway has put the connection back.
    assert!(origin.connections() < 20, "{} connections for 100 requests", origin.connections());
}

/// An origin that closes its connections after the first answer, when the next request comes.
async fn forgetful(second: &'static str) -> Origin {
    Origin::start(move |request| match request.number {
        0 => Reply::ok("Cache-Control: no-store\r\n", "first"),
        _ => Reply::Close(second.into()),
    })
    .await
}

/// Asks until a request goes out on a connection that had carried one before. What it was answered, and on which
/// connections it was sent as which request.
async fn on_a_used_connection(origin: &Origin, gate: &Gate, method: &str) -> (Answer, Vec<(usize, usize)>) {
    soon(async {
        for n in 0.. {
            let target = format!("/{n}");
            let request = format!("{method} {target} HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n");
            let answer = gate.ask(request).await;
            let sent = origin.requests().into_iter().filter(|request| request.target() == target);
            let sent: Vec<_> = sent.map(|request| (request.connection, request.number)).collect();
            if sent[0].1 > 0 {
                return (answer, sent);
            }
        }
        unreachable!("numbers have no end")
    })
    .await
}

#[tokio::test]
async fn rule18_what_may_be_repeated_is_sent_again_where_nothing_was_answered() {
    let origin = forgetful("").await;
    let gate = Gate::before(origin.address).await;
    let (answer, sent) = on_a_used_connection(&origin, &gate, "GET").await;
    assert_eq!((answer.status, answer.text()), (200, "first".to_owned()));
    assert_eq!(sent, [(sent[0].0, 1), (sent[0].0 + 1, 0)], "once on the old connection, once on a new one");
    let origin = forgetful("").await;
    let gate = Gate::before(origin.address).await;
    let (answer, sent) = on_a_used_connection(&origin, &gate, "POST").await;
    assert_eq!((answer.status, sent.len()), (502, 1), "what may do something twice is sent once");
}

#[tokio::test]
async fn rule18_nothing_is_sent_again_once_a_byte_of_an_answer_came() {
    let origin = forgetful("H").await;
    let gate = Gate::before(origin.address).await;
    let (answer, sent) = on_a_used_connection(&origin, &gate, "GET").await;
    assert_eq!((answer.status, sent.len()), (502, 1));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let origin = Origin::start(|request| match request.target() {
        "/endless" => Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin".to_vec()),
        "/" => Reply::ok("", "page"),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let mut waiting = gate.client().await;
    waiting.send("OPTIONS /silent HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    origin.until(|origin| origin.count("/silent") == 1).await;
    drop(waiting);
    origin.until(|origin| origin.left() == 1).await;
    let mut reading = gate.client().await;
    reading.send("OPTIONS /endless HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(reading.head().await.status, 200);
    drop(reading);
    origin.until(|origin| origin.left() == 2).await;
    let mut sending = gate.client().await;
    sending.send("OPTIONS /upload HTTP/1.1\r\nHost: site\r\nContent-Length: 100\r\n\r\nhalf").await;
    let connections = origin.connections();
    soon(async {
        while origin.connections() == connections {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(sending);
    origin.until(|origin| origin.left() == 3).await;
    assert_eq!(gate.get("/").await.text(), "page");
}

#[tokio::test]
async fn h14_interim_answers_reach_the_client_and_no_page() {
    let origin = Origin::start(|request| {
        if request.target() == "/other" {
            return Reply::ok("", "other");
        }
        let hints =
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\nX: y\r\n\r\n";
        let processing = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let answer = format!("HTTP/1.1 200 OK\r\n{CACHED}Content-Length: 4\r\n\r\npage");
        Reply::Halves([hints, processing].concat().into(), answer.into())
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for request in
        ["GET / HTTP/1.1\r\nHost: site\r\n\r\n", "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n"]
    {
        let mut client = gate.client().await;
        client.send(request).await;
        let early = client.head().await;
        assert_eq!((early.status, early.field("link").as_deref()), (103, Some("</a.css>; rel=preload")));
        assert_eq!((early.field("connection"), early.field("x")), (None, None));
        assert_eq!(client.head().await.status, 102);
        origin.go_on();
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.text(), answer.field("link")), (200, "page".to_owned(), None));
        let other = client.get("/other").await;
        assert_eq!(other.text(), "other", "the connection goes on after {request:?}: {other:?}");
    }
}

#[tokio::test]
async fn h14_clients_of_http_1_0_know_no_interim_answers() {
    let origin = Origin::start(|_| {
        Reply::keep(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
        )
    })
    .await;
    let gate = Gate::before(origin.address).await;
    assert_eq!(gate.ask("POST / HTTP/1.0\r\nHost: site\r\nContent-Length: 0\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn upgrades_are_passed_through_and_never_stored() {
    let origin = Origin::start(|request| match request.field("upgrade") {
        Some(protocol) => Reply::Echo(
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n{CACHED}\r\nhello ")
                .into(),
        ),
        None => Reply::ok(CACHED, "page"),
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let upgrade =
        |to: &str| format!("GET / HTTP/1.1\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n\r\n");
    for _ in 0..2 {
        let mut client = gate.client().await;
        client.send(upgrade("websocket")).await;
        let answer = client.head().await;
        assert_eq!((answer.status, answer.field("upgrade").as_deref()), (101, Some("websocket")));
        assert_eq!(answer.field("connection").as_deref(), Some("upgrade"));
        assert_eq!(client.bytes(6).await, b"hello ");
        // Not HTTP any more: no framing, no bound, no time-out.
        client.send(b"Host: a\r\nHost: b\r\n\r\n\0\xff").await;
        assert_eq!(client.bytes(22).await, b"Host: a\r\nHost: b\r\n\r\n\0\xff");
        tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
        assert!(client.is_ended().await);
    }
    assert_eq!(gate.get("/").await.text(), "page");
    assert!(gate.get("/").await.is_hit());
    // One that the origin does not take is a request like any other; HTTP/2 is not begun this way.
    let refused = Origin::start(|request| match request.field("upgrade").as_deref() {
        Some("h2c") => Reply::ok("", "asked for h2c"),
        _ => Reply::ok("", "no"),
    })
    .await;
    let gate = Gate::before(refused.address).await;
    let mut client: Client = gate.client().await;
    for protocol in ["websocket", "h2c", "websocket"] {
        assert_eq!(client.ask(upgrade(protocol)).await.text(), "no");
    }
}
