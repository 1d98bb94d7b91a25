use super::*;

#[test]
fn a_url_without_query_covers_its_queries_and_no_longer_path() {
    let page = url(At::Host("h:3000"), "/a/b", Some("x=1"));
    let above: Vec<_> = page.ancestors().map(str::to_owned).collect();
    assert!(above.contains(&url(At::Host("h:3000"), "/a/b", None).to_string()));
    assert!(!above.contains(&url(At::Host("h:3000"), "/a", None).to_string()));
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let below: Vec<_> = prefix(At::Anywhere, "/blog/1").ancestors().map(str::to_owned).collect();
    assert!(below.contains(&prefix(At::Anywhere, "/blog/").to_string()));
    assert_eq!((prefix(At::Anywhere, "/"), prefix(At::Host("h"), "")), (all(), host("h")));
    assert!(!below.contains(&prefix(At::Anywhere, "/blo").to_string()));
}

#[test]
fn a_url_tag_leads_to_the_hash_of_its_page() {
    for (path, query) in [
        ("/posts/1", None),
        ("/a%20b/%C3%B6", Some("x=%41")),
        ("/a%2fb", None),
        ("/a%252fb", None),
        ("/", None),
    ] {
        let page = url_hash(7, path, query);
        for (at, host) in [(At::Anywhere, None), (At::Host("h:1"), Some(host_hash("h:1")))] {
            let read = UrlTag::read(url(at, path, query).as_str()).unwrap();
            assert_eq!((read.hash(7), read.host), (page, host), "{path}");
            assert_ne!(read.hash(8), page);
        }
    }
    let read = |tag: &Tag| UrlTag::read(tag.as_str());
    assert_eq!(read(&url(At::Anywhere, "/a", Some(""))).unwrap().hash(7), url_hash(7, "/a", None));
    assert!(read(&url(At::Anywhere, &"/a".repeat(200), None)).is_none(), "cut short");
    assert!(read(&prefix(At::Host("h"), "/a")).is_none());
}

#[test]
fn b07_a_host_is_tagged_without_the_default_port_of_either_scheme() {
    for authority in ["h:443", "h:80"] {
        assert_eq!(host(authority), host("h"));
        assert_eq!(prefix(At::Host(authority), "/a"), prefix(At::Host("h"), "/a"));
        assert_eq!(url(At::Host(authority), "/a", Some("b")), url(At::Host("h"), "/a", Some("b")));
        assert_eq!(host_hash(authority), host_hash("h"));
    }
    assert_eq!(host("[::1]:443"), host("[::1]"));
    for authority in ["h:8443", "h:8080", "[::443]"] {
        assert_ne!(host(authority), host("h"));
    }
    assert_eq!(UrlTag::read(url(At::Host("h:443"), "/", None).as_str()).unwrap().host, Some(host_hash("h")));
}

#[test]
fn b06_spellings_of_one_path_share_a_tag_and_an_encoded_slash_does_not() {
    let tag = |path| url(At::Anywhere, path, None);
    assert_eq!(tag("/%70osts/%c3%b6"), tag("/posts/%C3%B6"));
    assert_ne!(tag("/a%2fb"), tag("/a/b"));
    assert_ne!(tag("/a%2fb"), tag("/a%252fb"));
    assert_ne!(prefix(At::Anywhere, "/a%2fb"), prefix(At::Anywhere, "/a%252fb"));
    assert_eq!(tag("/100%"), tag("/100%25"));
    assert_ne!(tag("/a"), tag("/A"));
}
