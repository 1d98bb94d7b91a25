//! The rules on answers as tables: a head in, terms or a reason out.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, response};

use super::*;
use crate::model::reason::Reason;

/// Sun, 06 Nov 1994 08:49:37 GMT.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

pub(super) fn asked() -> Asked {
    Asked { has_authorization: false, has_cookie: false, sent: now(), received: now() }
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
