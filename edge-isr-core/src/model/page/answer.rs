//! Answers from a page: whole, its head alone, a part, or word that it is unchanged.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, LAST_MODIFIED};
use http::{Response, StatusCode};

use super::downstream::zero_freshness;
use super::{Content, Page};
use crate::model::conditional::{Selection, Validators};

impl Page {
    /// What conditions and ranges are compared with.
    #[must_use]
    pub fn validators(&self) -> Validators<'_> {
        let own = |name| self.own.get(self.head.own_position(name)?).map(HeaderValue::as_bytes);
        Validators {
            etag: own(&ETAG),
            last_modified: own(&LAST_MODIFIED),
            len: self.body_len(),
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
    pub fn answer(&self, selection: &Selection, age: HeaderValue, status: HeaderValue) -> Response<Content> {
        match selection {
            Selection::Whole => self.head.full(age, status, &self.own).map(|()| self.content()),
            Selection::HeadOnly => self.head.full(age, status, &self.own).map(|()| Content::empty()),
            Selection::NotModified => {
                self.head.not_modified(age, status, &self.own).map(|()| Content::empty())
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

    #[cold]
    fn partial(
        &self,
        code: StatusCode,
        range: &str,
        body: Content,
        age: HeaderValue,
        status: HeaderValue,
    ) -> Response<Content> {
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
