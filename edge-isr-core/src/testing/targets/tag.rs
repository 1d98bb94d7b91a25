//! Tags: folded, printed, read back, and in sets.

use std::collections::BTreeSet;

use super::lines;
use crate::model::tag::MAX_TAG_BYTES;
use crate::{Tag, TagError, TagSet};

/// The first line is a namespace, the second an id, all that follows another id and a text to be read as a tag.
///
/// Whatever they are: a tag is made of them, is inert, and is the same tag once printed and read; different ids are
/// different tags unless only their case differs; what covers a tag is the beginning of its text.
///
/// # Panics
///
/// When it is not.
pub fn tag(input: &[u8]) {
    let mut parts = input.splitn(3, |&byte| byte == b'\n').map(String::from_utf8_lossy);
    let mut next = || parts.next().unwrap_or_default();
    let (namespace, one, two) = (next(), next(), next());
    made(&namespace, &one, &two);
    covered(&namespace, &one, &two);
    for text in [&*namespace, &*one, &*two] {
        parsed(text);
    }
    set(input);
}

fn made(namespace: &str, one: &str, two: &str) {
    let (a, b) = (crate::tag(namespace, one), crate::tag(namespace, two));
    for tag in [&a, &b, &Tag::named(namespace), &Tag::join([namespace, one, two])] {
        is_well_formed(tag);
    }
    let mut segments: Vec<&str> = namespace.split(':').collect();
    assert_eq!(Tag::named(namespace), Tag::join(segments.clone()));
    segments.push(one);
    assert_eq!(a, Tag::join(segments), "a thing's tag is that of its segments");
    let folded = [one, two].map(|id| folded(&[namespace.split(':').collect(), vec![id]].concat()));
    for (tag, folded) in [&a, &b].into_iter().zip(&folded) {
        if is_short(folded) {
            assert_eq!(tag.as_str(), folded);
        }
    }
    // Ids that stand in their tags whole or as a hash; only an id that spells another's hash out shares its tag.
    let is_free = |folded: &String| !folded.contains("~~") && namespace.len() <= 48;
    if folded.iter().all(is_free) {
        assert_eq!(a == b, one.eq_ignore_ascii_case(two), "{a} {b}");
    }
}

/// The text of a tag whose segments are short, written out.
fn folded(segments: &[&str]) -> String {
    let fold = |(n, segment): (usize, &&str)| {
        let mut text = String::new();
        for (at, byte) in segment.to_ascii_lowercase().bytes().enumerate() {
            match byte {
                b'~' if n + at == 0 => text += "%7e",
                b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-' => text.push(byte.into()),
                _ => text += &format!("%{byte:02x}"),
            }
        }
        if text.is_empty() { "%".to_owned() } else { text }
    };
    segments.iter().enumerate().map(fold).collect::<Vec<_>>().join(":")
}

fn is_short(folded: &str) -> bool {
    folded.len() <= MAX_TAG_BYTES - 35 && folded.split(':').all(|segment| segment.len() <= 80)
}

fn is_well_formed(tag: &Tag) {
    let text = tag.as_str();
    assert!(text.len() <= MAX_TAG_BYTES, "{text}");
    let is_inert =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'%' | b':' | b'-');
    assert!(text.bytes().all(is_inert) && !text.starts_with('~'), "{text}");
    assert_eq!(Tag::parse(text).as_ref(), Ok(tag), "a printed tag parses to itself");
    let expected: Vec<&str> = text.match_indices(':').map(|(at, _)| &text[..at]).collect();
    assert_eq!(tag.ancestors().collect::<Vec<_>>(), expected);
    for above in expected {
        assert_eq!(Tag::parse(above).map(|tag| tag.to_string()), Ok(above.to_owned()), "above {text}");
    }
}

/// A tag covers every tag that begins with its segments, however long they are.
fn covered(namespace: &str, one: &str, two: &str) {
    let all: Vec<&str> = namespace.split(':').chain([one, two]).take(12).collect();
    for end in 1..all.len() {
        let (above, below) = (Tag::join(all[..end].iter().copied()), Tag::join(all.iter().copied()));
        let is_covered = above == below || below.ancestors().any(|one| one == above.as_str());
        assert!(is_covered, "{below} is not below {above}");
    }
}

fn parsed(text: &str) {
    let has_control = |part: &str| part.bytes().any(|byte| byte.is_ascii_control());
    match Tag::parse(text) {
        Ok(tag) => {
            is_well_formed(&tag);
            assert!(!text.starts_with('~') && !has_control(text), "{text:?}");
            assert!(text.split(':').all(|part| !part.is_empty()), "{text:?}");
            assert_eq!(Tag::parse(&text.to_ascii_uppercase()), Ok(tag.clone()), "case does not matter");
            // What needs no encoding stands for itself; what is encoded stays so.
            if !text.contains('%') {
                assert_eq!(tag, Tag::named(text));
            }
        }
        Err(TagError::Reserved) => assert!(text.starts_with('~'), "{text:?}"),
        Err(TagError::Empty) => assert!(text.split(':').any(str::is_empty), "{text:?}"),
        Err(TagError::Control) => assert!(has_control(text), "{text:?}"),
        Err(TagError::TooLong) => {
            let encoded = text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 });
            assert!(encoded.sum::<usize>() > MAX_TAG_BYTES, "{text:?}");
        }
    }
}

/// A set is what the standard library's is.
fn set(input: &[u8]) {
    let texts: Vec<_> = lines(input).take(12).map(String::from_utf8_lossy).collect();
    let tags: Vec<Tag> = texts.iter().map(|text| Tag::named(text)).collect();
    let model: BTreeSet<Tag> = tags.iter().cloned().collect();
    let (mut set, mut seen) = (TagSet::default(), BTreeSet::new());
    for tag in &tags {
        assert_eq!(set.insert(tag.clone()), seen.insert(tag.clone()));
    }
    assert!(set.iter().eq(&model) && set.len() == model.len());
    assert_eq!(set, tags.iter().cloned().collect());
    let mut above: BTreeSet<&str> = model.iter().map(Tag::as_str).collect();
    above.extend(model.iter().flat_map(Tag::ancestors));
    let all: BTreeSet<&str> = set.with_ancestors().into_iter().collect();
    assert_eq!((all.len(), &all), (set.with_ancestors().len(), &above));
}
