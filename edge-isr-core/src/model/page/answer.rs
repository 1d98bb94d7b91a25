//! Answers from a page: whole, its head alone, a part, or word that it is unchanged.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, LAST_MODIFIED};
use http::{Response, StatusCode};

use super::Page;
use super::downstream::zero_freshness;
use crate::model::conditional::{Selection, Validators};

impl Page {
    /// What conditions and ranges are compared with.
    #[must_use]
    pub fn validators(&self) -> Validators<'_> {
        let own = |name| self.own.get(self.head.own_position(name)?).map(HeaderValue::as_bytes);
        Validators {
            etag: own(&ETAG),
            last_modified: own(&LAST_MODIFIED),
            len: self.buffer.len() - self.body_start as usize,
            ok: self.status() == StatusCode::OK,
        }
    }

    /// Whether a line of `If-None-Match` is the page's entity tag, letter by letter: then the page is not modified,
    /// whatever else the request says.
    #[must_use]
    #[inline]
    pub fn is_known_as(&self, line: &[u8]) -> bool {
        let tag = self.head.etag_position().and_then(|at| self.own.get(at));
        tag.is_some_and(|tag| tag.as_bytes() == line) && self.status() == StatusCode::OK
    }

    /// Answers with the page, or the selected part of it.
    #[must_use]
    pub fn answer(&self, selection: &Selection, age: HeaderValue, status: HeaderValue) -> Response<Bytes> {
        match selection {
            Selection::Whole => self.head.full(age, status, &self.own).map(|()| self.body()),
            Selection::HeadOnly => self.head.full(age, status, &self.own).map(|()| Bytes::new()),
            Selection::NotModified => self.head.not_modified(age, status, &self.own).map(|()| Bytes::new()),
            Selection::Part(range) => {
                let body = self.body();
                let text = format!("bytes {}-{}/{}", range.start, range.end - 1, body.len());
                self.partial(StatusCode::PARTIAL_CONTENT, &text, body.slice(range.clone()), age, status)
            }
            Selection::Unsatisfiable => {
                let text = format!("bytes */{}", self.body().len());
                let mut answer =
                    self.partial(StatusCode::RANGE_NOT_SATISFIABLE, &text, Bytes::new(), age, status);
                // An error about one request must not stand for the page downstream.
                zero_freshness(answer.headers_mut());
                answer
            }
        }
    }

    #[cold]
    fn partial(
        &self,
        code: StatusCode,
        range: &str,
        body: Bytes,
        age: HeaderValue,
        status: HeaderValue,
    ) -> Response<Bytes> {
        let mut response = self.head.full(age, status, &self.own);
        *response.status_mut() = code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Ok(range) = HeaderValue::from_str(range) {
            headers.insert(CONTENT_RANGE, range);
        }
        response.map(|()| body)
    }
}
