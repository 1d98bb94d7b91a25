//! Coded forms come to their pages where those stand.

use std::sync::Arc;

use super::MemoryPages;
use crate::model::page::{Form, Page};
use crate::sync::lock;

impl MemoryPages {
    /// Whether a page is there that comes of the same answer as this one, or may have the same bytes.
    pub(crate) fn holds(&self, hash: u64, page: &Page) -> bool {
        self.cache.peek(&hash).is_some_and(|standing| standing.is_same_answer(page) || standing.is_like(page))
    }

    /// The page that is there, if it comes of the same answer as this one or has the same bytes: its origin said that it
    /// is unchanged.
    pub(crate) fn successor(&self, hash: u64, page: &Page) -> Option<Arc<Page>> {
        let standing = self.cache.peek(&hash)?;
        let is_it = standing.is_same_answer(page) || standing.is_like(page) && standing.has_bytes_of(page);
        is_it.then_some(standing)
    }

    /// The page that is there, if it comes of the same answer as this one.
    pub(crate) fn standing(&self, hash: u64, page: &Page) -> Option<Arc<Page>> {
        self.cache.peek(&hash).filter(|standing| standing.is_same_answer(page))
    }

    /// Gives a page one more form, if it still stands there: it is replaced by itself with the form, so that its bytes
    /// are counted. Whether it was.
    pub(crate) fn add_form(&self, hash: u64, page: &Page, form: Form) -> bool {
        let _order = lock(self.order(hash));
        let Some(standing) = self.standing(hash, page) else { return false };
        let Some(with_form) = standing.with_form(form) else { return false };
        self.cache.insert(hash, Arc::new(with_form));
        let is_kept = self.cache.contains_key(&hash);
        if !is_kept {
            // Too large with it, and there was room without.
            self.cache.insert(hash, standing);
        }
        is_kept
    }

    /// Puts a page over whatever stands there: for the must-fail twin.
    #[cfg(feature = "twins")]
    pub(crate) fn put_over(&self, hash: u64, page: Option<Page>) -> bool {
        page.is_some_and(|page| {
            self.cache.insert(hash, Arc::new(page));
            true
        })
    }

    /// Has no more work begun on forms of a page, wherever it stands by now.
    pub(crate) fn leave_uncoded(&self, hash: u64, page: &Page) {
        let _order = lock(self.order(hash));
        page.leave_uncoded();
        if let Some(standing) = self.successor(hash, page) {
            standing.leave_uncoded();
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::super::tests::{key, page};
    use super::*;
    use crate::clock::Moment;
    use crate::model::coding::Coding;
    use crate::model::head::HeadParts;
    use crate::model::key::CacheKey;
    use crate::model::lifetime::Lifetime;
    use crate::model::page::Birth;
    use crate::model::tag::TagSet;
    use crate::model::verdict::Loss;

    fn form(page: &Page, len: usize) -> Form {
        let parts = Form::head(page, Coding::Br, len);
        let id = parts.id();
        Form::new(Coding::Br, (Arc::new(parts.build(id)), false), &[], &[vec![0; len].into()])
    }

    #[test]
    fn a_form_is_added_to_its_own_page_where_it_stands_and_counted_there() {
        let store = MemoryPages::new(1 << 20, 1 << 10);
        let key = key("/a").to_owned(Arc::new(key("/a").scope()));
        let (hash, first, second) = (key.hash(), page(&key), page(&key));
        assert!(!store.holds(hash, &first) && !store.add_form(hash, &first, form(&first, 500)), "not yet");
        store.keep(&key, Arc::clone(&first));
        let before = store.bytes();
        assert!(store.holds(hash, &first) && store.add_form(hash, &first, form(&first, 500)));
        assert_eq!(
            store.bytes() - before,
            (store.peek(&key).unwrap().weight_bytes() - first.weight_bytes()) as u64
        );
        assert!(store.bytes() - before > 500);
        assert!(store.holds(hash, &first), "it is still that page");
        store.keep(&key, Arc::clone(&second));
        assert_eq!(store.bytes(), before);
        assert!(!store.holds(hash, &first) && !store.add_form(hash, &first, form(&first, 500)), "replaced");
        store.remove_up_to(&key, u64::MAX);
        assert!(!store.add_form(hash, &second, form(&second, 500)) && store.is_empty(), "removed");
    }

    #[test]
    fn p15_a_page_that_would_be_too_large_with_a_form_stays_without_it() {
        let store = MemoryPages::new(64 << 10, 64 << 10);
        let key = key("/a").to_owned(Arc::new(key("/a").scope()));
        let page = page(&key);
        store.keep(&key, Arc::clone(&page));
        assert!(!store.add_form(key.hash(), &page, form(&page, 128 << 10)));
        assert!(Arc::ptr_eq(&store.peek(&key).unwrap(), &page));
    }

    #[test]
    fn p03_a_page_is_killed_as_it_stands_and_gets_no_form_once_it_is() {
        let store = MemoryPages::new(1 << 20, 1 << 10);
        let key = key("/a").to_owned(Arc::new(key("/a").scope()));
        let page = page(&key);
        store.keep(&key, Arc::clone(&page));
        assert!(store.add_form(key.hash(), &page, form(&page, 500)));
        store.kill(key.hash(), page.birth());
        let standing = store.peek(&key).unwrap();
        assert!(standing.with_form(form(&page, 500)).is_none());
        assert!(!store.add_form(key.hash(), &page, form(&page, 500)));
        assert!(page.with_form(form(&page, 500)).is_some(), "another's life is not touched");
        let other = Birth { at: Moment::from_nanos(1), ..*page.birth() };
        store.keep(&key, Arc::clone(&page));
        store.kill(key.hash(), &other);
        assert!(store.add_form(key.hash(), &page, form(&page, 500)), "nor is one of another birth");
    }

    #[test]
    fn a_form_comes_to_the_page_that_has_become_of_its_own_and_to_no_other() {
        let store = MemoryPages::new(1 << 20, 1 << 10);
        let (one, two) = (key("/a").to_owned(Arc::new(key("/a").scope())), key("/b"));
        let two = two.to_owned(Arc::new(two.scope())).colliding_with(&one);
        let codable = |key: &CacheKey, body: &'static [u8]| {
            let parts =
                HeadParts::take(StatusCode::OK, HeaderMap::new(), Lifetime::default(), Loss::default());
            let birth = *page(key).birth();
            let head = Arc::new(parts.alone());
            Arc::new(Page::new(key, birth, head, &[], &TagSet::default(), &[], &[body.into()]).codable())
        };
        let (hash, first) = (one.hash(), codable(&one, b"body"));
        for (next, may_be, is_it) in [
            (codable(&one, b"body"), true, true),
            (codable(&one, b"ydob"), true, false),
            (codable(&one, b"other"), false, false),
            (codable(&two, b"body"), false, false),
        ] {
            store.cache.insert(hash, Arc::clone(&next));
            assert_eq!((store.holds(hash, &first), store.successor(hash, &first).is_some()), (may_be, is_it));
            assert!(!store.add_form(hash, &first, form(&first, 9)), "its own form is made for it");
            store.leave_uncoded(hash, &first);
            assert_eq!(next.is_left_uncoded(), is_it);
        }
    }
}
