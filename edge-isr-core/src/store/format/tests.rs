use std::borrow::Cow;

use http::HeaderValue;
use http::header::{ACCEPT_LANGUAGE, CACHE_STATUS};
use proptest::prelude::*;

use super::*;
use crate::model::ahead::Lead;
use crate::model::authority::Scheme;
use crate::model::conditional::Selection;
use crate::model::key::KeyRef;
use crate::model::verdict::Loss;
use crate::testing::sample::{self, SamplePage};

const NOW: Moment = Moment::from_nanos(Moment::BEGINNING.as_nanos() + 90_000_000_000);

/// All that a page says, as it can be compared.
fn told(page: &Page) -> String {
    let value = || HeaderValue::from_static("x");
    let answers = [Selection::Whole, Selection::NotModified].map(|selection| {
        let (parts, body) = page.answer(&selection, value(), value()).into_parts();
        // Lines of one name keep their order; names need not.
        let mut lines: Vec<_> = parts.headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
        lines.sort_by_key(|(name, _)| *name);
        (parts.status, format!("{lines:?}"), body.into_bytes())
    });
    let tags: Vec<&str> = page.tags().collect();
    let facts = (page.is_codable(), page.loss(), page.reuse(), page.lead(), *page.lifetime());
    let ids: Vec<_> = page.ids().collect();
    format!("{answers:?} {tags:?} {facts:?} {:?} {ids:?} {:?}", page.birth().snapshot, page.age(NOW))
}

fn sample(key: &CacheKey) -> SamplePage {
    let mut page = SamplePage { at: NOW.before(Duration::from_secs(7)), ..SamplePage::of(key) };
    page.headers.append(CACHE_STATUS, HeaderValue::from_static("inner; hit"));
    page
}

fn formats() -> [Format; 2] {
    [Format::new(), Format::sealed(b"secret")]
}

#[test]
fn a_page_is_read_as_it_was_written() {
    for format in formats() {
        for key in sample::neighbors() {
            for (body, loss, is_codable) in
                [(Bytes::new(), Loss::Miss, true), (vec![b'x'; 3 << 20].into(), Loss::Revalidate, false)]
            {
                let page = SamplePage { loss, body, ..sample(&key) }.build();
                let page = Arc::into_inner(page).unwrap().with_lead(Lead::of(Duration::from_millis(7), 1.5));
                let page = if is_codable { page.codable() } else { page };
                let written = format.write(&key, &page, NOW, 3).into();
                assert_eq!(
                    told(&format.read(&key, &written, Kept::For(Duration::ZERO), NOW).unwrap()),
                    told(&page)
                );
            }
        }
    }
}

#[test]
fn age_goes_on_while_a_page_is_kept() {
    let (format, key) = (Format::new(), sample::key());
    let page = sample(&key).build();
    let written = format.write(&key, &page, NOW, 0).into();
    let later = format.read(&key, &written, Kept::For(Duration::from_secs(40)), NOW).unwrap();
    assert_eq!(later.age(NOW), page.age(NOW) + Duration::from_secs(40));
    let (more, whole) = (Duration::from_secs(60), page.lifetime().total());
    for age in [7, 300, 86_700, 86_709] {
        let age = Duration::from_secs(age);
        let left = whole + more - age;
        let read = format.read(&key, &written, Kept::Left { left, more }, NOW).unwrap();
        assert_eq!(read.age(NOW), age);
    }
    // Longer than this process has been there.
    let old = format.read(&key, &written, Kept::For(Duration::from_secs(1 << 40)), NOW).unwrap();
    assert!(!old.lifetime().is_fresh(old.age(NOW)));
}

#[test]
fn the_page_of_another_key_is_none_of_this_one() {
    let format = Format::new();
    let keys = sample::neighbors();
    for key in &keys {
        let written = format.write(key, &sample(key).build(), NOW, 0).into();
        for other in keys.iter().filter(|other| *other != key) {
            let read = format.read(other, &written, Kept::For(Duration::ZERO), NOW);
            assert!(matches!(read, Err(FormatError::OtherKey | FormatError::Broken)), "{key:?} {other:?}");
        }
    }
}

#[test]
fn a_sealed_page_is_read_with_its_key_alone() {
    let key = sample::key();
    let all = [Format::new(), Format::sealed(b"a"), Format::sealed(b"b")];
    for (n, writer) in all.iter().enumerate() {
        let written = writer.write(&key, &sample(&key).build(), NOW, 0).into();
        for (m, reader) in all.iter().enumerate() {
            let read = reader.read(&key, &written, Kept::For(Duration::ZERO), NOW);
            assert_eq!(read.err(), (n != m).then_some(FormatError::Broken));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What a store gives back need not be what was put there.
    #[test]
    fn p28_what_was_cut_or_changed_is_an_error(
        at in any::<usize>(), bit in 0..8_u32, cut in any::<Option<usize>>(), is_sealed in any::<bool>(),
    ) {
        let format = &formats()[usize::from(is_sealed)];
        let key = sample::key();
        let mut written = format.write(&key, &sample(&key).build(), NOW, 0);
        match cut {
            Some(cut) => written.truncate(cut % written.len()),
            None => {
                let at = at % written.len();
                written[at] ^= 1 << bit;
            }
        }
        prop_assert!(format.read(&key, &written.into(), Kept::For(Duration::ZERO), NOW).is_err());
    }

    /// Bytes with a right sum, of whoever can write to the store.
    #[test]
    fn p28_no_bytes_are_a_panic(
        middle in proptest::collection::vec(any::<u8>(), 0..400), places in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        is_random in any::<bool>(),
    ) {
        let (format, key) = (Format::new(), sample::key());
        let mut text = format.write(&key, &sample(&key).build(), NOW, 0);
        text.truncate(text.len() - CRC_BYTES);
        if is_random {
            text.truncate(3);
            text.extend_from_slice(&middle);
        }
        for (at, byte) in places {
            let range = text.len() - 3;
            if let Some(place) = at.checked_rem(range).and_then(|at| text.get_mut(3 + at)) {
                *place = byte;
            }
        }
        text.extend_from_slice(&crc32fast::hash(&text).to_le_bytes());
        if let Ok(page) = format.read(&key, &text.into(), Kept::For(Duration::ZERO), NOW) {
            let _ = told(&page);
        }
    }
}

#[test]
fn other_bytes_are_told_apart() {
    let (format, key) = (Format::new(), sample::key());
    let read = |bytes: &'static [u8]| {
        format.read(&key, &Bytes::from_static(bytes), Kept::For(Duration::ZERO), NOW).err()
    };
    assert_eq!(read(b""), Some(FormatError::Foreign));
    assert_eq!(read(b"ei"), Some(FormatError::Foreign));
    assert_eq!(read(b"<html>"), Some(FormatError::Foreign));
    assert_eq!(read(b"ei\x02 whatever it may be"), Some(FormatError::Newer));
    assert_eq!(read(b"ei\x01"), Some(FormatError::Broken));
}

/// What version 1 wrote, kept for good.
const VERSION_1: [(&[u8], Option<&[u8]>); 2] =
    [(include_bytes!("page-v1.bin"), None), (include_bytes!("page-v1-sealed.bin"), Some(b"secret"))];

/// The page that the fixtures are of.
fn fixture() -> (CacheKey, Arc<Page>) {
    let dimensions = [Some(Cow::Borrowed("en")), None];
    let key = KeyRef {
        tenant: Some("shop"),
        query: Some("page=2"),
        vary: &[ACCEPT_LANGUAGE],
        dimensions: &dimensions,
        ..KeyRef::new(Scheme::Https, "www.example.com", "/posts/{id}", "/posts/42")
    };
    let key = key.to_owned(Arc::new(key.scope()));
    let page = sample(&key).build();
    (key, page)
}

#[test]
fn what_version_1_wrote_is_read_and_written_for_good() {
    let (key, page) = fixture();
    for (written, seal) in VERSION_1 {
        let format = seal.map_or_else(Format::new, Format::sealed);
        assert_eq!(format.write(&key, &page, NOW, 9), written, "a change of the bytes is a new version");
        let read = format.read(&key, &Bytes::from_static(written), Kept::For(Duration::ZERO), NOW).unwrap();
        assert_eq!(told(&read), told(&page));
    }
}
