//! What a gateway route asks of a page that an origin answered.

use http::StatusCode;
use http::header::{AGE, ETAG, HeaderMap, HeaderValue};

use super::{IS_CONFIRMED, Page};
use crate::model::cache_status::CACHE_STATUS;
use crate::model::reuse::Reuse;
use crate::model::tag::{Tag, TagSet};

impl Page {
    /// What a gateway route has to know to use it again.
    #[must_use]
    pub fn reuse(&self) -> Reuse {
        self.head.reuse()
    }

    /// Notes that it is the page before it, which the origin said is still right.
    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.facts |= IS_CONFIRMED;
        self
    }

    /// What the origin said when it was asked for the page: a 304 where that confirmed the page before it.
    #[must_use]
    pub fn forward_status(&self) -> StatusCode {
        if self.facts & IS_CONFIRMED == 0 { self.status() } else { StatusCode::NOT_MODIFIED }
    }

    /// The explicit tags.
    #[must_use]
    pub fn tag_set(&self) -> TagSet {
        self.tags().map(Tag::stored).collect()
    }

    /// Whether it is a failure that nothing gave a lifetime: shared with those who wait, and not stored.
    #[must_use]
    pub fn is_unstored_failure(&self) -> bool {
        self.status().is_server_error() && self.lifetime().total().is_zero()
    }

    /// The fields as the origin gave them, but for those of one connection and one moment: what a 304 updates.
    #[must_use]
    pub fn stored_headers(&self) -> HeaderMap {
        let none = || HeaderValue::from_static("");
        let mut headers = self.head.full(none(), none(), &self.own).into_parts().0.headers;
        headers.remove(AGE);
        headers.remove(CACHE_STATUS);
        if self.reuse().own_etag {
            headers.remove(ETAG);
        }
        headers
    }
}
