//! What a page takes along when its origin says that it is unchanged: rules 9 and 20.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gate, Gateway, Said, begun, get_with};

use super::S;

const ETAG: (&str, &str) = ("etag", "\"e\"");

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
