//! Pages that depend on more than their URL: rule 7.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gate, Gateway, Said, begun, get_with};

use super::reuses;

#[tokio::test]
async fn h07_a_star_anywhere_means_never() {
    for lines in [&["*"][..], &["accept, *"], &["accept", "*"], &["a b"]] {
        let mut headers = vec![("cache-control", "max-age=60")];
        headers.extend(lines.iter().map(|line| ("vary", *line)));
        assert!(!reuses(&headers).await, "{lines:?}");
    }
    assert!(reuses(&[("cache-control", "max-age=60"), ("vary", "x-any, Accept")]).await);
}

/// Whether a page made for one request is given to the other.
async fn is_same(vary: &str, one: &[(&str, &str)], other: &[(&str, &str)]) -> bool {
    let gateway = Gateway::uncompressed();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", vary)]));
    gateway.get_with("/a", one).await;
    gateway.get_with("/a", other).await.is_fresh_hit()
}

#[tokio::test]
async fn h07_headers_are_compared_as_their_meaning_goes() {
    for (vary, one, other, expected) in [
        ("x-a", &[("x-a", "1")][..], &[("x-a", "1")][..], true),
        ("X-A", &[("x-a", "1")], &[("x-a", "2")], false),
        ("x-a", &[("x-a", "a")], &[("x-a", "A")], false),
        ("x-a", &[("x-a", "1, 2")], &[("x-a", "1"), ("x-a", "2")], true),
        ("x-a", &[("x-a", "1, 2")], &[("x-a", "1 ,2")], true),
        ("x-a", &[("x-a", "1, 2")], &[("x-a", "2, 1")], false),
        ("x-a", &[], &[], true),
        ("x-a", &[], &[("x-a", "1")], false),
        ("x-a", &[("x-a", "1")], &[], false),
        ("x-a", &[("x-a", "")], &[], false),
        ("x-a, x-b", &[("x-a", "1"), ("x-b", "2")], &[("x-b", "2"), ("x-a", "1")], true),
        ("x-a, x-b", &[("x-a", "1"), ("x-b", "2")], &[("x-a", "2"), ("x-b", "1")], false),
        ("x-a", &[("x-a", "1"), ("x-b", "2")], &[("x-a", "1"), ("x-b", "3")], true),
        ("accept-language", &[("accept-language", "en, de")], &[("accept-language", "DE,en")], true),
        ("accept-language", &[("accept-language", "en")], &[("accept-language", "de")], false),
        ("accept", &[("accept", "text/html, */*;q=0.1")], &[("accept", "*/*; q=0.1,TEXT/html")], true),
        ("accept-encoding", &[("accept-encoding", "gzip, br")], &[("accept-encoding", "br,gzip")], true),
        ("accept-encoding", &[("accept-encoding", "gzip")], &[("accept-encoding", "br")], false),
    ] {
        assert_eq!(is_same(vary, one, other).await, expected, "{vary}: {one:?} {other:?}");
    }
}

#[tokio::test]
async fn h07_many_variants_live_side_by_side() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "x-a")]));
    for n in 0..5 {
        let first = gateway.get_with("/a", &[("x-a", &n.to_string())]).await;
        assert_eq!(first.text(), format!("answer {}", n + 1));
    }
    for n in 0..5 {
        let again = gateway.get_with("/a", &[("x-a", &n.to_string())]).await;
        assert!(again.is_fresh_hit(), "{}", again.cache_status());
        assert_eq!(again.text(), format!("answer {}", n + 1));
    }
}

#[tokio::test]
async fn h07_what_an_answer_varies_on_may_change() {
    let gateway = Gateway::new();
    let says = |vary: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = [("cache-control", "max-age=60")].iter().chain(vary).copied().collect();
        gateway.says("/a", Said::ok(&headers).body(body));
    };
    says(&[], "for all");
    gateway.get_with("/a", &[("x-a", "1")]).await;
    assert_eq!(gateway.get_with("/a", &[("x-a", "2")]).await.text(), "for all");
    gateway.clock.advance(super::S * 61);
    says(&[("vary", "x-a")], "for 1");
    assert_eq!(gateway.get_with("/a", &[("x-a", "1")]).await.text(), "for 1");
    says(&[("vary", "x-b")], "for 2");
    assert_eq!(gateway.get_with("/a", &[("x-a", "2")]).await.text(), "for 2", "not what is for 1");
    assert_eq!(gateway.get_with("/a", &[("x-a", "2")]).await.text(), "for 2");
    says(&[("vary", "x-b")], "for b");
    assert_eq!(gateway.get_with("/a", &[("x-a", "2"), ("x-b", "b")]).await.text(), "for b");
    assert_eq!(gateway.get_with("/a", &[("x-a", "2")]).await.text(), "for 2");
    // It may be asked for again; a wrong page is never given.
    says(&[("vary", "x-a")], "for 1 again");
    assert!(gateway.get_with("/a", &[("x-a", "1")]).await.text().starts_with("for 1"));
}

#[tokio::test]
async fn p15_a_header_that_answers_vary_on_makes_no_longer_keys_than_allowed() {
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "x-long")]));
    gateway.get("/a").await;
    let long = "x".repeat(gateway.isr.limits().key_bytes);
    for _ in 0..2 {
        assert_eq!(gateway.get_with("/a", &[("x-long", &long)]).await.detail(), "key-too-long");
    }
    assert_eq!(gateway.isr.stats().pages, 1);
}

#[tokio::test]
async fn h07_a_failure_is_shared_with_nobody_whom_its_vary_may_tell_apart() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Rfc));
    let gate = Gate::default();
    gateway.says("/a", Said::with(500, &[("vary", "cookie")]).body("what went wrong for anna").behind(&gate));
    let visit = |cookie: &'static str| {
        let site = gateway.site.clone();
        async move { get_with(&site, "/a", &[("cookie", cookie)]).await }
    };
    let leading = tokio::spawn(visit("user=anna"));
    gate.arrival().await;
    let following = begun(visit("user=bob")).await;
    gateway.says("/a", Said::ok(&[("vary", "cookie")]).body("for bob"));
    gate.open(1);
    assert_eq!(leading.await.unwrap().text(), "what went wrong for anna");
    assert_eq!(following.await.text(), "for bob");
}

#[tokio::test]
async fn h07_a_failure_that_varies_on_what_its_waiters_were_sorted_by_is_shared() {
    let gateway = Gateway::new();
    let vary = ("vary", "accept-language");
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), vary]));
    let german = [("accept-language", "de")];
    gateway.get_with("/a", &german).await;
    gateway.clock.advance(super::S * 61);
    let gate = Gate::default();
    gateway.says("/a", Said::with(500, &[vary]).behind(&gate));
    let visit = || {
        let site = gateway.site.clone();
        async move { get_with(&site, "/a", &[("accept-language", "de")]).await }
    };
    let leading = tokio::spawn(visit());
    gate.arrival().await;
    let following = begun(visit()).await;
    gate.open(1);
    assert_eq!(
        (leading.await.unwrap().status, following.await.status.as_u16()),
        (500.try_into().unwrap(), 500)
    );
    assert_eq!(gateway.asked(), 2, "nobody asked a failing origin once more");
}

#[tokio::test]
async fn h07_an_answer_that_varies_on_what_its_origin_is_not_told_as_it_came_is_not_stored() {
    for name in ["X-Forwarded-For", "forwarded", "x_forwarded_host", "x-original-url", "x-real-ip"] {
        let gateway = Gateway::new();
        gateway
            .says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", &format!("accept, {name}"))]));
        for _ in 0..2 {
            let answer = gateway.get("/a").await;
            assert!(!answer.is_hit() && !answer.cache_status().contains("stored"), "{name}");
        }
        assert_eq!(gateway.asked(), 2, "{name}");
    }
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "x-forwarded-for")]));
    assert_eq!(gateway.get("/a").await.detail(), "vary-withheld");
}

#[tokio::test]
async fn h07_a_cookie_in_several_lines_is_the_one_that_they_make() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Rfc));
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "cookie")]));
    gateway.get_with("/a", &[("cookie", "a=1; b=2")]).await;
    let again = gateway.get_with("/a", &[("cookie", "a=1"), ("cookie", "b=2")]).await;
    assert!(again.is_fresh_hit(), "{}", again.cache_status());
    let other = gateway.get_with("/a", &[("cookie", "a=1, b=2")]).await;
    assert!(!other.is_hit(), "a comma may stand in a cookie: {}", other.cache_status());
}
