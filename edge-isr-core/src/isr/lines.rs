//! Answers line by line, for servers that write heads themselves.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::model::page::{Content, Shown};

/// An answer from a page that has not been put together: its fields are still the page's own.
#[derive(Debug)]
pub struct Lines<'a> {
    shown: Shown<'a>,
    age: HeaderValue,
    cache_status: HeaderValue,
    is_304: bool,
}

impl<'a> Lines<'a> {
    #[inline]
    pub(super) fn new(shown: Shown<'a>, age: HeaderValue, status: HeaderValue, is_304: bool) -> Self {
        Self { shown, age, cache_status: shown.after_prior(status), is_304 }
    }

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

    /// The fields of the head, in the order of [`Isr::answer`](crate::Isr::answer).
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
