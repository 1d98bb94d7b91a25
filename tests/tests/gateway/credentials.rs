//! Requests that name their visitor: rules 11 and 22.

use edge_isr_axum::Cookies;
use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gateway, Said};

/// Whether what was rendered for one request is given to the next.
async fn is_shared(policy: Policy, line: &str, one: &[(&str, &str)], other: &[(&str, &str)]) -> bool {
    let gateway = Gateway::with(policy);
    gateway.says("/a", Said::ok(&[("cache-control", line)]));
    gateway.get_with("/a", one).await;
    gateway.get_with("/a", other).await.is_fresh_hit()
}

const NOBODY: &[(&str, &str)] = &[];

#[tokio::test]
async fn h11_authorization_is_neither_stored_nor_answered_unless_the_answer_says_so() {
    let known = &[("authorization", "Basic eA==")][..];
    for (line, expected) in [
        ("max-age=60", false),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, public", true),
        ("max-age=60, must-revalidate", true),
        ("s-maxage=60", true),
    ] {
        for cookies in [Cookies::Explicit, Cookies::Ignore, Cookies::Rfc] {
            let policy = || Policy::from_origin().cookies(cookies.clone());
            assert_eq!(is_shared(policy(), line, known, NOBODY).await, expected, "{line}: stored");
            assert_eq!(is_shared(policy(), line, NOBODY, known).await, expected, "{line}: answered");
            assert_eq!(is_shared(policy(), line, known, known).await, expected, "{line}: to the same");
        }
    }
}

#[tokio::test]
async fn h22_a_cookie_is_treated_as_authorization_is() {
    let known = &[("cookie", "a=b")][..];
    for (line, expected) in [("max-age=60", false), ("max-age=60, public", true), ("s-maxage=60", true)] {
        let policy = Policy::from_origin;
        assert_eq!(is_shared(policy(), line, known, NOBODY).await, expected, "{line}: stored");
        assert_eq!(is_shared(policy(), line, NOBODY, known).await, expected, "{line}: answered");
    }
    let gateway = Gateway::new();
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    gateway.get_with("/a", known).await;
    assert_eq!(gateway.seen()[0].headers["cookie"], "a=b", "the origin sees it");
}

#[tokio::test]
async fn h22_cookies_may_be_kept_from_the_origin_or_mean_nothing() {
    let known = &[("cookie", "a=b")][..];
    let ignoring = || Policy::from_origin().cookies(Cookies::Ignore);
    assert!(is_shared(ignoring(), "max-age=60", known, NOBODY).await);
    assert!(is_shared(ignoring(), "max-age=60", NOBODY, known).await);
    let gateway = Gateway::with(ignoring());
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    gateway.get_with("/a", known).await;
    assert!(!gateway.seen()[0].headers.contains_key("cookie"));
    let rfc = || Policy::from_origin().cookies(Cookies::Rfc);
    assert!(is_shared(rfc(), "max-age=60", known, NOBODY).await);
    let gateway = Gateway::with(rfc());
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "cookie")]));
    gateway.get_with("/a", known).await;
    assert_eq!(gateway.seen()[0].headers["cookie"], "a=b");
    assert!(gateway.get_with("/a", known).await.is_fresh_hit());
    assert!(!gateway.get_with("/a", &[("cookie", "a=c")]).await.is_hit(), "`Vary` is the origin's to say");
}

#[tokio::test]
async fn h22_cookies_that_the_origin_does_not_see_select_nothing() {
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::Ignore));
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "Cookie, Accept-Language")]));
    gateway.get_with("/a", &[("cookie", "a=b")]).await;
    for headers in [&[("cookie", "a=b")][..], &[("cookie", "a=c")], &[]] {
        let answer = gateway.get_with("/a", headers).await;
        assert!(answer.is_fresh_hit(), "{headers:?}: {}", answer.cache_status());
    }
    assert_eq!(gateway.asked(), 1);
}

#[tokio::test]
async fn h22_cookies_that_do_not_count_are_kept_from_the_origin() {
    for policy in [
        Policy::from_origin().cookies(Cookies::bypass_on(["session"])),
        Policy::from_origin().cookies(Cookies::Ignore),
    ] {
        let gateway = Gateway::with(policy);
        gateway.says("/a", Said::ok(&[("cache-control", "max-age=60"), ("vary", "cookie")]));
        gateway.get_with("/a", &[("cookie", "theme=dark")]).await;
        assert!(!gateway.seen()[0].headers.contains_key("cookie"), "the answer is everybody's");
        assert!(gateway.get("/a").await.is_fresh_hit());
        // The same for what is asked in the background, and for who asks for less.
        gateway.says("/b", Said::ok(&[("cache-control", "max-age=60, stale-while-revalidate=60")]));
        gateway.get("/b").await;
        gateway.clock.advance(super::S * 61);
        gateway.get_with("/b", &[("cookie", "theme=dark")]).await;
        gateway.get_with("/c", &[("cookie", "theme=dark"), ("range", "bytes=0-1")]).await;
        assert!(
            gateway.seen().iter().all(|seen| !seen.headers.contains_key("cookie")),
            "{:?}",
            gateway.seen()
        );
    }
    let gateway = Gateway::with(Policy::from_origin().cookies(Cookies::bypass_on(["session"])));
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    for _ in 0..2 {
        assert_eq!(gateway.get_with("/a", &[("cookie", "a=b; session=1")]).await.detail(), "cookie");
    }
    assert_eq!(gateway.seen()[1].headers["cookie"], "a=b; session=1");
}

#[tokio::test]
async fn h11_h22_what_somebodys_credentials_led_to_leaves_everyones_page_alone() {
    for known in [("authorization", "x"), ("cookie", "a=b")] {
        for (status, theirs) in [
            (200, &[("cache-control", "private, max-age=60")][..]),
            (200, &[("cache-control", "no-store")]),
            (200, &[("cache-control", "max-age=60"), ("set-cookie", "a=c")]),
            (200, &[("cache-control", "public, max-age=60"), ("set-cookie", "a=c")]),
            (200, &[("cache-control", "public, max-age=60"), ("vary", "*")]),
            (403, &[]),
            (500, &[]),
        ] {
            let gateway = Gateway::new();
            gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]).body("everyone's"));
            gateway.get("/a").await;
            gateway.says("/a", Said::with(status, theirs).body("theirs"));
            for _ in 0..3 {
                assert_eq!(gateway.get_with("/a", &[known]).await.text(), "theirs");
            }
            let answer = gateway.get("/a").await;
            assert!(answer.is_fresh_hit(), "{known:?} {theirs:?}: {}", answer.cache_status());
            assert_eq!(answer.text(), "everyone's");
            // Nor is the next one's page passed because of theirs.
            gateway.clock.advance(super::S * 61);
            gateway.get_with("/a", &[known]).await;
            gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
            assert_ne!(gateway.get("/a").await.detail(), "pass", "{known:?} {theirs:?}");
        }
    }
}
