//! What can go wrong on the way to the origin, and the answer that a client gets then.

use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::front::made;

/// Says what went wrong between this proxy and the origin (RFC 9209).
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Why there is no answer of the origin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its name or address leads nowhere.
    Unreachable,
    Refused,
    ConnectTimeout,
    AnswerTimeout,
    /// It closed the connection before an answer, or in the middle of its head.
    Closed,
    /// What it sent is not HTTP, or not what was asked for.
    Malformed,
    /// The request says no host, or one that is none.
    BadHost,
    /// The request is for a host that is not this site's.
    UnknownHost,
    /// The request's body is larger than allowed.
    BodyTooLarge,
    /// The request's body broke off.
    BodyBroken,
    /// The request's body came too slowly.
    BodyTooSlow,
}

impl Failure {
    pub(super) fn connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            _ => Self::Unreachable,
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Unreachable | Self::Refused | Self::Closed | Self::Malformed => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadHost | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The name that RFC 9209 has for it.
    const fn line(self) -> &'static str {
        match self {
            Self::Unreachable => "edge-isr; error=destination_unavailable",
            Self::Refused => "edge-isr; error=connection_refused",
            Self::ConnectTimeout => "edge-isr; error=connection_timeout",
            Self::AnswerTimeout => "edge-isr; error=http_response_timeout",
            Self::Closed => "edge-isr; error=connection_terminated",
            Self::Malformed => "edge-isr; error=http_protocol_error",
            Self::BadHost | Self::UnknownHost => "edge-isr; error=http_request_denied",
            Self::BodyTooLarge | Self::BodyBroken | Self::BodyTooSlow => "edge-isr; error=http_request_error",
        }
    }

    pub(super) fn answer(self) -> Response<Bytes> {
        if self.status().is_server_error() {
            tracing::warn!(failure = ?self, "the origin gave no answer");
        }
        let mut response = made(self.status());
        if self == Self::BadHost {
            // The front ends all others that are no request the same way.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.headers_mut().insert(PROXY_STATUS, HeaderValue::from_static(self.line()));
        response
    }
}
