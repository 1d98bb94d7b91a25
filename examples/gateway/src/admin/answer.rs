//! Answers and refusals. A refusal names the field that is wrong, and means that nothing was applied.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, kind: "application/json", body: format!("{body}\n"), header: None }
    }

    pub(super) fn text(kind: &'static str, body: String) -> Self {
        Self { status: StatusCode::OK, kind, body, header: None }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        self.into_bytes().map(Full::new)
    }

    fn into_bytes(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    field: String,
    what: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    /// 400: a field of the body or of the query can't be what it is.
    pub(super) fn field(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, field: field.into(), what: what.into(), header: None }
    }

    /// 401, the same for no token and for a wrong one.
    pub(super) fn unauthorized() -> Self {
        let what = "this needs the token: Authorization: Bearer ...";
        Self {
            status: StatusCode::UNAUTHORIZED,
            field: "authorization".to_owned(),
            what: what.to_owned(),
            header: Some((WWW_AUTHENTICATE, "Bearer")),
        }
    }

    pub(super) fn not_found() -> Self {
        let what = "there is /revalidate, /pages, /stats, /metrics, /health and /live".to_owned();
        Self { status: StatusCode::NOT_FOUND, field: "path".to_owned(), what, header: None }
    }

    /// 405, with the methods that are allowed.
    pub(super) fn method(allowed: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            field: "method".to_owned(),
            what: format!("must be {}", allowed.replace(", ", " or ")),
            header: Some((ALLOW, allowed)),
        }
    }

    /// 503: the index can't be read now.
    pub(super) fn unavailable(what: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, field: "tag".to_owned(), what, header: None }
    }

    /// 408: a body that does not come to its end.
    pub(super) fn too_slow() -> Self {
        let what = "took too long".to_owned();
        Self { status: StatusCode::REQUEST_TIMEOUT, field: "body".to_owned(), what, header: None }
    }

    pub(super) fn too_large(most: usize) -> Self {
        let what = format!("must have at most {most} bytes");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, field: "body".to_owned(), what, header: None }
    }
}

/// What the front refuses in the listener's place, before there is a question.
pub(crate) fn refused(status: StatusCode) -> Response<Bytes> {
    let (field, what) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("method", "must be GET, HEAD or POST"),
        StatusCode::URI_TOO_LONG => ("path", "is too long"),
        StatusCode::REQUEST_TIMEOUT => ("head", "took too long"),
        StatusCode::EXPECTATION_FAILED => ("expect", "must be 100-continue"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ("head", "is larger than limits.head_bytes"),
        _ => ("head", "can't be read as one request of HTTP"),
    };
    let header = (status == StatusCode::METHOD_NOT_ALLOWED).then_some((ALLOW, "GET, HEAD, POST"));
    let refusal = Refusal { status, field: field.to_owned(), what: what.to_owned(), header };
    Answer::from(refusal).into_bytes()
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, field, what, header }: Refusal) -> Self {
        Self { header, ..Self::json(status, &json!({ "error": what, "field": field })) }
    }
}
