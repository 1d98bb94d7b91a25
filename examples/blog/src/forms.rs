//! The form that writes and edits a post: read leniently, so that every mistake gets a helpful answer.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};

use crate::{
    error::AppError,
    post::{Category, Draft, Post},
};

/// The largest form we read; `app` sets it as the body limit.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The fields as they were typed. One that is missing is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PostForm {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) category_id: String,
}

impl<S: Send + Sync> FromRequest<S> for PostForm {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        if !is_form(request.headers()) {
            return Err(AppError::NotAForm);
        }
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::TooLarge),
            Err(_) => Err(AppError::Incomplete),
        }
    }
}

impl PostForm {
    fn parse(bytes: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            match name.as_ref() {
                "title" => form.title = value.into_owned(),
                // Browsers send a text area's lines with CRLF.
                "body" => form.body = value.replace("\r\n", "\n"),
                "category_id" => form.category_id = value.into_owned(),
                _ => {}
            }
        }
        form
    }

    /// The draft, or one sentence for each thing that is wrong.
    pub(crate) fn check(&self, categories: &[Category]) -> Result<Draft, Vec<String>> {
        let (title, body) = (self.title.trim(), self.body.trim());
        let mut problems = Vec::new();
        if title.is_empty() {
            problems.push("The title is empty.".to_owned());
        }
        if body.is_empty() {
            problems.push("The body is empty.".to_owned());
        }
        match find_category(&self.category_id, categories) {
            Ok(category_id) if problems.is_empty() => {
                Ok(Draft { title: title.to_owned(), body: body.to_owned(), category_id })
            }
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }
}

impl From<Post> for PostForm {
    fn from(post: Post) -> Self {
        Self { title: post.title, body: post.body, category_id: post.category.id.to_string() }
    }
}

/// Whether the body is declared as a form. Parameters such as `charset` don't matter.
fn is_form(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn find_category(text: &str, categories: &[Category]) -> Result<i64, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("The category is missing.".to_owned());
    }
    let Ok(id) = text.parse::<i64>() else {
        return Err("The category must be a number.".to_owned());
    };
    if categories.iter().any(|category| category.id == id) {
        Ok(id)
    } else {
        Err(format!("There is no category {id}."))
    }
}

#[cfg(test)]
#[path = "forms_tests.rs"]
mod tests;
