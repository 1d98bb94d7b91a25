use super::*;

#[test]
fn values_land_under_their_names_in_both_heads() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/html"),
        ("link", "</a>"),
        ("etag", "\"e\""),
        ("age", "99"),
        ("cache-status", "inner;fwd=miss"),
        ("cache-status", "middle;hit"),
        ("x-multi", "1"),
        ("x-multi", "2"),
        ("content-length", "3"),
        ("cache-control", "public"),
        ("surrogate-key", "a b"),
        ("date", "d"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let parts = HeadParts::take(StatusCode::OK, headers, Lifetime::default(), Loss::Miss);
    let own: Vec<HeaderValue> = parts.own().cloned().collect();
    let id = parts.id();
    let head = parts.build(id);
    let age = || HeaderValue::from_static("7");
    let status = || HeaderValue::from_static("c;hit");

    let full = head.full(age(), status(), &own);
    let get = |response: &Response<()>, name: &str| {
        response
            .headers()
            .get_all(name)
            .iter()
            .map(|v| v.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("|")
    };
    for (name, value) in [
        ("age", "7"),
        ("cache-status", "inner;fwd=miss, middle;hit, c;hit"),
        ("content-type", "text/html"),
        ("link", "</a>"),
        ("etag", "\"e\""),
        ("x-multi", "1|2"),
        ("content-length", "3"),
        ("cache-control", "public"),
        ("surrogate-key", "a b"),
        ("date", "d"),
    ] {
        assert_eq!(get(&full, name), value, "{name}");
    }
    let short = head.not_modified(age(), status(), &own);
    for (put_together, is_304) in [(&full, false), (&short, true)] {
        let values = [&age(), &head.after_prior(status())];
        let by_line: Vec<_> = head.fields(values, &own, is_304).collect();
        assert_eq!(by_line, put_together.headers().iter().collect::<Vec<_>>());
    }
    assert_eq!(short.status(), StatusCode::NOT_MODIFIED);
    for (name, value) in [
        ("age", "7"),
        ("etag", "\"e\""),
        ("cache-control", "public"),
        ("date", "d"),
        ("surrogate-key", "a b"),
        ("content-length", "3"),
        ("content-type", ""),
        ("link", ""),
    ] {
        assert_eq!(get(&short, name), value, "{name}");
    }
}
