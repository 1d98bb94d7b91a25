//! Coded forms come to their pages where those stand.

use std::sync::Arc;

use super::MemoryPages;
use crate::model::page::{Form, Page};
use crate::sync::lock;

impl MemoryPages {
    /// Whether a page is there that comes of the same answer as this one.
    pub(crate) fn holds(&self, hash: u64, page: &Page) -> bool {
        self.standing(hash, page).is_some()
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
        if let Some(standing) = self.standing(hash, page) {
            standing.leave_uncoded();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, page};
    use super::*;
    use crate::clock::Moment;
    use crate::model::coding::Coding;
    use crate::model::page::Birth;

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
}
