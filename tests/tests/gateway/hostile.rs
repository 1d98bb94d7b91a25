//! What strangers, races and failing origins try with a gateway route.

use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_core::model::origin::RequestDirectives;
use edge_isr_stories::{Gate, Gateway, Said, ask, begun, call, send};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const DATED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");

#[tokio::test]
async fn p23_the_origin_is_told_the_host_that_is_in_the_key() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH]));
    let request =
        |uri: &str, host: &str| http::Request::get(uri).header("host", host).body(axum::body::Body::empty());
    send(&gateway.site, request("/a", "WWW.Example.com.:80").unwrap()).await;
    send(&gateway.site, request("http://shop.example/a", "evil.example").unwrap()).await;
    let told: Vec<_> = gateway.seen().iter().map(|seen| seen.headers["host"].clone()).collect();
    assert_eq!(told, ["www.example.com", "shop.example"]);
}

#[tokio::test]
async fn p23_forwarding_headers_of_clients_reach_no_shared_page() {
    let gateway = Gateway::with(Policy::from_origin().refresh_ahead(100.0));
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=10")]));
    let evil = [("x-forwarded-host", "evil.example"), ("x-original-url", "/admin")];
    gateway.get_with("/a", &evil).await;
    gateway.clock.advance(Duration::from_millis(9_999));
    gateway.get_with("/a", &evil).await;
    for seen in gateway.seen() {
        assert!(evil.iter().all(|(name, _)| !seen.headers.contains_key(*name)), "{:?}", seen.headers);
    }
}

#[tokio::test]
async fn h21_a_post_with_a_cookie_that_later_gets_do_not_show_is_not_stored() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Ignore));
    gateway.says("/a", Said::ok(&[FRESH, ("content-location", "/a")]));
    let request = ask("/a").method("POST").header("cookie", "cart=1").body(axum::body::Body::empty());
    let posted = send(&gateway.site, request.unwrap()).await;
    assert!(!posted.cache_status().contains("stored"), "{}", posted.cache_status());
}

#[tokio::test]
async fn p01_h09_a_page_that_was_expired_after_it_was_looked_up_is_not_asked_about() {
    let gateway = Gateway::new();
    let page = [FRESH, DATED, ("surrogate-key", "post:1")];
    gateway.says("/a", Said::ok(&page).body("old"));
    gateway.get("/a").await;
    gateway.clock.advance(Duration::from_secs(61));
    let gate = Gate::default();
    gateway.says("/a", Said::ok(&page).body("old").behind(&gate));
    let visit = |gateway: &Gateway| {
        let gateway = gateway.clone();
        async move { gateway.get("/a").await }
    };
    let leading = tokio::spawn(visit(&gateway));
    gate.arrival().await;
    let following = begun(visit(&gateway)).await;
    gateway.isr.graph().expire_by_tags([tag("post", 1)]).await.unwrap();
    // An origin that goes by whole seconds says so.
    gateway.says("/a", Said::ok(&page).body("new"));
    gate.open(1);
    leading.await.unwrap();
    assert_eq!(following.await.text(), "new");
    let asked = gateway.seen();
    assert!(asked[1].headers.contains_key("if-modified-since"), "it had only aged");
    assert!(asked[2..].iter().all(|seen| !seen.headers.contains_key("if-modified-since")));
}

#[tokio::test]
async fn p01_h16_a_wish_for_a_new_answer_does_not_believe_a_date() {
    let gateway = Gateway::with(Policy::from_origin().request_directives(RequestDirectives::Honor));
    let swr = ("cache-control", "max-age=60, stale-while-revalidate=60");
    gateway.says("/a", Said::ok(&[swr, DATED, ("surrogate-key", "post:1")]));
    gateway.get("/a").await;
    gateway.isr.graph().revalidate_by_tags([tag("post", 1)]).await.unwrap();
    gateway.get_with("/a", &[("cache-control", "no-cache")]).await;
    assert!(!gateway.seen()[1].headers.contains_key("if-modified-since"));
}

#[tokio::test]
async fn p24_a_visitor_with_a_cookie_takes_nothing_from_everyones_page() {
    for own in [("cache-control", "private"), ("cache-control", "no-store"), ("set-cookie", "session=1")] {
        let gateway = Gateway::new();
        gateway.says("/a", Said::ok(&[FRESH]));
        gateway.get("/a").await;
        gateway.says("/a", Said::ok(&[FRESH, own]));
        let theirs = gateway.get_with("/a", &[("cookie", "session=1")]).await;
        assert_eq!(theirs.text(), "answer 2", "{own:?}");
        let everyones = gateway.get("/a").await;
        assert!(everyones.is_fresh_hit(), "{own:?}: {}", everyones.cache_status());
    }
}

#[tokio::test]
async fn h20_a_304_that_names_some_tags_leaves_the_groups() {
    let gateway = Gateway::new();
    let tags = [FRESH, ("etag", "\"1\""), ("surrogate-key", "a"), ("cache-groups", "\"g\"")];
    gateway.says("/a", Said::ok(&tags));
    gateway.get("/a").await;
    gateway.clock.advance(Duration::from_secs(61));
    gateway.says("/a", Said::with(304, &[FRESH, ("etag", "\"1\""), ("surrogate-key", "a")]));
    gateway.get("/a").await;
    gateway.says("/post", Said::ok(&[("cache-group-invalidation", "\"g\"")]));
    call(&gateway.site, "POST", "/post").await;
    gateway.says("/a", Said::ok(&tags));
    assert_eq!(gateway.get("/a").await.detail(), "dead");
}

#[tokio::test]
async fn h18_a_body_that_breaks_off_leaves_the_last_good_page() {
    let gateway = Gateway::with(Policy::from_origin().stale_if_error(Duration::from_secs(600)));
    gateway.says("/a", Said::ok(&[FRESH]).body("good"));
    gateway.get("/a").await;
    gateway.clock.advance(Duration::from_secs(61));
    gateway.says("/a", Said::ok(&[FRESH, ("content-length", "9")]).body("short"));
    for _ in 0..2 {
        let answer = gateway.get("/a").await;
        assert_eq!((answer.text(), answer.detail().as_str()), ("good", "stale-if-error"));
    }
}

#[tokio::test]
async fn h08_a_client_that_hangs_up_on_a_post_leaves_its_page_expired() {
    let (gateway, gate) = (Gateway::new(), Gate::default());
    gateway.says("/a", Said::ok(&[FRESH]));
    gateway.get("/a").await;
    gateway.says("/a", Said::ok(&[FRESH]).behind(&gate));
    let site = gateway.site.clone();
    let posting = tokio::spawn(async move { call(&site, "POST", "/a").await });
    gate.arrival().await;
    posting.abort();
    assert!(posting.await.unwrap_err().is_cancelled());
    let before = gateway.isr.graph().revalidate_by_tags([tag("none", 1)]).await.unwrap().seq();
    gate.open(1);
    edge_isr_stories::until(|| gateway.isr.seq() > before).await;
    gateway.says("/a", Said::ok(&[FRESH]));
    assert_eq!(gateway.get("/a").await.detail(), "dead");
}

#[tokio::test]
async fn a_get_with_a_body_is_between_the_client_and_the_origin() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[FRESH]));
    gateway.get("/a").await;
    let request = ask("/a").header("content-length", "5").body(axum::body::Body::from("query")).unwrap();
    let answer = send(&gateway.site, request).await;
    assert_eq!((answer.text(), answer.detail().as_str()), ("answer 2", "request-body"));
    assert!(gateway.get("/a").await.is_fresh_hit());
}

#[tokio::test]
async fn p10_every_targeted_field_of_an_overtaken_answer_loses_its_freshness() {
    let gateway = Gateway::with(Policy::from_origin().targeted(["akamai-cache-control"]));
    let said =
        [("akamai-cache-control", "max-age=60"), ("cache-control", "max-age=60, stale-while-revalidate=60")];
    gateway.says("/a", Said::ok(&[said[0], said[1], ("surrogate-key", "a")]));
    gateway.says(
        "/b",
        Said::ok(&[("akamai-cache-control", "max-age=9, stale-while-revalidate=60"), ("surrogate-key", "a")]),
    );
    for path in ["/a", "/b"] {
        gateway.get(path).await;
    }
    gateway.isr.graph().revalidate_by_tags([edge_isr_core::Tag::named("a")]).await.unwrap();
    let stale = gateway.get("/b").await;
    assert_eq!(stale.detail(), "invalidated");
    assert_eq!(stale.header("akamai-cache-control"), "max-age=0, must-revalidate");
}

#[tokio::test]
async fn h07_followers_with_other_needs_look_again() {
    let (gateway, gate) = (Gateway::new(), Gate::default());
    let says = |body, gate: &Gate| {
        let vary = ("vary", "accept-language");
        gateway.says("/a", Said::ok(&[FRESH, vary]).body(body).behind(gate));
    };
    says("de", &gate);
    let visit = |language| {
        let gateway = gateway.clone();
        async move { gateway.get_with("/a", &[("accept-language", language)]).await }
    };
    let leading = tokio::spawn(visit("de"));
    gate.arrival().await;
    let (same, other) = (begun(visit("de")).await, begun(visit("en")).await);
    says("en", &gate);
    gate.open(2);
    assert_eq!(leading.await.unwrap().text(), "de");
    assert_eq!(same.await.text(), "de");
    assert_eq!(other.await.text(), "en");
    assert_eq!(gateway.asked(), 2);
}
