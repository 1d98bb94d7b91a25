//! Answers from a page in one of its forms: whole, its head alone, a part, or word that it is unchanged.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED};
use http::{Response, StatusCode};

use super::downstream::zero_freshness;
use super::{Content, Form, Page};
use crate::model::coding::Coding;
use crate::model::conditional::{Selection, Validators};
use crate::model::head::Head;

/// A page in one of its forms: what conditions are compared with, and what is sent.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    page: &'a Page,
    head: &'a Head,
    own: &'a [HeaderValue],
    form: Option<&'a Form>,
}

impl Page {
    /// The page in a coding that it has; in any other as it is.
    #[must_use]
    #[inline]
    pub fn shown(&self, coding: Option<Coding>) -> Shown<'_> {
        match self.form(coding) {
            None => Shown { page: self, head: &self.head, own: &self.own, form: None },
            Some(form) => Shown { page: self, head: &form.head, own: &form.own, form: Some(form) },
        }
    }

    /// What conditions and ranges are compared with, of the page as it is.
    #[must_use]
    pub fn validators(&self) -> Validators<'_> {
        self.shown(None).validators()
    }

    /// Answers with the page as it is, or the selected part of it.
    #[must_use]
    pub fn answer(&self, selection: &Selection, age: HeaderValue, status: HeaderValue) -> Response<Content> {
        self.shown(None).answer(selection, age, status)
    }
}

impl<'a> Shown<'a> {
    /// The page.
    #[must_use]
    pub const fn page(self) -> &'a Page {
        self.page
    }

    /// What conditions and ranges are compared with.
    #[must_use]
    pub fn validators(self) -> Validators<'a> {
        Validators {
            etag: self.value(&ETAG),
            last_modified: self.value(&LAST_MODIFIED),
            len: self.body_len(),
            is_success: self.page.status().is_success(),
            ok: self.page.status() == StatusCode::OK,
        }
    }

    fn value(self, name: &HeaderName) -> Option<&'a [u8]> {
        self.own.get(self.head.own_position(name)?).map(HeaderValue::as_bytes)
    }

    /// Whether a line of `If-None-Match` is the entity tag, letter by letter: then the page is not modified,
    /// whatever else the request says.
    #[must_use]
    #[inline]
    pub fn is_known_as(self, line: &[u8]) -> bool {
        let tag = self.head.etag_position().and_then(|at| self.own.get(at));
        tag.is_some_and(|tag| tag.as_bytes() == line) && self.page.status().is_success()
    }

    /// Answers with all of it, or the selected part.
    #[must_use]
    pub fn answer(self, selection: &Selection, age: HeaderValue, status: HeaderValue) -> Response<Content> {
        match selection {
            Selection::Whole => self.head.full(age, status, self.own).map(|()| self.content()),
            Selection::HeadOnly => self.head.full(age, status, self.own).map(|()| Content::empty()),
            Selection::NotModified => {
                self.head.not_modified(age, status, self.own).map(|()| Content::empty())
            }
            Selection::Part(range) => {
                let text = format!("bytes {}-{}/{}", range.start, range.end - 1, self.body_len());
                let part = self.content().slice(range.clone());
                self.partial(StatusCode::PARTIAL_CONTENT, &text, part, age, status)
            }
            Selection::Unsatisfiable => {
                let text = format!("bytes */{}", self.body_len());
                let mut answer =
                    self.partial(StatusCode::RANGE_NOT_SATISFIABLE, &text, Content::empty(), age, status);
                // An error about one request must not stand for the page downstream.
                zero_freshness(answer.headers_mut());
                answer
            }
        }
    }

    /// The fields of an answer with all of it, or with word that it is unchanged, as [`answer`](Self::answer) has them.
    #[inline]
    pub(crate) fn fields<'v>(
        self,
        values: [&'v HeaderValue; 2],
        is_304: bool,
    ) -> impl Iterator<Item = (&'v HeaderName, &'v HeaderValue)>
    where
        'a: 'v,
    {
        self.head.fields(values, self.own, is_304)
    }

    /// The `Cache-Status` of caches nearer to the origin.
    pub(crate) fn prior(self) -> Option<&'a str> {
        self.head.prior.as_deref()
    }

    /// The `Cache-Status` of an answer.
    #[inline]
    pub(crate) fn after_prior(self, status: HeaderValue) -> HeaderValue {
        self.head.after_prior(status)
    }

    #[inline]
    pub(crate) fn content(self) -> Content {
        self.form.map_or_else(|| self.page.content(), Form::content)
    }

    #[inline]
    fn body_len(self) -> usize {
        self.form.map_or_else(|| self.page.body_len(), Form::body_len)
    }

    #[cold]
    fn partial(
        self,
        code: StatusCode,
        range: &str,
        body: Content,
        age: HeaderValue,
        status: HeaderValue,
    ) -> Response<Content> {
        let mut response = self.head.full(age, status, self.own);
        *response.status_mut() = code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Ok(range) = HeaderValue::from_str(range) {
            headers.insert(CONTENT_RANGE, range);
        }
        response.map(|()| body)
    }
}
