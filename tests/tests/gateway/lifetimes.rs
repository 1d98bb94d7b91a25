//! For how long an answer is fresh: rules 1, 4, 5 and 6, and the heuristics of rule 2.

use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gateway, Said};

use super::{S, age, is_reused, reuses, ttl};

#[tokio::test]
async fn h01_a_targeted_field_decides_in_place_of_the_others() {
    for (targeted, plain, expected) in [
        ("max-age=60", "no-store", true),
        ("no-store", "max-age=60", false),
        ("max-age=\"60\"", "no-store", false),
        ("max-age=60, no-store=1", "max-age=60", true),
        ("", "max-age=60", true),
        ("private", "max-age=60", false),
    ] {
        let headers = [("cdn-cache-control", targeted), ("cache-control", plain)];
        assert_eq!(reuses(&headers).await, expected, "{headers:?}");
    }
    let gateway = Gateway::new();
    gateway.says(
        "/a",
        Said::ok(&[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store"), ("age", "5")]),
    );
    gateway.get("/a").await;
    let hit = gateway.get("/a").await;
    assert_eq!(hit.header("cdn-cache-control"), "max-age=60", "it is handed on as it came");
    assert_eq!((hit.header("cache-control").as_str(), age(&hit)), ("no-store", 5));
    assert_eq!(ttl(&gateway).await, 55);
}

#[tokio::test]
async fn h01_which_fields_are_targeted_is_a_setting() {
    let headers = [("a-control", "max-age=60"), ("cdn-cache-control", "no-store")];
    assert!(!reuses(&headers).await);
    let gateway = Gateway::with(Policy::from_origin().targeted(["a-control", "cdn-cache-control"]));
    assert!(is_reused(&gateway, Said::ok(&headers)).await);
}

#[tokio::test]
async fn h02_heuristic_freshness_needs_a_date_of_change() {
    let gateway = Gateway::new();
    let (now, changed) = (gateway.date(0), gateway.date(-1000));
    let headers = [("date", now.as_str()), ("last-modified", changed.as_str())];
    assert!(is_reused(&gateway, Said::ok(&headers)).await);
    assert!((80..=100).contains(&ttl(&gateway).await), "a tenth, rounded down");
    gateway.clock.advance(101 * S);
    assert!(!gateway.get("/a").await.is_hit());
    assert!(!reuses(&[("date", &now)]).await, "nothing to go by");
    let off = Gateway::with(Policy::from_origin().heuristics(false));
    assert!(!is_reused(&off, Said::ok(&headers)).await);
}

#[tokio::test]
async fn h04_age_grows_from_what_the_origin_said() {
    let gateway = Gateway::new();
    let date = gateway.date(0);
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=100"), ("age", "40, 7"), ("date", &date)]));
    assert_eq!(age(&gateway.get("/a").await), 40);
    gateway.clock.advance(10 * S);
    let hit = gateway.get("/a").await;
    assert_eq!((age(&hit), hit.header("date")), (50, date), "the origin's date stays");
    assert_eq!(ttl(&gateway).await, 50);
    gateway.clock.advance(49 * S);
    assert!(gateway.get("/a").await.is_fresh_hit());
    gateway.clock.advance(S);
    assert!(!gateway.get("/a").await.is_hit());
}

#[tokio::test]
async fn h04_an_answer_without_a_date_gets_that_of_its_receipt() {
    let gateway = Gateway::new();
    let date = gateway.date(0);
    gateway.says("/a", Said::ok(&[("cache-control", "max-age=60")]));
    gateway.get("/a").await;
    gateway.clock.advance(9 * S);
    let hit = gateway.get("/a").await;
    assert_eq!((hit.header("date"), age(&hit)), (date, 9));
}

#[tokio::test]
async fn h04_ages_that_are_none_are_ignored_and_long_ones_saturate() {
    for said in ["x", "-5", "5.5", "", "5;a"] {
        let gateway = Gateway::new();
        assert!(
            is_reused(&gateway, Said::ok(&[("cache-control", "max-age=60"), ("age", said)])).await,
            "{said}"
        );
        assert_eq!(age(&gateway.get("/a").await), 0, "{said}");
    }
    let long = [("cache-control", "max-age=99999999999"), ("age", "99999999999")];
    let gateway = Gateway::new();
    assert!(!is_reused(&gateway, Said::ok(&long)).await);
    let with_etag = [("etag", "\"a\""), long[0], long[1]];
    gateway.says("/b", Said::ok(&with_etag));
    assert_eq!(
        age(&gateway.get("/b").await),
        2_147_483_647,
        "stored to be validated, and as old as can be said"
    );
}

#[tokio::test]
async fn h04_a_clock_of_the_origin_that_is_wrong_comes_out_right() {
    // An hour behind, which looks like an answer that is an hour old.
    let gateway = Gateway::new();
    let (date, expires) = (gateway.date(-3600), gateway.date(-3540));
    assert!(!is_reused(&gateway, Said::ok(&[("date", &date), ("expires", &expires)])).await);
    // An hour ahead: a minute is a minute.
    let (date, expires) = (gateway.date(3600), gateway.date(3660));
    gateway.says("/b", Said::ok(&[("date", &date), ("expires", &expires)]));
    gateway.get("/b").await;
    gateway.clock.advance(59 * S);
    assert!(gateway.get("/b").await.is_fresh_hit());
    gateway.clock.advance(S);
    assert!(!gateway.get("/b").await.is_hit());
}

#[tokio::test]
async fn h05_expires_is_a_date_or_has_passed() {
    let gateway = Gateway::new();
    let (now, later) = (gateway.date(0), gateway.date(60));
    for (expires, expected) in [
        (later.clone(), true),
        (later.to_uppercase(), true),
        (later.replace("GMT", "UTC"), false),
        (later.replace(", ", " "), false),
        (later.replacen(' ', "  ", 1), false),
        ("0".to_owned(), false),
        (now.clone(), false),
    ] {
        assert_eq!(reuses(&[("date", &now), ("expires", &expires)]).await, expected, "{expires}");
    }
    assert!(!reuses(&[("date", &now), ("expires", &later), ("expires", &later)]).await);
    assert!(reuses(&[("date", "today"), ("expires", &later)]).await, "then the time of receipt counts");
    assert!(reuses(&[("cache-control", "max-age=60"), ("expires", "0")]).await, "`max-age` outranks it");
}

#[tokio::test]
async fn h06_cache_control_is_read_towards_less() {
    for (lines, expected) in [
        (&["Max-Age=60"][..], true),
        (&["max-age=\"60\""], true),
        (&["x=\"no-store\", max-age=60"], true),
        (&["max-age=60", "max-age=0"], false),
        (&["max-age=60", "No-Store"], false),
        (&["max-age=60", "private=\"x\""], false),
        (&["max-age=0, s-maxage=60"], true),
        (&["max-age=60, s-maxage=0"], false),
        (&["max-age=6x"], false),
        (&["max-age=-60"], false),
        (&["max-age=60 no-store"], false),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
        assert_eq!(reuses(&headers).await, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn h06_no_cache_is_stored_and_validated_on_each_use() {
    let gateway = Gateway::new();
    let headers = [("cache-control", "no-cache=\"x\", max-age=60, stale-if-error=60"), ("etag", "\"a\"")];
    gateway.says("/a", Said::ok(&headers).body("page"));
    gateway.get("/a").await;
    gateway.says("/a", Said::with(304, &headers));
    for n in 1..4 {
        let answer = gateway.get("/a").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "page"));
        assert_eq!(gateway.seen()[n].headers["if-none-match"], "\"a\"");
    }
    gateway.says("/a", Said::with(503, &[]));
    assert_eq!(gateway.get("/a").await.status, 503, "nor is it used when that fails");
}
