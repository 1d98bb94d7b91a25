//! Coded forms of pages: each is made once, in the background, when a request first asks for it. Here: who may have
//! one, and how it comes to its page. `codec` holds the encoders, `settings` what one may want.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Isr;
use crate::error::ConfigError;
use crate::model::coding::{Accepts, Coding, is_codable};
#[cfg(feature = "compression")]
use crate::model::page::Form;
use crate::model::page::Page;
use crate::model::policy::Rules;
use crate::model::storable::name_dimensions;
use crate::sync::{Mutex, lock};

mod codec;
mod settings;
#[cfg(test)]
mod tests;

use self::codec::Coded;
pub use self::settings::Compression;

/// What was checked of [`Compression`].
#[derive(Debug)]
pub(crate) struct Codings {
    /// The codings that are on, a bit each.
    kept: u8,
    least_bytes: usize,
    /// Pages that may be coded at once.
    slots: Arc<Semaphore>,
    /// What is being made, by the hash of its page's key.
    at_work: Mutex<Vec<(u64, Coding)>>,
}

/// How often a form is offered to a page that is replaced while it is.
const TRIES: usize = 3;

/// Work on one coding of one page.
struct AtWork {
    isr: Isr,
    of: (u64, Coding),
}

impl AtWork {
    /// `None` if it is being done.
    fn begin(isr: &Isr, hash: u64, coding: Coding) -> Option<Self> {
        let of = (hash, coding);
        let mut at_work = lock(&isr.0.codings.at_work);
        if at_work.contains(&of) {
            return None;
        }
        at_work.push(of);
        Some(Self { isr: isr.clone(), of })
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        lock(&self.isr.0.codings.at_work).retain(|of| *of != self.of);
    }
}

const ALL: u8 = Coding::Br.bit() | Coding::Zstd.bit() | Coding::Gzip.bit();

impl Codings {
    pub(super) fn new(settings: &Compression) -> Result<Self, ConfigError> {
        settings.check()?;
        let kept = settings.codings.iter().fold(0, |kept, coding| kept | coding.bit());
        let slots = Arc::new(Semaphore::new(settings.at_once));
        Ok(Self { kept, least_bytes: settings.least_bytes, slots, at_work: Mutex::default() })
    }
}

impl Isr {
    /// Whether pages are compressed here, so that origins need not.
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.0.codings.kept != 0
    }

    /// Whether an answer, as it was rendered, becomes a page that may have coded forms. Then every form says so: a cache
    /// in front must not give one visitor's to all.
    pub(super) fn offer_codings(&self, headers: &mut HeaderMap, rules: &Rules, len: usize) -> bool {
        let may = self.compresses() && len >= self.0.codings.least_bytes && is_codable(headers);
        if may {
            // All in one line, which a hit has to carry.
            name_dimensions(headers, &[&*rules.vary, &[ACCEPT_ENCODING]].concat());
        }
        may
    }

    /// The best form that is there of those that a request takes. One that it would like better is made in the
    /// background, for later requests.
    #[must_use]
    #[inline]
    pub fn coding_for(&self, page: &Arc<Page>, accepts: Accepts) -> Option<Coding> {
        if !page.is_codable() {
            return None;
        }
        let kept = self.0.codings.kept;
        let accepts = if kept == ALL { accepts } else { accepts.only(kept) };
        let there = page.form_among(accepts);
        if there != accepts.best()
            && let Some(best) = accepts.best()
            && !page.is_begun(best)
        {
            self.begin_coding(page, best);
        }
        there
    }

    /// Has a form made, unless as many as may are being made: pages that matter are asked for again soon, so that
    /// there is no queue.
    #[cold]
    fn begin_coding(&self, page: &Arc<Page>, coding: Coding) {
        // Hits need no runtime, but this does.
        let (Ok(runtime), Some(key)) = (Handle::try_current(), page.key()) else { return };
        let hash = key.hash();
        // It may be there with another form by now, for which work was begun.
        let Some(page) = self.0.pages.standing(hash, page) else { return };
        if self.is_closing() {
            return;
        }
        // What is made for a page is its successor's, too, if the origin says meanwhile that it is unchanged.
        let Some(at_work) = AtWork::begin(self, hash, coding) else { return };
        let Ok(slot) = Arc::clone(&self.0.codings.slots).try_acquire_owned() else { return };
        if !page.begin(coding) {
            return;
        }
        let held = (slot, at_work, self.0.busy.begin());
        let isr = self.clone();
        runtime.spawn_blocking(move || {
            isr.code(hash, &page, coding);
            drop(held);
        });
    }

    fn code(&self, hash: u64, page: &Page, coding: Coding) {
        let is_wanted = || !self.is_closing() && self.is_to_be_coded(hash, page);
        match codec::encode(coding, page.content(), is_wanted) {
            Coded::Smaller(body) => {
                if self.add_forms(hash, page, coding, &body) {
                    self.0.counters.coded();
                    // The one with the form says so; this one may come back from the second tier without it.
                    page.end(coding);
                }
            }
            Coded::NotSmaller => self.0.pages.leave_uncoded(hash, page),
            Coded::Unwanted => page.end(coding),
        }
    }

    /// Puts a coded body together as a form of a page.
    fn form_of(&self, page: &Page, coding: Coding, body: &[Bytes]) -> Form {
        let parts = Form::head(page, coding, body.iter().map(Bytes::len).sum());
        let own: Vec<http::HeaderValue> = parts.own().cloned().collect();
        Form::new(coding, self.0.heads.of(parts), &own, body)
    }

    /// Gives a page the coded forms of the one that it was before its origin said that it is unchanged.
    pub(super) fn with_known_forms(&self, mut page: Page, confirmed: Option<&Arc<Page>>) -> Page {
        let Some(prior) = confirmed else { return page };
        // Where it stands it may have got one since it was looked up.
        let standing = prior.key().and_then(|key| self.0.pages.standing(key.hash(), prior));
        let prior = standing.as_ref().unwrap_or(prior);
        if prior.is_left_uncoded() {
            page.leave_uncoded();
        }
        for (coding, content) in prior.forms() {
            let form = self.form_of(&page, coding, &content.into_pieces());
            page = page.with_form(form).unwrap_or(page);
        }
        page
    }

    /// Adds a form to the page, or to what that has become; whether it was added.
    fn add_forms(&self, hash: u64, page: &Page, coding: Coding, body: &[Bytes]) -> bool {
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::CodeOverNewer) {
            return self.0.pages.put_over(hash, page.with_form(self.form_of(page, coding, body)));
        }
        let mut tried: Option<Arc<Page>> = None;
        for _ in 0..TRIES {
            let standing = self.0.pages.successor(hash, page);
            let is_new =
                |standing: &Arc<Page>| tried.as_ref().is_none_or(|tried| !Arc::ptr_eq(tried, standing));
            let Some(standing) = standing.filter(is_new) else { return false };
            if self.0.pages.add_form(hash, &standing, self.form_of(&standing, coding, body)) {
                return true;
            }
            // Replaced meanwhile, perhaps by itself.
            tried = Some(standing);
        }
        false
    }

    fn is_to_be_coded(&self, hash: u64, page: &Page) -> bool {
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::CodeOverNewer) {
            return true;
        }
        self.0.pages.holds(hash, page)
    }
}
