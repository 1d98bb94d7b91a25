//! A page that was made of an answer, wherever it is now: what is said too late kills it.

use std::sync::{Arc, Weak};

use super::Isr;
use crate::model::page::{Birth, Page};

/// A page as it was when it was put together. Since then it may have been replaced by itself with a coded form.
#[derive(Debug)]
pub struct Born {
    page: Weak<Page>,
    hash: u64,
    birth: Birth,
}

impl Born {
    /// To be found again wherever it goes.
    #[must_use]
    pub fn of(page: &Arc<Page>) -> Self {
        let hash = page.key().map_or(0, |key| key.hash());
        Self { page: Arc::downgrade(page), hash, birth: *page.birth() }
    }
}

impl Isr {
    /// Kills a page and what it became: a tag was added after it was sealed, so its marks can't be trusted.
    pub fn kill(&self, born: &Born) {
        // First whoever waits for it; with a killed page no form is put in its place any more.
        if let Some(page) = born.page.upgrade() {
            page.kill();
        }
        self.0.pages.kill(born.hash, &born.birth);
    }
}
