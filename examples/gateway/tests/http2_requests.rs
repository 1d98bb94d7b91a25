//! Requests of HTTP/2 reach the cache and the origin in the one form that requests of HTTP/1.1 have, or not at all.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use bytes::Bytes;
use common::client::soon;
use common::{Gate, Origin, Reply};
use http::request::Builder;
use http::{Method, Request, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

async fn site() -> (Origin, Gate) {
    let origin = Origin::start(|_| Reply::ok("Cache-Control: max-age=60\r\n", "page")).await;
    let gate = Gate::before(origin.address).await;
    (origin, gate)
}

/// The status of a request on a connection of its own. What of its body there is comes without a length.
async fn ask(gate: &Gate, request: Builder, body: &'static [&'static str]) -> u16 {
    let socket = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(async { _ = connection.await });
    let frames =
        body.iter().map(|part| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(part.as_bytes()))));
    let body = if body.is_empty() {
        http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
    } else {
        StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())).boxed_unsync()
    };
    let answer = soon(sender.send_request(request.body(body).unwrap())).await.unwrap();
    let status = answer.status().as_u16();
    soon(answer.collect()).await.unwrap();
    status
}

/// RFC 9113 §8.2.3: one line, before anything that does not know HTTP/2 looks.
#[tokio::test]
async fn cookies_that_come_in_pieces_go_on_in_one_line() {
    let (origin, gate) = site().await;
    let request = Request::get("http://site/").header("cookie", "a=1").header("cookie", "b=2");
    assert_eq!(ask(&gate, request.header("cookie", "c=\"3\""), &[]).await, 200);
    let head = origin.last("/").head;
    let cookies: Vec<&str> =
        head.lines().filter(|line| line.to_ascii_lowercase().starts_with("cookie:")).collect();
    assert_eq!(cookies.len(), 1, "{head}");
    assert_eq!(origin.last("/").field("cookie").as_deref(), Some("a=1; b=2; c=\"3\""));
}

/// RFC 9113 §8.3.1.
#[tokio::test]
async fn a_star_is_a_target_of_options_alone() {
    let (origin, gate) = site().await;
    let star = |method: Method| {
        let uri = Uri::builder().scheme("http").authority("site").path_and_query("*").build().unwrap();
        Request::builder().method(method).uri(uri)
    };
    for method in [Method::GET, Method::HEAD, Method::POST] {
        assert_eq!(ask(&gate, star(method.clone()), &[]).await, 400, "{method}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(ask(&gate, star(Method::OPTIONS), &[]).await, 200);
    assert!(origin.last("*").head.starts_with("OPTIONS * HTTP/1.1\r\n"));
}

/// What is asked for in the body would be forgotten, and the answer be everyone's.
#[tokio::test]
async fn d23_a_body_without_a_length_is_no_part_of_get_and_head() {
    let (origin, gate) = site().await;
    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(method.clone()).uri("http://site/");
        assert_eq!(ask(&gate, request, &["query", " all"]).await, 400, "{method}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(ask(&gate, Request::post("http://site/"), &["query", " all"]).await, 200);
    assert_eq!(ask(&gate, Request::get("http://site/").header("content-length", "5"), &["query"]).await, 200);
    assert_eq!(ask(&gate, Request::get("http://site/"), &[]).await, 200);
    // What comes with a frame of its own may be nothing but the end.
    assert_eq!(ask(&gate, Request::get("http://site/open"), &[""]).await, 200);
    assert_eq!(ask(&gate, Request::head("http://site/open"), &["", ""]).await, 200);
    assert_eq!(ask(&gate, Request::get("http://site/open"), &["", "query"]).await, 400);
    assert_eq!(origin.count("/open"), 1);
}

#[tokio::test]
async fn heads_have_as_many_fields_as_those_of_http1() {
    let (origin, gate) = site().await;
    let with = |fields: usize| {
        (0..fields).fold(Request::get("http://site/"), |request, n| request.header("x", n.to_string()))
    };
    assert_eq!(ask(&gate, with(99), &[]).await, 200);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(ask(&gate, with(100), &[]).await, 431, "the host is one of them");
    // Pieces of a cookie are one field.
    let crumbs =
        (0..200).fold(Request::get("http://site/"), |request, n| request.header("cookie", format!("a={n}")));
    assert_eq!(ask(&gate, crumbs, &[]).await, 200);
}

/// RFC 9113 §8.3.1: `host` must not say another host than `:authority`, in whatever spelling.
#[tokio::test]
async fn a_host_beside_the_authority_is_the_same() {
    let (origin, gate) = site().await;
    for same in ["a.test", "A.TEST", "a.test:80", "a.test."] {
        assert_eq!(ask(&gate, Request::get("http://a.test/").header("host", same), &[]).await, 200, "{same}");
    }
    assert_eq!(origin.requests().len(), 1, "one host, one page");
    for other in ["b.test", "a.test:81", "", "x@a.test", "a.test, a.test"] {
        let request = Request::get("http://a.test/").header("host", other);
        assert_eq!(ask(&gate, request, &[]).await, 400, "{other}");
    }
    let twice = Request::get("http://a.test/").header("host", "a.test").header("host", "b.test");
    assert_eq!(ask(&gate, twice, &[]).await, 400);
}
