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
