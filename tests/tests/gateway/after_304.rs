//! What a page takes along when its origin says that it is unchanged: rules 9 and 20.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Answer, Gate, Gateway, Said, begun, get_with};

use super::S;

const BR: [(&str, &str); 1] = [("accept-encoding", "br")];
const HTML: (&str, &str) = ("content-type", "text/html");
const ETAG: (&str, &str) = ("etag", "\"e\"");

fn text() -> String {
    "<p>hello hello</p>\n".repeat(200)
}

/// A gateway whose origin says 304 after its first answer, with these headers, this body and this request.
async fn validated(head: &[(&str, &str)], body: &str) -> Gateway {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(head).body(body));
    gateway.get_with("/a", &BR).await;
    gateway.says("/a", Said::with(304, head));
    gateway
}

fn read(answer: &Answer) -> String {
    let mut text = Vec::new();
    brotli::BrotliDecompress(&mut &*answer.body, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn h09_a_page_that_is_unchanged_keeps_its_coded_forms() {
    let head = [("cache-control", "max-age=10"), ETAG, HTML, ("x-a", "1")];
    let gateway = validated(&head, &text()).await;
    let weight = gateway.isr.stats().bytes;
    for n in 0..4 {
        gateway.says("/a", Said::with(304, &[head[0], ETAG, ("x-a", &n.to_string())]));
        gateway.clock.advance(11 * S);
        for expected in ["304", "hit"] {
            let answer = gateway.get_with("/a", &BR).await;
            assert_eq!(answer.header("content-encoding"), "br", "{n} {expected}");
            assert_eq!(answer.header("etag"), "\"e-br\"");
            assert_eq!(answer.header("x-a"), n.to_string(), "the head is that of the 304");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            assert_eq!(read(&answer), text());
        }
        let plain = gateway.get("/a").await;
        assert!(plain.is_fresh_hit() && plain.text() == text());
    }
    assert_eq!(gateway.isr.stats().coded, 1);
    let grown = gateway.isr.stats().bytes.abs_diff(weight);
    assert!(grown < 200, "the form is counted as it was: {grown}");
}

#[tokio::test]
async fn h09_a_page_that_is_validated_on_each_use_is_sent_as_small_as_others() {
    let gateway = validated(&[("cache-control", "no-cache"), ETAG, HTML], &text()).await;
    for _ in 0..4 {
        let answer = gateway.get_with("/a", &BR).await;
        assert_eq!(answer.header("content-encoding"), "br");
        assert_eq!(read(&answer), text());
    }
    assert_eq!((gateway.isr.stats().coded, gateway.asked()), (1, 5));
}

#[tokio::test]
async fn h09_a_304_that_makes_another_type_of_it_leaves_the_forms_behind() {
    let head = [("cache-control", "max-age=10"), ETAG];
    let gateway = validated(&[head[0], head[1], HTML], &text()).await;
    gateway.says("/a", Said::with(304, &[head[0], head[1], ("content-type", "image/png")]));
    gateway.clock.advance(11 * S);
    for _ in 0..2 {
        let answer = gateway.get_with("/a", &BR).await;
        assert_eq!((answer.header("content-encoding").as_str(), answer.text()), ("", &*text()));
    }
}

#[tokio::test]
async fn h09_a_tag_that_we_made_stays_that_of_its_page() {
    let head = [("cache-control", "max-age=10"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let gateway = validated(&head, "page").await;
    let made = gateway.get("/a").await.header("etag");
    for _ in 0..3 {
        gateway.clock.advance(11 * S);
        assert_eq!(gateway.get("/a").await.header("etag"), made);
    }
    assert!(
        gateway.seen().iter().all(|seen| !seen.headers.contains_key("if-none-match")),
        "it is not the origin's"
    );
}

#[tokio::test]
async fn h20_tags_of_304s_do_not_pile_up_beyond_the_bound() {
    let gateway = Gateway::new();
    let said = |n: u32| format!("rev:{n}");
    let head = [("cache-control", "max-age=10"), ETAG];
    gateway.says("/a", Said::ok(&[head[0], ETAG, ("surrogate-key", &said(0)), ("cache-groups", "\"g\"")]));
    gateway.get("/a").await;
    for n in 1..300 {
        gateway.clock.advance(11 * S);
        gateway.says("/a", Said::with(304, &[head[0], ETAG, ("surrogate-key", &said(n))]));
        let answer = gateway.get("/a").await;
        assert!(answer.cache_status().contains("stored"), "{n}: {}", answer.cache_status());
    }
    gateway.says("/post", Said::ok(&[("cache-group-invalidation", "\"g\"")]));
    edge_isr_stories::call(&gateway.site, "POST", "/post").await;
    gateway.says("/a", Said::ok(&[head[0]]));
    assert_eq!(gateway.get("/a").await.detail(), "dead", "groups that a 304 does not name stay");
}

#[tokio::test]
async fn h06_h09_who_waited_for_a_page_that_each_use_validates_asks_about_it() {
    let gateway = Gateway::new();
    let gate = Gate::default();
    gateway.says("/a", Said::ok(&[("cache-control", "no-cache"), ETAG]).body("page").behind(&gate));
    let visit = || {
        let site = gateway.site.clone();
        async move { get_with(&site, "/a", &[]).await }
    };
    let leading = tokio::spawn(visit());
    gate.arrival().await;
    let mut following = Vec::new();
    for _ in 0..20 {
        following.push(begun(visit()).await);
    }
    gateway.says("/a", Said::with(304, &[("cache-control", "no-cache"), ETAG]));
    gate.open(1);
    assert_eq!(leading.await.unwrap().text(), "page");
    for visitor in following {
        assert_eq!(visitor.await.text(), "page");
    }
    let seen = gateway.seen();
    assert_eq!(seen.len(), 21);
    assert!(seen[1..].iter().all(|seen| seen.headers["if-none-match"] == "\"e\""));
}

#[tokio::test]
async fn h09_a_page_that_is_fetched_ahead_of_its_end_is_asked_about() {
    let gateway = Gateway::with(Policy::from_origin().refresh_ahead(100.0));
    let head = [("cache-control", "max-age=10"), ETAG];
    // Asking takes a second, so that this is asked for about as long before its end, a hundred times.
    let gate = Gate::default();
    gateway.says("/a", Said::ok(&head).body("page").behind(&gate));
    let asking = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.get("/a").await }
    });
    gate.arrival().await;
    gateway.clock.advance(S);
    gate.open(1);
    asking.await.unwrap();
    gateway.says("/a", Said::with(304, &head));
    gateway.clock.advance(8 * S);
    assert!(gateway.get("/a").await.is_fresh_hit());
    assert_eq!(gateway.seen()[1].headers["if-none-match"], "\"e\"");
    gateway.clock.advance(5 * S);
    let answer = gateway.get("/a").await;
    assert!(answer.is_fresh_hit() && answer.text() == "page", "{}", answer.cache_status());
}
