//! A page that was made of an answer, wherever it is now: what is said too late kills it.

use std::sync::{Arc, Weak};

use super::Isr;
use crate::model::key::CacheKey;
use crate::model::page::{Birth, Page};

/// A page as it was when it was put together. Since then it may have been replaced by itself with a coded form.
#[derive(Debug)]
pub struct Born {
    page: Weak<Page>,
    key: Option<CacheKey>,
    birth: Birth,
}

impl Born {
    /// To be found again wherever it goes.
    #[must_use]
    pub fn of(page: &Arc<Page>) -> Self {
        Self { page: Arc::downgrade(page), key: page.key(), birth: *page.birth() }
    }
}

impl Isr {
    /// Kills a page and what it became: a tag was added after it was sealed, so its marks can't be trusted.
    pub fn kill(&self, born: &Born) {
        // First whoever waits for it; with a killed page no form is put in its place any more.
        if let Some(page) = born.page.upgrade() {
            page.kill();
        }
        let Some(key) = &born.key else { return };
        // Before what stands there is killed, so that no copy takes its place afterwards.
        self.remember_killed(key, &born.birth);
        self.0.pages.kill(key.hash(), &born.birth);
        self.remove_killed();
    }
}
