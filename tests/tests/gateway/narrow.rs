//! Requests for less than a page, and what is handed on of them.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Answer, Gate, Gateway, Said, begun, call, get_with};

use super::S;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const OWN: (&str, &str) = ("set-cookie", "first=1");

async fn visit(gateway: Gateway, headers: &[(&'static str, &'static str)]) -> Answer {
    get_with(&gateway.site, "/a", headers).await
}

/// What everyone gets after one visitor's demand got an answer that says it may be stored.
async fn after(gateway: &Gateway) -> u16 {
    gateway.isr.idle().await;
    gateway.says("/a", Said::ok(&[FRESH]));
    gateway.get("/a").await.status.as_u16()
}

#[tokio::test]
async fn p24_what_one_visitor_demanded_of_a_passed_page_is_nobody_elses_answer() {
    for (status, demand) in [(412, ("if-match", "\"x\"")), (416, ("range", "bytes=99999-"))] {
        let gateway = Gateway::new();
        gateway.says("/a", Said::ok(&[FRESH, OWN]));
        gateway.get("/a").await;
        gateway.says("/a", Said::with(status, &[FRESH]));
        gateway.get_with("/a", &[demand]).await;
        assert_eq!(after(&gateway).await, 200, "{status}");
    }
}

#[tokio::test]
async fn p24_what_one_visitor_demanded_while_waiting_is_nobody_elses_answer() {
    const DATED: (&str, &str) = ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (status, demand, begin) in
        [(412, DATED, &[FRESH, OWN][..]), (416, ("range", "bytes=99999-"), &[FRESH, ("etag", "\"e\"")])]
    {
        let (gateway, gate) = (Gateway::new(), Gate::default());
        if begin.len() == 2 && status == 416 {
            // A range of a page that is stored waits for it to be renewed.
            gateway.says("/a", Said::ok(begin));
            gateway.get("/a").await;
            gateway.clock.advance(61 * S);
        }
        gateway.says("/a", Said::ok(&[FRESH, OWN]).behind(&gate));
        let leading = tokio::spawn(visit(gateway.clone(), &[]));
        gate.arrival().await;
        let demanding = begun({
            let gateway = gateway.clone();
            async move { visit(gateway, &[demand]).await }
        })
        .await;
        gateway.says("/a", Said::with(status, &[FRESH]));
        gate.open(1);
        leading.await.unwrap();
        assert_eq!(demanding.await.status.as_u16(), status);
        assert_eq!(after(&gateway).await, 200, "{status}");
    }
}

#[tokio::test]
async fn h20_tags_stay_here_whatever_way_an_answer_takes() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH, ("surrogate-key", "secret:1"), ("cache-groups", "\"g\"")]));
    let mut answers = vec![];
    for method in ["HEAD", "OPTIONS", "POST"] {
        answers.push((method, call(&gateway.site, method, "/a").await));
    }
    for (name, value) in [("range", "bytes=0-0"), ("upgrade", "x"), ("content-length", "1")] {
        answers.push((name, gateway.get_with("/a", &[(name, value)]).await));
    }
    answers.push(("GET", gateway.get("/a").await));
    gateway.isr.shutdown(S).await;
    answers.push(("closing", gateway.get("/b").await));
    for (how, answer) in answers {
        for name in ["surrogate-key", "cache-groups"] {
            assert!(!answer.headers.contains_key(name), "{how}: {name}");
        }
    }
}

#[tokio::test]
async fn h22_a_layer_that_closes_keeps_ignored_cookies_from_the_origin() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Ignore));
    gateway.isr.shutdown(S).await;
    gateway.get_with("/a", &[("cookie", "x=1")]).await;
    assert!(!gateway.seen()[0].headers.contains_key("cookie"));
}
