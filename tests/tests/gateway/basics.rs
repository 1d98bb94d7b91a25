//! The origin's answer decides, end to end.

use std::time::Duration;

use edge_isr_axum::prelude::*;
use edge_isr_core::model::origin::RequestDirectives;
use edge_isr_stories::{Gate, Gateway, Said, call};

#[tokio::test]
async fn what_the_origin_calls_fresh_is_served_from_here() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    let first = gateway.get("/a?x=1").await;
    assert_eq!((first.text(), first.detail().as_str()), ("answer 1", "absent"));
    let hit = gateway.get("/a?x=1").await;
    assert!(hit.is_fresh_hit(), "{}", hit.cache_status());
    assert_eq!((hit.text(), hit.header("cache-control").as_str()), ("answer 1", "max-age=60"));
    assert_eq!(gateway.get("/a?x=2").await.text(), "answer 2", "the whole query is part of the key");
    gateway.clock.advance(Duration::from_secs(60));
    assert_eq!(gateway.get("/a?x=1").await.text(), "answer 3");
    gateway.says("/b", Said::ok(&[("cache-control", "no-store")]));
    assert_eq!(gateway.get("/b").await.detail(), "no-store");
    assert_eq!(gateway.get("/b").await.text(), "answer 5");
}

#[tokio::test]
async fn h07_each_variant_of_a_url_has_its_page() {
    let gateway = Gateway::new();
    let says = |body| {
        gateway
            .says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "Accept-Language")]).body(body))
    };
    let get = |language| gateway.get_with("/a", language);
    says("de");
    assert_eq!(get(&[("accept-language", "de")]).await.text(), "de");
    says("en");
    assert_eq!(get(&[("accept-language", "en")]).await.text(), "en");
    says("none");
    assert_eq!(get(&[]).await.text(), "none");
    assert_eq!(gateway.asked(), 3);
    for (language, text) in [("de", "de"), ("DE ", "de"), ("en", "en")] {
        let answer = gateway.get_with("/a", &[("accept-language", language)]).await;
        assert!(answer.is_fresh_hit() && answer.text() == text, "{language}: {}", answer.cache_status());
    }
    assert!(get(&[]).await.is_fresh_hit());
    let other = get(&[("accept-language", "fr")]).await;
    assert!(other.cache_status().contains("fwd=vary-miss"), "{}", other.cache_status());
}

#[tokio::test]
async fn h09_a_304_makes_the_old_page_fresh_again() {
    let gateway = Gateway::new();
    let fresh =
        [("cache-control", "max-age=60"), ("etag", "\"v1\""), ("x-a", "1"), ("surrogate-key", "post:1")];
    gateway.says("/a", Said::ok(&fresh).body("page"));
    gateway.get("/a").await;
    gateway.clock.advance(Duration::from_secs(61));
    gateway.says("/a", Said::with(304, &[("cache-control", "max-age=30"), ("etag", "\"v1\""), ("x-a", "2")]));
    let answer = gateway.get("/a").await;
    assert_eq!((answer.status.as_u16(), answer.text(), answer.header("x-a").as_str()), (200, "page", "2"));
    assert_eq!(gateway.seen()[1].headers["if-none-match"], "\"v1\"");
    let hit = gateway.get("/a").await;
    assert!(hit.is_fresh_hit() && hit.cache_status().contains("ttl=30"), "{}", hit.cache_status());
    gateway.isr.graph().expire_by_tags([tag("post", 1)]).await.unwrap();
    gateway.says("/a", Said::ok(&fresh).body("new"));
    assert_eq!(gateway.get("/a").await.text(), "new", "the tags stayed");
    assert!(!gateway.seen()[2].headers.contains_key("if-none-match"), "an expired page is not asked about");
}

#[tokio::test]
async fn h11_credentials_share_only_what_says_so() {
    let gateway = Gateway::new();
    gateway.says("/own", Said::ok(&[("cache-control", "max-age=60")]));
    gateway.says("/all", Said::ok(&[("cache-control", "public, max-age=60")]));
    for name in ["authorization", "cookie"] {
        let own = gateway.get_with("/own", &[(name, "secret")]).await;
        assert_eq!(own.detail(), name, "{}", own.cache_status());
    }
    let anonymous = gateway.get("/own").await;
    assert_eq!(anonymous.text(), "answer 3", "what was theirs is not stored");
    assert_eq!(gateway.get_with("/own", &[("cookie", "a=b")]).await.text(), "answer 4", "nor given to them");
    assert!(gateway.get("/own").await.is_fresh_hit(), "and everyone's page stays");
    gateway.get_with("/all", &[("authorization", "secret")]).await;
    assert!(gateway.get("/all").await.is_fresh_hit());
    assert!(gateway.get_with("/all", &[("cookie", "a=b")]).await.is_fresh_hit());
}

#[tokio::test]
async fn h08_an_unsafe_method_that_succeeds_expires_its_url() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60, stale-while-revalidate=60")]));
    gateway.get("/a").await;
    let answer = call(&gateway.site, "POST", "/a").await;
    assert!(!answer.headers.contains_key("set-cookie"), "{:?}", answer.headers);
    assert_eq!(gateway.get("/a").await.text(), "answer 3");
}

#[tokio::test]
async fn h20_groups_are_expired_by_answers_to_unsafe_methods() {
    let gateway = Gateway::new();
    let page = |groups| Said::ok(&[("cache-control", "max-age=60"), ("cache-groups", groups)]);
    gateway.says("/a", page("\"News\", \"b\""));
    gateway.says("/c", page("\"news\""));
    gateway.get("/a").await;
    gateway.get("/c").await;
    gateway.says("/post", Said::ok(&[("cache-group-invalidation", "\"News\";x=1")]));
    call(&gateway.site, "GET", "/post").await;
    assert!(gateway.get("/a").await.is_fresh_hit(), "only unsafe methods do");
    call(&gateway.site, "POST", "/post").await;
    assert_eq!(gateway.get("/a").await.detail(), "dead");
    assert!(gateway.get("/c").await.is_fresh_hit(), "case counts");
}

#[tokio::test]
async fn h16_requests_are_obeyed_only_where_that_is_asked_for() {
    let fresh = Said::ok(&[("cache-control", "max-age=60")]);
    let ignoring = Gateway::new();
    ignoring.says("/a", fresh.clone());
    ignoring.get("/a").await;
    assert!(ignoring.get_with("/a", &[("cache-control", "no-cache")]).await.is_fresh_hit());
    let gateway = Gateway::with(Policy::from_origin().request_directives(RequestDirectives::Honor));
    gateway.says("/a", fresh);
    let asked = |directives: &'static str| ("cache-control", directives);
    let only = gateway.get_with("/a", &[asked("only-if-cached")]).await;
    assert_eq!((only.status.as_u16(), only.detail().as_str()), (504, "directive"));
    gateway.get("/a").await;
    assert_eq!(gateway.get_with("/a", &[asked("no-cache")]).await.text(), "answer 2");
    gateway.clock.advance(Duration::from_secs(30));
    assert!(gateway.get_with("/a", &[asked("max-age=30")]).await.is_fresh_hit());
    assert_eq!(gateway.get_with("/a", &[asked("max-age=29")]).await.text(), "answer 3");
    assert_eq!(gateway.get_with("/a", &[asked("min-fresh=61")]).await.text(), "answer 4");
    gateway.clock.advance(Duration::from_secs(90));
    let stale = gateway.get_with("/a", &[asked("max-stale=30")]).await;
    assert_eq!((stale.text(), stale.detail().as_str()), ("answer 4", "aged"));
    gateway.clock.advance(Duration::from_secs(90));
    assert_eq!(gateway.get_with("/a", &[asked("max-stale=29")]).await.text(), "answer 6");
    gateway.get_with("/b", &[asked("no-store")]).await;
}

#[tokio::test]
async fn h07_what_the_origin_is_not_told_makes_no_variants() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Ignore));
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "Cookie")]));
    gateway.get_with("/a", &[("cookie", "a=b")]).await;
    assert!(!gateway.seen()[0].headers.contains_key("cookie"));
    assert!(gateway.get_with("/a", &[("cookie", "c=d")]).await.is_fresh_hit());
}

#[tokio::test]
async fn h11_credentials_do_not_ask_about_everyones_page() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("etag", "\"1\"")]));
    gateway.get("/a").await;
    gateway.clock.advance(Duration::from_secs(61));
    gateway.get_with("/a", &[("authorization", "secret")]).await;
    assert!(!gateway.seen()[1].headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn h21_a_post_that_answers_for_its_url_is_the_page_of_later_gets() {
    let gateway = Gateway::new();
    let fresh = ("cache-control", "max-age=60");
    gateway.says("/a", Said::ok(&[fresh, ("content-location", "/a")]));
    gateway.get("/a").await;
    let posted = call(&gateway.site, "POST", "/a").await;
    assert!(posted.cache_status().contains("stored"), "{}", posted.cache_status());
    let hit = gateway.get("/a").await;
    assert!(hit.is_fresh_hit() && hit.text() == "answer 2", "{}", hit.cache_status());
    gateway.says("/b", Said::ok(&[fresh, ("content-location", "/a")]));
    call(&gateway.site, "POST", "/b").await;
    assert_eq!(gateway.get("/b").await.text(), "answer 4", "it spoke of another");
    assert_eq!(gateway.get("/a").await.text(), "answer 5", "which it changed");
}

#[tokio::test]
async fn p01_h21_a_post_is_not_stored_over_an_invalidation_that_came_while_it_was_answered() {
    let (gateway, gate) = (Gateway::new(), Gate::default());
    let fresh = [("cache-control", "max-age=60"), ("content-location", "/a"), ("surrogate-key", "post:1")];
    gateway.says("/a", Said::ok(&fresh).body("old").behind(&gate));
    let site = gateway.site.clone();
    let posting = tokio::spawn(async move { call(&site, "POST", "/a").await });
    gate.arrival().await;
    gateway.isr.graph().revalidate_by_tags([tag("post", 1)]).await.unwrap();
    gate.open(1);
    assert!(!posting.await.unwrap().cache_status().contains("stored"));
    gateway.says("/a", Said::ok(&fresh).body("new"));
    assert_eq!(gateway.get("/a").await.text(), "new");
}
