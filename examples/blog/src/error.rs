//! What can go wrong in a handler, and the page that says so.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{db::DbError, views};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("There is no such page.")]
    NotFound,
    #[error("Send the form as application/x-www-form-urlencoded.")]
    NotAForm,
    #[error("The form is larger than 64 KiB.")]
    TooLarge,
    #[error("The form did not arrive whole.")]
    Incomplete,
    #[error("database: {0}")]
    Db(#[from] DbError),
    #[error("template: {0}")]
    Template(#[from] askama::Error),
    #[error("a write did not end: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error("cache: {0}")]
    Isr(#[from] edge_isr_axum::Error),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Isr(error) => return error.into_response(),
            Self::Db(_) | Self::Template(_) | Self::Interrupted(_) => {
                eprintln!("blog: {self}");
                let apology = "Something went wrong on our side. Try again in a moment.";
                return (StatusCode::INTERNAL_SERVER_ERROR, apology).into_response();
            }
        };
        let text = self.to_string();
        match views::message(status, &text, None) {
            Ok(page) => (status, page).into_response(),
            Err(_) => (status, text).into_response(),
        }
    }
}
