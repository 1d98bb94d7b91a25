//! Which path is which question, by which method, and which of them need the token.

use http::header::AUTHORIZATION;
use http::{Method, request};

use super::answer::Refusal;
use crate::config::Token;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Revalidate,
    Pages,
    Stats,
    Metrics,
    Live,
    Health,
}

impl Question {
    /// The question of a request. A path or a method that is none is refused before the token is looked at: which there
    /// are is no secret.
    pub(super) fn of(request: &request::Parts, token: &Token) -> Result<Self, Refusal> {
        let question = match request.uri.path() {
            "/revalidate" => Self::Revalidate,
            "/pages" => Self::Pages,
            "/stats" => Self::Stats,
            "/metrics" => Self::Metrics,
            "/live" => Self::Live,
            "/health" => Self::Health,
            _ => return Err(Refusal::not_found()),
        };
        let is_post = request.method == Method::POST;
        let is_get = matches!(request.method, Method::GET | Method::HEAD);
        match question {
            Self::Revalidate if !is_post => return Err(Refusal::method("POST")),
            Self::Pages | Self::Stats | Self::Metrics | Self::Live | Self::Health if !is_get => {
                return Err(Refusal::method("GET, HEAD"));
            }
            _ => {}
        }
        let is_open = matches!(question, Self::Live | Self::Health);
        if is_open || shows(request, token) {
            return Ok(question);
        }
        tracing::warn!(?question, "refused: no token, or not the right one");
        Err(Refusal::unauthorized())
    }
}

/// Whether a request shows the token, once.
fn shows(request: &request::Parts, token: &Token) -> bool {
    let mut shown = request.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (shown.next(), shown.next()) else { return false };
    // RFC 9110 §11.1: the scheme in any case, then spaces.
    let scheme = value.as_bytes().get(..7);
    let is_bearer = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    is_bearer && token.is(value.as_bytes()[7..].trim_ascii())
}
