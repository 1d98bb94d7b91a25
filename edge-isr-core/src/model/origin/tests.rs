//! The rules on answers as tables: a head in, terms or a reason out.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, response};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::reason::Reason;

/// Sun, 06 Nov 1994 08:49:37 GMT.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

pub(super) fn asked() -> Asked {
    Asked { has_authorization: false, has_cookie: false, is_narrowed: false, sent: now(), received: now() }
}

type Fields<'a> = &'a [(&'static str, &'a str)];

pub(super) fn headers(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

pub(super) fn answer(status: u16, fields: Fields<'_>) -> response::Parts {
    let mut parts = Response::builder().status(status).body(()).unwrap().into_parts().0;
    parts.headers = headers(fields);
    parts
}

fn judge(status: u16, fields: Fields<'_>) -> Result<Terms, Reason> {
    terms(&answer(status, fields), &asked(), &Obeys::default())
}

/// Seconds of freshness, of `stale-while-revalidate` and of `stale-if-error`.
fn windows(fields: Fields<'_>) -> (u64, u64, u64) {
    let mut with_validator = vec![("etag", "\"a\"")];
    with_validator.extend(fields);
    let lifetime = judge(200, &with_validator).unwrap().lifetime;
    (lifetime.fresh.as_secs(), lifetime.while_revalidate.as_secs(), lifetime.if_error.as_secs())
}

#[test]
fn h01_a_targeted_field_replaces_cache_control_and_expires() {
    let cases: &[(&str, &str, Result<u64, Reason>)] = &[
        ("max-age=60", "no-store", Ok(60)),
        ("max-age=60, foo=?0, bar=(1 2)", "private", Ok(60)),
        ("max-age=60;x=1", "max-age=9", Ok(60)),
        ("no-store", "max-age=9", Err(Reason::NoStore)),
        ("private=\"x\"", "max-age=9", Err(Reason::Private)),
        ("max-age=99999999999", "no-store", Ok(2_147_483_647)),
        // Empty, unreadable, or of the wrong type: as if it were not there.
        ("", "max-age=9", Ok(9)),
        ("max-age=\"60\"", "max-age=9", Ok(9)),
        ("max-age=60.0", "max-age=9", Ok(9)),
        ("max-age", "max-age=9", Ok(9)),
        ("max-age=(60)", "max-age=9", Ok(9)),
        ("no-store=?0", "max-age=9", Ok(9)),
        ("no-store=1", "max-age=9", Ok(9)),
        ("Max-Age=60", "max-age=9", Ok(9)),
        ("max-age =60", "max-age=9", Ok(9)),
        ("max-age=60,", "max-age=9", Ok(9)),
        ("max-age=60, \u{e9}", "max-age=9", Ok(9)),
    ];
    for (targeted, plain, expected) in cases {
        let found = judge(200, &[("cdn-cache-control", targeted), ("cache-control", plain)]);
        assert_eq!(found.map(|terms| terms.lifetime.fresh.as_secs()), *expected, "{targeted}");
    }
    // Lines are one field.
    assert_eq!(
        windows(&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "must-revalidate")]),
        (60, 0, 0)
    );
    let expires = ("expires", "Sun, 06 Nov 1994 09:49:37 GMT");
    assert_eq!(windows(&[("cdn-cache-control", "public"), expires]), (0, 0, 0));
    assert_eq!(windows(&[("cdn-cache-control", "max-age=-1"), ("cache-control", "max-age=9")]), (0, 0, 0));
}

#[test]
fn h01_other_targeted_fields_are_obeyed_by_choice_and_in_order() {
    let fields: Fields<'_> =
        &[("a-control", "max-age=1"), ("b-control", "max-age=2"), ("cache-control", "max-age=3")];
    for (targeted, expected) in [
        (&[][..], 3),
        (&["a-control"], 1),
        (&["b-control", "a-control"], 2),
        (&["x-control", "a-control"], 1),
        (&["x-control"], 3),
    ] {
        let targeted = targeted.iter().copied().map(HeaderName::from_static).collect();
        let found = terms(&answer(200, fields), &asked(), &Obeys { targeted, ..Obeys::default() });
        assert_eq!(found.unwrap().lifetime.fresh.as_secs(), expected);
    }
    let found =
        judge(200, &[("surrogate-control", "no-store"), ("cache-control", "max-age=3"), ("age", "1")]);
    assert_eq!(found.unwrap().age, Duration::from_secs(1), "`Age` counts with any field");
}

#[test]
fn h02_any_final_status_with_explicit_freshness() {
    let expires = ("expires", "Sun, 06 Nov 1994 08:50:37 GMT");
    for status in (200..=599).filter(|status| ![206, 304].contains(status)) {
        for field in [("cache-control", "max-age=60"), ("cdn-cache-control", "s-maxage=60"), expires] {
            let fresh = judge(status, &[field]).map(|terms| terms.lifetime.fresh.as_secs());
            assert_eq!(fresh, Ok(60), "{status} {field:?}");
        }
    }
    for (status, reason) in
        [(100, Reason::Status), (103, Reason::Status), (304, Reason::Status), (206, Reason::Partial)]
    {
        assert_eq!(judge(status, &[("cache-control", "max-age=60")]), Err(reason), "{status}");
    }
    for status in [412, 416, 404] {
        let parts = answer(status, &[("cache-control", "max-age=60")]);
        let narrowed = terms(&parts, &Asked { is_narrowed: true, ..asked() }, &Obeys::default());
        assert_eq!(narrowed.is_ok(), status == 404, "{status}");
    }
    let part = judge(200, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-1/9")]);
    assert_eq!(part, Err(Reason::Partial));
}

#[test]
fn h02_without_a_lifetime_few_statuses_are_stored() {
    let etag = ("etag", "\"a\"");
    for status in (200..=599).filter(|status| *status != 206) {
        let is_stored = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].contains(&status);
        let expected = if is_stored { Ok(Duration::ZERO) } else { Err(Reason::Status) };
        assert_eq!(judge(status, &[etag]).map(|terms| terms.lifetime.fresh), expected, "{status}");
        if status != 304 {
            let marked = judge(status, &[etag, ("cache-control", "public")]);
            assert_eq!(marked.map(|terms| terms.lifetime.fresh), Ok(Duration::ZERO), "{status} and `public`");
        }
    }
}

#[test]
fn h02_heuristic_freshness_is_a_tenth_of_the_age_of_the_last_change() {
    // 1000 s before.
    let modified = ("last-modified", "Sun, 06 Nov 1994 08:32:57 GMT");
    let fresh = |status, fields: Fields<'_>| {
        let mut all = vec![("etag", "\"a\"")];
        all.extend(fields);
        judge(status, &all).map(|terms| terms.lifetime.fresh.as_secs())
    };
    for status in (200..=599).filter(|status| ![206, 304].contains(status)) {
        let is_heuristic = [200, 203, 204, 404, 405, 410, 414, 501].contains(&status);
        let is_never = [201, 202, 403, 502, 503, 504].contains(&status);
        // 100 rounded down to an eighth of 64.
        let expected = if is_heuristic { 96 } else { 0 };
        assert_eq!(fresh(status, &[modified]).unwrap_or_default(), expected, "{status}");
        let public = fresh(status, &[modified, ("cache-control", "public")]);
        assert_eq!(public, Ok(if is_never { 0 } else { 96 }), "{status} and `public`");
    }
    for (fields, expected) in [
        (&[("last-modified", "Fri, 06 Nov 1964 08:32:57 GMT")][..], 86_400),
        (&[("last-modified", "Sun, 06 Nov 1994 09:32:57 GMT")], 0),
        (&[("last-modified", "yesterday")], 0),
        (&[modified, modified], 0),
        // Counted from `Date`, whatever our clock says.
        (&[modified, ("date", "Sun, 06 Nov 1994 08:34:37 GMT")], 10),
        (&[modified, ("cache-control", "max-age=5")], 5),
        (&[modified, ("cache-control", "max-age=x")], 0),
        (&[modified, ("cache-control", "no-cache")], 0),
        (&[modified, ("expires", "0")], 0),
        (&[modified, ("cache-control", "must-revalidate")], 96),
        (&[modified, ("cdn-cache-control", "public"), ("expires", "0")], 96),
    ] {
        assert_eq!(fresh(200, fields), Ok(expected), "{fields:?}");
    }
    let off = Obeys { heuristics: false, ..Obeys::default() };
    assert_eq!(terms(&answer(200, &[modified]), &asked(), &off).unwrap().lifetime.fresh, Duration::ZERO);
}

#[test]
fn h02_must_understand_overrides_no_store_for_statuses_we_know() {
    for (status, line, expected) in [
        (200, "max-age=9, no-store, must-understand", Ok(())),
        (404, "max-age=9, must-understand, no-store", Ok(())),
        (308, "max-age=9, no-store, must-understand", Ok(())),
        (200, "max-age=9, no-store", Err(Reason::NoStore)),
        (299, "max-age=9, no-store, must-understand", Err(Reason::Status)),
        (599, "max-age=9, must-understand", Err(Reason::Status)),
        (418, "max-age=9, must-understand", Err(Reason::Status)),
        (599, "max-age=9", Ok(())),
        (200, "max-age=9, must-understand, private, no-store", Err(Reason::Private)),
    ] {
        assert_eq!(judge(status, &[("cache-control", line)]).map(drop), expected, "{status} {line}");
    }
    assert_eq!(judge(206, &[("cache-control", "max-age=9, must-understand")]), Err(Reason::Partial));
}

#[test]
fn h05_expires_counts_from_date_and_what_is_none_has_expired() {
    let expires = ("expires", "Sun, 06 Nov 1994 08:50:37 GMT");
    let date = |value| ("date", value);
    for (fields, expected) in [
        (&[expires][..], 60),
        (&[expires, date("Sun, 06 Nov 1994 08:50:07 GMT")], 30),
        (&[expires, date("Sun, 06 Nov 1994 08:50:38 GMT")], 0),
        (&[expires, date("today")], 60),
        (&[("expires", "0")], 0),
        (&[expires, expires], 0),
        (&[expires, ("cache-control", "max-age=5")], 5),
        (&[("expires", "0"), ("cache-control", "max-age=5")], 5),
        (&[expires, ("cache-control", "s-maxage=x, max-age=5")], 0),
        (&[expires, ("cache-control", "foo")], 60),
        (&[expires, ("pragma", "no-cache")], 60),
    ] {
        assert_eq!(windows(fields), (expected, 0, 0), "{fields:?}");
    }
    let far = ("expires", "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(windows(&[far]).0, 2_147_483_647);
}

#[test]
fn h04_a_wrong_clock_of_the_origin_makes_no_wrong_lifetime() {
    // An hour behind and an hour ahead: the lifetime is that of its own clock.
    let behind = [("date", "Sun, 06 Nov 1994 07:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 09:49:37 GMT")];
    let found = judge(200, &behind).unwrap();
    assert_eq!((found.lifetime.fresh.as_secs(), found.age.as_secs()), (7200, 3600));
    let ahead = [("date", "Sun, 06 Nov 1994 09:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 09:50:37 GMT")];
    let found = judge(200, &ahead).unwrap();
    assert_eq!((found.lifetime.fresh.as_secs(), found.age.as_secs()), (60, 0));
}

#[test]
fn h06_what_conflicts_or_is_malformed_goes_towards_less_caching() {
    for (lines, expected) in [
        (&["max-age=60"][..], 60),
        (&["MAX-AGE=60"], 60),
        (&["max-age=\"60\""], 60),
        (&["max-age=0060"], 60),
        (&["foo, max-age=60, bar=\"max-age=5\", baz=1"], 60),
        (&["foo=\"max-age=60\""], 0),
        (&["max-age=60, s-maxage=5"], 5),
        (&["s-maxage=60, max-age=5"], 60),
        (&["max-age=60, max-age=5"], 5),
        (&["max-age=5", "max-age=60"], 5),
        (&["s-maxage=60, s-maxage=5"], 5),
        (&["max-age=60, max-age=x"], 0),
        (&["max-age=60, s-maxage=x"], 0),
        (&["s-maxage=60, max-age=-1"], 0),
        (&["max-age=2147483648"], 2_147_483_647),
        (&["max-age=99999999999999999999"], 2_147_483_647),
        (&["max-age='60'"], 0),
        (&["max-age=60.0"], 0),
        (&["max-age=1e3"], 0),
        (&["max-age=60a"], 0),
        (&["max-age=a60"], 0),
        (&["max-age=-60"], 0),
        (&["max-age=+60"], 0),
        (&["max-age=\"\""], 0),
        (&["max-age=\"6\\0\""], 0),
        (&["max-age"], 0),
        (&["max-age=60, no-cache"], 0),
        (&["max-age=60, No-Cache=\"x\""], 0),
        (&["max-age=60", "no-cache"], 0),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
        assert_eq!(windows(&fields), (expected, 0, 0), "{lines:?}");
    }
    for line in
        ["max-age=60 no-store", "max-age =60", "max-age= 60", "max-age=60, =", "x=\"", "max-age=60;x", "é"]
    {
        assert_eq!(judge(200, &[("cache-control", line)]), Err(Reason::BadCacheControl), "{line}");
    }
    for (line, reason) in [
        ("max-age=60, private", Reason::Private),
        ("max-age=60, private=\"x, y\"", Reason::Private),
        ("public, Private", Reason::Private),
        ("max-age=60, no-store", Reason::NoStore),
        ("max-age=60, no-store=1", Reason::NoStore),
    ] {
        assert_eq!(judge(200, &[("cache-control", line)]), Err(reason), "{line}");
        assert_eq!(
            judge(200, &[("cache-control", "max-age=1"), ("cache-control", line)]),
            Err(reason),
            "{line}"
        );
    }
}

#[test]
fn h07_an_answer_that_varies_on_everything_is_not_stored() {
    let fresh = ("cache-control", "max-age=9");
    assert_eq!(judge(200, &[fresh, ("vary", "accept, *")]), Err(Reason::VaryStar));
    assert!(judge(200, &[fresh, ("vary", "accept, cookie, x-any")]).is_ok());
}

#[test]
fn h11_h22_requests_with_credentials_share_what_says_so() {
    for (line, for_credentials) in [
        ("max-age=9", false),
        ("max-age=9, proxy-revalidate", false),
        ("max-age=9, foo=\"public\"", false),
        ("max-age=9, public=x", false),
        ("max-age=9, public", true),
        ("max-age=9, Must-Revalidate", true),
        ("s-maxage=9", true),
        ("max-age=9, s-maxage=0", true),
        ("max-age=9, s-maxage=x", false),
    ] {
        let parts = answer(200, &[("cache-control", line), ("etag", "\"a\"")]);
        let judge = |asked: &Asked, cookies| terms(&parts, asked, &Obeys { cookies, ..Obeys::default() });
        let found = judge(&asked(), OriginCookies::Explicit).unwrap();
        assert_eq!(found.for_credentials, for_credentials, "{line}");
        let authorized = Asked { has_authorization: true, ..asked() };
        let expected = if for_credentials { Ok(found) } else { Err(Reason::Authorization) };
        for cookies in [OriginCookies::Explicit, OriginCookies::Ignore, OriginCookies::Rfc] {
            assert_eq!(judge(&authorized, cookies), expected, "{line} {cookies:?}");
        }
        let known = Asked { has_cookie: true, ..asked() };
        let expected = if for_credentials { Ok(found) } else { Err(Reason::Cookie) };
        assert_eq!(judge(&known, OriginCookies::Explicit), expected, "{line}");
        assert_eq!(judge(&known, OriginCookies::Ignore), Ok(found), "{line}");
        assert_eq!(judge(&known, OriginCookies::Rfc), Ok(found), "{line}");
    }
    let targeted = [("cdn-cache-control", "max-age=9"), ("cache-control", "public")];
    assert!(!judge(200, &targeted).unwrap().for_credentials, "what the targeted field replaces says nothing");
}

#[test]
fn h17_answers_that_set_cookies_are_shared_by_choice_alone() {
    let parts = answer(200, &[("cache-control", "public, max-age=9"), ("set-cookie", "a=b")]);
    assert_eq!(terms(&parts, &asked(), &Obeys::default()), Err(Reason::SetCookie));
    let store = Obeys { set_cookie: SetCookie::Store, ..Obeys::default() };
    assert!(terms(&parts, &asked(), &store).is_ok());
}

#[test]
fn h02_a_stream_of_events_is_no_page() {
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
        let fields = [("cache-control", "max-age=9"), ("content-type", content_type)];
        assert_eq!(judge(200, &fields), Err(Reason::EventStream), "{content_type}");
    }
}

proptest! {
    /// Whatever an origin says, it has terms or a reason, and a prohibition more is never less.
    #[test]
    fn h06_a_prohibition_among_anything_is_found(
        status in 100..1000_u16,
        lines in vec((0..6_usize, "[ -~]{0,40}|[a-z-]{0,20}=[0-9a-z\"]{0,12}"), 0..5),
    ) {
        const NAMES: [&str; 6] = ["cache-control", "cdn-cache-control", "expires", "age", "vary", "date"];
        let fields: Vec<_> = lines.iter().map(|(name, value)| (NAMES[*name], value.as_str())).collect();
        let mut parts = answer(status, &fields);
        let found = terms(&parts, &asked(), &Obeys::default());
        if let Ok(terms) = found {
            prop_assert!(terms.lifetime.fresh <= Lifetime::LONGEST && terms.age <= Lifetime::LONGEST);
        }
        parts.headers.remove("cdn-cache-control");
        parts.headers.append("cache-control", HeaderValue::from_static("private"));
        prop_assert!(terms(&parts, &asked(), &Obeys::default()).is_err());
    }
}

#[test]
fn h03_stale_windows_need_permission() {
    for (line, expected) in [
        ("max-age=9", (9, 0, 0)),
        ("max-age=9, stale-while-revalidate=8, stale-if-error=7", (9, 8, 7)),
        ("max-age=9, stale-while-revalidate=8, must-revalidate", (9, 0, 0)),
        ("max-age=9, stale-if-error=8, proxy-revalidate", (9, 0, 0)),
        ("max-age=9, stale-if-error=8, no-cache", (0, 0, 0)),
        ("s-maxage=9, stale-while-revalidate=8, stale-if-error=7", (9, 8, 7)),
        ("max-age=9, stale-while-revalidate=x", (9, 0, 0)),
        ("max-age=9, stale-while-revalidate=8, stale-while-revalidate=3", (9, 3, 0)),
    ] {
        assert_eq!(windows(&[("cache-control", line)]), expected, "{line}");
    }
    let obeys = Obeys { if_error: Duration::from_secs(5), ..Obeys::default() };
    for (line, expected) in [
        ("max-age=9", 5),
        ("max-age=9, stale-if-error=0", 0),
        ("s-maxage=9", 0),
        ("s-maxage=9, stale-while-revalidate=8", 0),
        ("max-age=9, must-revalidate", 0),
    ] {
        let found = terms(&answer(200, &[("cache-control", line)]), &asked(), &obeys).unwrap();
        assert_eq!(found.lifetime.if_error.as_secs(), expected, "{line}");
    }
}

#[test]
fn h02_an_answer_that_is_of_no_use_is_not_stored() {
    for (fields, expected) in [
        (&[][..], Err(Reason::NoFreshness)),
        (&[("cache-control", "max-age=0")], Err(Reason::NoFreshness)),
        (&[("cache-control", "max-age=9"), ("age", "9")], Err(Reason::NoFreshness)),
        (&[("cache-control", "no-cache, max-age=9")], Err(Reason::NoCache)),
        (&[("last-modified", "yesterday")], Err(Reason::NoFreshness)),
        (&[("etag", "\"a\"")], Ok(0)),
        (&[("etag", "\"a\""), ("cache-control", "no-cache, max-age=9")], Ok(0)),
        (&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], Ok(0)),
        (&[("cache-control", "max-age=9, stale-if-error=9"), ("age", "9")], Ok(9)),
    ] {
        assert_eq!(judge(200, fields).map(|terms| terms.lifetime.fresh.as_secs()), expected, "{fields:?}");
    }
}

#[test]
fn h20_tags_come_from_the_headers_the_route_reads() {
    let tags = |fields: Fields<'_>| {
        let tags = tags_of(&headers(fields), &Obeys::default())?;
        Ok::<_, Reason>(tags.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        tags(&[
            ("surrogate-key", "post:1 a,b"),
            ("cache-tag", "Post:2, x,,y"),
            ("cache-groups", "\"Q r\", \"~all\"")
        ]),
        Ok(["%7eall", "a%2cb", "post:1", "post:2", "q%20r", "x", "y"].map(str::to_owned).to_vec())
    );
    for (name, value) in [("surrogate-key", "~all"), ("cache-tag", "a::b"), ("cache-tag", "\u{1f}a")] {
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { continue };
        let map = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
        assert_eq!(tags_of(&map, &Obeys::default()), Err(Reason::BadTag), "{map:?}");
    }
}

#[test]
fn clients_see_where_tags_are_read_from_only_by_choice() {
    let fields: Fields<'_> =
        &[("surrogate-key", "a"), ("cache-tag", "b"), ("cache-groups", "\"c\""), ("x", "1")];
    for (pass_tag_headers, left) in [(false, 1), (true, 4)] {
        let mut sent = headers(fields);
        Obeys { pass_tag_headers, ..Obeys::default() }.withhold_tags(&mut sent);
        assert_eq!(sent.len(), left);
        assert!(sent.contains_key("x"));
    }
}
