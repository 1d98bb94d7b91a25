use super::*;

#[test]
fn tag_folds_case_and_encodes_everything_else() {
    for (namespace, id, text) in [
        ("post", "42", "post:42"),
        ("Post", "ABC", "post:abc"),
        ("post", "a b,c", "post:a%20b%2cc"),
        ("post", "", "post:%"),
        ("~all", "1", "%7eall:1"),
        ("shop:post", "1:2", "shop:post:1%3a2"),
        ("post", "a\r\nb\0", "post:a%0d%0ab%00"),
        ("post", "100%", "post:100%25"),
    ] {
        assert_eq!(tag(namespace, id).as_str(), text);
    }
}

#[test]
fn b01_parse_refuses_what_it_cannot_fold() {
    for (text, error) in [
        ("", TagError::Empty),
        ("a::b", TagError::Empty),
        ("a:", TagError::Empty),
        ("a\nb", TagError::Control),
        ("~all", TagError::Reserved),
    ] {
        assert_eq!(Tag::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Tag::parse(&"x".repeat(10_000_000)), Err(TagError::TooLong));
}

#[test]
fn over_long_ids_stay_different() {
    let (a, b) = (tag("p", "x".repeat(999) + "a"), tag("p", "x".repeat(999) + "b"));
    assert_ne!(a, b);
    assert!(a.as_str().len() <= MAX_TAG_BYTES);
    assert_eq!(Tag::parse(a.as_str()).as_ref(), Ok(&a));
    let id = "y".repeat(99);
    assert_eq!(Tag::parse(&format!("p:{id}")), Ok(tag("p", &id)), "written or read, it is one tag");
}

#[test]
fn p03_over_long_segments_lose_no_ancestor() {
    let kanji = "\u{65e5}\u{672c}\u{8a9e}".repeat(20);
    for name in [&*"x".repeat(250), &*kanji, &*format!("x{kanji}"), &*format!("xy{kanji}"), "short"] {
        let (above, below) = (tag("category", name), Tag::join(["category", name, "list", name]));
        assert!(below.ancestors().any(|one| one == above.as_str()), "{above} {below}");
        assert!(below.as_str().len() <= MAX_TAG_BYTES);
        for one in [&above, &below] {
            assert_eq!(Tag::parse(one.as_str()).as_ref(), Ok(one), "a printed tag parses to itself");
        }
        for above in below.ancestors() {
            assert_eq!(Tag::parse(above).unwrap().as_str(), above);
        }
    }
    let many = Tag::join(vec![&*"x".repeat(99); 9]);
    assert!(many.as_str().len() <= MAX_TAG_BYTES);
    assert_eq!(Tag::parse(many.as_str()).as_ref(), Ok(&many));
    for depth in 1..9 {
        let above = Tag::join(vec![&*"x".repeat(99); depth]);
        assert!(above == many || many.ancestors().any(|one| one == above.as_str()), "{depth}");
    }
    let name = "x".repeat(80);
    let (above, below) = (Tag::join([&*name; 3]), Tag::join([&*name, &*name, &*name, "1"]));
    assert!(below.ancestors().any(|one| one == above.as_str()), "{above} {below}");
}

#[test]
fn ancestors_end_at_segments() {
    assert_eq!(tag("a:b", "c").ancestors().collect::<Vec<_>>(), ["a", "a:b"]);
    assert_eq!(Tag::reserved("~path:o:x:y".into()).ancestors().collect::<Vec<_>>(), ["~path:o", "~path:o:x"]);
    assert_eq!(Tag::reserved("~all".into()).ancestors().count(), 0);
}
