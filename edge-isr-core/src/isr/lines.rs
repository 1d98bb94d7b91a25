//! Answers line by line, for servers that write heads themselves.

use http::{HeaderName, HeaderValue, StatusCode};

use super::Isr;
use super::look_up::Hit;
use crate::model::conditional::Selection;
use crate::model::page::{Content, Shown};

/// An answer from a page that has not been put together: its fields are still the page's own.
#[derive(Debug)]
pub struct Lines<'a> {
    shown: Shown<'a>,
    age: HeaderValue,
    cache_status: HeaderValue,
    is_304: bool,
}

impl Lines<'_> {
    /// The answer's status.
    #[must_use]
    #[inline]
    pub fn status(&self) -> StatusCode {
        if self.is_304 { StatusCode::NOT_MODIFIED } else { self.shown.page().status() }
    }

    /// The value of `Cache-Status`.
    #[must_use]
    pub const fn cache_status(&self) -> &HeaderValue {
        &self.cache_status
    }

    /// The fields of the head, in the order of [`Isr::answer`].
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.shown.fields([&self.age, &self.cache_status], self.is_304)
    }

    /// The body.
    #[must_use]
    #[inline]
    pub fn content(&self) -> Content {
        if self.is_304 { Content::empty() } else { self.shown.content() }
    }
}

impl Isr {
    /// Answers from a page that was looked up as [`answer`](Self::answer) does, without putting the answer together.
    /// `None`, with nothing counted, where a page's lines are not all: for a part of it, in debug mode, or if it was
    /// invalidated since the look-up.
    #[must_use]
    #[inline]
    pub fn lines<'a>(&self, hit: &'a Hit, selection: &Selection) -> Option<Lines<'a>> {
        let is_304 = matches!(selection, Selection::NotModified);
        if !(is_304 || matches!(selection, Selection::Whole)) || !self.is_plain(hit) {
            return None;
        }
        let (age, status) = self.count_hit(hit);
        let shown = hit.shown();
        Some(Lines { shown, age, cache_status: shown.after_prior(status), is_304 })
    }
}
