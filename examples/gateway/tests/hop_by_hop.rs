//! What `Connection` names, how long messages say they are, and who may say so: attempts to have two sides see
//! different requests or answers.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use common::{Gate, Origin, Reply};

const CACHED: &str = "Cache-Control: max-age=60\r\n";

#[tokio::test]
async fn h12_connection_takes_away_neither_host_nor_length() {
    let origin = Origin::start(|request| Reply::ok(CACHED, &request.body)).await;
    let gate = Gate::before(origin.address).await;
    for (target, connection) in [("/a", "host"), ("/b", "Host, content-length"), ("/c", "transfer-encoding")]
    {
        let rest = format!("{target} HTTP/1.1\r\nHost: site\r\nConnection: {connection}\r\n");
        assert_eq!(gate.ask(format!("GET {rest}\r\n")).await.status, 200, "{connection}");
        let asked = origin.last(target);
        assert_eq!(asked.field("host").as_deref(), Some("site"), "{connection}");
        assert_eq!(asked.field("x-forwarded-host").as_deref(), Some("site"), "{connection}");
        let answer = gate.ask(format!("POST {rest}Content-Length: 4\r\n\r\nbody")).await;
        assert_eq!((answer.status, answer.text()), (200, "body".to_owned()), "{connection}");
        let asked = origin.last(target);
        assert_eq!(asked.field("host").as_deref(), Some("site"), "{connection}");
        assert_eq!(asked.field("content-length").as_deref(), Some("4"), "{connection}");
    }
}

#[tokio::test]
async fn h12_a_variant_is_not_poisoned_through_connection() {
    let origin = Origin::start(|request| {
        let language = request.field("accept-language").unwrap_or_else(|| "none".to_owned());
        Reply::ok(&format!("{CACHED}Vary: Accept-Language\r\n"), language)
    })
    .await;
    let gate = Gate::before(origin.address).await;
    let ask = |fields: &str| gate.ask(format!("GET / HTTP/1.1\r\nHost: site\r\n{fields}\r\n"));
    // So that it is known what the answers vary on.
    assert_eq!(ask("Accept-Language: fr\r\n").await.text(), "fr");
    let evil = "Accept-Language: de\r\nConnection: keep-alive, Accept-Language\r\n";
    assert_eq!(ask(evil).await.text(), "none");
    assert_eq!(ask("Accept-Language: de\r\n").await.text(), "de");
    assert_eq!(ask("").await.text(), "none");
}

#[tokio::test]
async fn h12_an_answer_s_connection_takes_no_prohibition_away() {
    let origin = Origin::start(|_| {
        let fields = "Connection: cache-control, vary, set-cookie, content-range, cdn-cache-control, x-hop\r\n\
                      Cache-Control: no-store\r\nVary: x\r\nSet-Cookie: a=b\r\nCDN-Cache-Control: no-store\r\n\
                      X-Hop: a\r\nExpires: Tue, 01 Jan 2199 00:00:00 GMT\r\n";
        Reply::ok(fields, "mine")
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for _ in 0..2 {
        let answer = gate.get("/").await;
        assert!(!answer.is_hit(), "{answer:?}");
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
        assert_eq!(answer.field("set-cookie").as_deref(), Some("a=b"));
        assert_eq!(answer.field("x-hop"), None);
    }
}

#[tokio::test]
async fn d23_an_answer_has_one_length() {
    let origin = Origin::start(|request| {
        Reply::keep(match request.target() {
            "/both" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n\
                 4\r\npage\r\n0\r\n\r\n"
            }
            "/twice" => "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\nCache-Control: max-age=60\r\n\r\npage",
            "/lines" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\nCache-Control: max-age=60\r\n\r\npage"
            }
            _ => unreachable!(),
        })
    })
    .await;
    let gate = Gate::before(origin.address).await;
    for target in ["/both", "/twice", "/lines"] {
        for method in ["POST", "GET", "GET"] {
            let mut client = gate.client().await;
            let request = format!("{method} {target} HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n");
            let answer = client.ask(request).await;
            assert_eq!((answer.status, answer.text()), (200, "page".to_owned()), "{method} {target}");
            assert_eq!(client.get("/twice").await.text(), "page", "{method} {target}: nothing is left over");
        }
    }
}

#[tokio::test]
async fn d23_an_answer_in_another_coding_than_chunks_is_none() {
    for coding in
        ["gzip, chunked", "chunked, chunked", "identity", "gzip", "chunked\r\nTransfer-Encoding: chunked"]
    {
        let origin = Origin::start(move |_| {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nCache-Control: max-age=60\r\n\r\n\
                 4\r\npage\r\n0\r\n\r\n"
            );
            Reply::Close(answer.into_bytes())
        })
        .await;
        let gate = Gate::before(origin.address).await;
        assert_eq!(gate.get("/").await.status, 502, "{coding:?}");
    }
}

#[tokio::test]
async fn d23_a_request_comes_in_chunks_or_in_none() {
    let origin = Origin::start(|_| Reply::ok("", "taken")).await;
    let gate = Gate::before(origin.address).await;
    let post = |coding: &str| {
        format!("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: {coding}\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
    };
    for coding in [
        "gzip, chunked",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        let mut client = gate.client().await;
        assert_eq!(client.ask(post(coding)).await.status, 400, "{coding:?}");
        assert!(client.is_ended().await, "{coding:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gate.ask(post(" Chunked ")).await.text(), "taken");
}

#[tokio::test]
async fn an_expectation_that_nobody_knows_removes_no_page() {
    let origin = Origin::start(|_| {
        Reply::ok(
            "Cache-Control: max-age=0, s-maxage=0, stale-while-revalidate=600\r\nETag: \"a\"\r\n",
            "page",
        )
    })
    .await;
    let gate = Gate::before(origin.address).await;
    assert_eq!(gate.get("/").await.status, 200);
    for _ in 0..3 {
        let answer = gate.ask("GET / HTTP/1.1\r\nHost: site\r\nExpect: miracles\r\n\r\n").await;
        assert_eq!(answer.status, 417);
    }
    let answer = gate.ask("GET / HTTP/1.1\r\nHost: site\r\nExpect: 100-Continue\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(origin.requests().iter().all(|asked| asked.field("expect").is_none()));
}

#[tokio::test]
async fn d01_names_with_underscores_are_the_same_claims() {
    let origin = Origin::start(|_| Reply::ok("", "")).await;
    let gate = Gate::before(origin.address).await;
    for method in ["GET", "POST"] {
        let request = format!(
            "{method} /w HTTP/1.1\r\nHost: site\r\nX_Forwarded_For: evil\r\nX-Forwarded_Host: evil\r\n\
             X_Forwarded-Proto: evil\r\nX_Real_IP: evil\r\nX_Original_URL: evil\r\nX_HTTP-Method_Override: evil\r\n\
             X_Edge_Isr_A: evil\r\nX_Mine: kept\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(gate.ask(request).await.status, 200);
        let asked = origin.last("/w");
        assert!(asked.head.starts_with(method) && !asked.head.contains("evil"), "{}", asked.head);
        assert_eq!(asked.field("x_mine").as_deref(), Some("kept"));
    }
}

#[tokio::test]
async fn d01_a_host_is_told_in_one_spelling() {
    let origin = Origin::start(|_| Reply::ok("", "")).await;
    let gate = Gate::before(origin.address).await;
    for method in ["GET", "POST"] {
        let request = format!("{method} /w HTTP/1.1\r\nHost: SITE.Example.:80\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(gate.ask(request).await.status, 200);
        let asked = origin.last("/w");
        for field in ["host", "x-forwarded-host"] {
            assert_eq!(asked.field(field).as_deref(), Some("site.example"), "{method} {field}");
        }
        assert!(asked.field("forwarded").unwrap().contains("host=\"site.example\""), "{method}");
    }
}

#[tokio::test]
async fn upgrades_to_h2c_or_of_old_clients_are_none() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::before(origin.address).await;
    let ask = |version: &str, to: &str| {
        gate.ask(format!(
            "GET / HTTP/{version}\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n\r\n"
        ))
    };
    for (version, to, is_told) in
        [("1.1", "websocket, H2C", false), ("1.0", "websocket", false), ("1.1", "websocket", true)]
    {
        assert_eq!(ask(version, to).await.status, 200);
        assert_eq!(origin.last("/").field("upgrade").is_some(), is_told, "{version} {to}");
    }
}
