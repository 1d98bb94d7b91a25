//! Without the feature `compression` pages have one form each.

use std::sync::Arc;

use http::header::HeaderMap;

use super::Isr;
use crate::error::ConfigError;
use crate::model::coding::{Accepts, Coding};
use crate::model::page::Page;
use crate::model::policy::Rules;

/// Nothing can be set.
#[derive(Debug, Default)]
pub(super) struct Compression {
    is_on: bool,
}

/// None.
#[derive(Debug)]
pub(crate) struct Codings {
    is_on: bool,
}

impl Codings {
    #[expect(clippy::unnecessary_wraps, reason = "with the feature there are settings that can't be right")]
    pub(super) const fn new(settings: &Compression) -> Result<Self, ConfigError> {
        Ok(Self { is_on: settings.is_on })
    }
}

impl Isr {
    /// Whether pages are compressed here, so that origins need not.
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.0.codings.is_on
    }

    pub(super) fn offer_codings(&self, _: &mut HeaderMap, _: &Rules, _: usize) -> bool {
        self.compresses()
    }

    pub(super) fn with_known_forms(&self, page: Page, _: Option<&Arc<Page>>) -> Page {
        page
    }

    /// The page as it is.
    #[must_use]
    #[inline]
    pub const fn coding_for(&self, _: &Arc<Page>, _: Accepts) -> Option<Coding> {
        None
    }
}
