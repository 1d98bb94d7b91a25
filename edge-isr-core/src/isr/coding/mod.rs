//! Coded forms of pages: each is made once, in the background, when a request first asks for it. Here: who may have
//! one, and how it comes to its page. `codec` holds the encoders, `settings` what one may want.

use std::sync::Arc;

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
}

const ALL: u8 = Coding::Br.bit() | Coding::Zstd.bit() | Coding::Gzip.bit();

impl Codings {
    pub(super) fn new(settings: &Compression) -> Result<Self, ConfigError> {
        settings.check()?;
        let kept = settings.codings.iter().fold(0, |kept, coding| kept | coding.bit());
        let slots = Arc::new(Semaphore::new(settings.at_once));
        Ok(Self { kept, least_bytes: settings.least_bytes, slots })
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
        let Ok(slot) = Arc::clone(&self.0.codings.slots).try_acquire_owned() else { return };
        // Hits need no runtime, but this does.
        let (Ok(runtime), Some(key)) = (Handle::try_current(), page.key()) else { return };
        let hash = key.hash();
        // It may be there with another form by now, for which work was begun.
        let Some(page) = self.0.pages.standing(hash, page) else { return };
        if self.is_closing() || !page.begin(coding) {
            return;
        }
        let held = (slot, self.0.busy.begin());
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
                let len = body.iter().map(bytes::Bytes::len).sum();
                let parts = Form::head(page, coding, len);
                let own: Vec<http::HeaderValue> = parts.own().cloned().collect();
                let form = Form::new(coding, self.0.heads.of(parts), &own, &body);
                if self.add_form(hash, page, form) {
                    self.0.counters.coded();
                    // The one with the form says so; this one may come back from the second tier without it.
                    page.end(coding);
                }
            }
            Coded::NotSmaller => self.0.pages.leave_uncoded(hash, page),
            Coded::Unwanted => page.end(coding),
        }
    }

    fn is_to_be_coded(&self, hash: u64, page: &Page) -> bool {
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::CodeOverNewer) {
            return true;
        }
        self.0.pages.holds(hash, page)
    }

    fn add_form(&self, hash: u64, page: &Page, form: Form) -> bool {
        #[cfg(feature = "twins")]
        if self.lacks(crate::testing::Twin::CodeOverNewer) {
            return self.0.pages.put_over(hash, page.with_form(form));
        }
        self.0.pages.add_form(hash, page, form)
    }
}
