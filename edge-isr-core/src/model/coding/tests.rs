use super::Coding::{Br, Gzip, Zstd};
use super::*;

fn of(line: &str) -> Vec<Coding> {
    Accepts::of(line.as_bytes()).iter().collect()
}

#[test]
fn what_browsers_say_is_read_as_it_would_be_letter_by_letter() {
    for line in [
        "gzip, deflate, br, zstd",
        "deflate, gzip, br, zstd",
        "gzip, deflate, br",
        "gzip, br",
        "gzip",
        "gzip, deflate",
        "gzip,deflate",
        "identity",
        "",
    ] {
        assert_eq!(Accepts::of(line.as_bytes()), Accepts::read([line.as_bytes()]), "{line:?}");
    }
    assert_eq!(of("gzip, deflate, br, zstd"), [Br, Zstd, Gzip]);
    assert_eq!(of("gzip, deflate"), [Gzip]);
}

#[test]
fn rfc_9110_12_5_3_qualities_decide_and_of_equals_the_smallest_comes_first() {
    for (line, expected) in [
        ("zstd, br, gzip", &[Br, Zstd, Gzip][..]),
        ("GZIP , Br", &[Br, Gzip]),
        ("x-gzip", &[Gzip]),
        ("br;q=0.5, gzip", &[Gzip, Br]),
        ("br;q=0.5, zstd;q=0.501, gzip;q=0.499", &[Zstd, Br, Gzip]),
        ("gzip ;\tQ=0.8 , br ; q=0.8", &[Br, Gzip]),
        ("gzip;q=0, br", &[Br]),
        ("gzip;q=0.000", &[]),
        ("*", &[Br, Zstd, Gzip]),
        ("*;q=0", &[]),
        ("br;q=0, *", &[Zstd, Gzip]),
        ("gzip, *;q=0", &[Gzip]),
        ("*;q=0.5, gzip;q=0.4", &[Br, Zstd]),
        ("deflate, compress", &[]),
    ] {
        assert_eq!(of(line), expected, "{line:?}");
    }
}

#[test]
fn rfc_9110_12_5_3_what_is_liked_less_than_identity_is_left_out() {
    for (line, expected) in [
        ("gzip, identity", &[Gzip][..]),
        ("gzip;q=0.5, identity", &[]),
        ("gzip;q=0.5, br, identity;q=0.7", &[Br]),
        ("gzip;q=0.001, identity;q=0", &[Gzip]),
        ("gzip;q=0.001", &[Gzip]),
        ("identity;q=0, *", &[Br, Zstd, Gzip]),
        ("identity;q=0", &[]),
    ] {
        assert_eq!(of(line), expected, "{line:?}");
    }
}

#[test]
fn what_is_malformed_says_nothing_and_fails_nothing() {
    for line in [
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.5555",
        "gzip;q=.5",
        "gzip;q=-1",
        "gzip;q=",
        "gzip;q",
        "gzip;level=9",
        "gzip;q=1;q=1",
        "gzip br",
        "gzipped",
        ";q=1",
        ",,;,",
        "\u{fc}",
    ] {
        assert_eq!(of(line), [], "{line:?}");
    }
    assert_eq!(of("gzip;q=nonsense, gzip;q=0.5, gzip;q=0"), [Gzip]);
    assert_eq!(of("gzip;q=0., br;q=1."), [Br]);
}

#[test]
fn lines_are_one_list_and_a_range_is_of_the_page_itself() {
    let mut headers = HeaderMap::new();
    assert_eq!(Accepts::of_request(&headers), Accepts::NONE);
    headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br;q=0.5, identity;q=0.1"));
    assert_eq!(Accepts::of_request(&headers).iter().collect::<Vec<_>>(), [Gzip, Br]);
    headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(Accepts::of_request(&headers), Accepts::NONE);
}

#[test]
fn codings_that_are_off_are_left_out_and_the_others_keep_their_order() {
    let all = Accepts::of(b"gzip, br;q=0.9, zstd;q=0.8");
    let only = |codings: &[Coding]| {
        let kept = codings.iter().fold(0, |kept, coding| kept | coding.bit());
        all.only(kept).iter().collect::<Vec<_>>()
    };
    assert_eq!(only(&Coding::ALL), [Gzip, Br, Zstd]);
    assert_eq!(only(&[Zstd, Gzip]), [Gzip, Zstd]);
    assert_eq!(only(&[]), []);
    assert_eq!(all.only(Br.bit()).best(), Some(Br));
}

fn codable(headers: &[(&'static str, &'static str)]) -> bool {
    let name = HeaderName::from_static;
    let mut map = HeaderMap::new();
    for (key, value) in headers {
        map.append(name(key), HeaderValue::from_static(value));
    }
    is_codable(&map)
}

#[test]
fn text_is_coded_and_what_is_compressed_already_is_not() {
    for kind in [
        "text/html; charset=utf-8",
        "TEXT/CSS",
        "application/json",
        "application/ld+json",
        "image/svg+xml",
        "application/wasm",
        " font/ttf ",
    ] {
        assert!(codable(&[("content-type", kind)]), "{kind}");
    }
    for kind in
        ["image/png", "image/webp", "video/mp4", "application/zip", "font/woff2", "application/pdf", "", "x"]
    {
        assert!(!codable(&[("content-type", kind)]), "{kind}");
    }
    assert!(!codable(&[]), "nothing is known of it");
    assert!(!codable(&[("content-type", "text/html"), ("content-type", "image/png")]));
}

#[test]
fn what_says_that_its_bytes_are_to_stay_is_left_alone() {
    let with = |name, value| codable(&[("content-type", "text/html"), (name, value)]);
    assert!(with("cache-control", "public, max-age=60"));
    assert!(!with("cache-control", "max-age=60, No-Transform"));
    assert!(!with("content-encoding", "gzip"));
    assert!(!with("content-encoding", "identity"));
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
        assert!(!with(name, "x"), "{name}");
    }
}
