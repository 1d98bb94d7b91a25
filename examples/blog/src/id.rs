//! The `{id}` of a path. What cannot be one is simply not found, so an odd URL never answers 400.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::error::AppError;

/// A number from 1, written the one way it is written in our links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
        canonical(&text).map(Self).ok_or(AppError::NotFound)
    }
}

/// `/posts/07` must not show post 7: `path_tag` would tag that page `post:07`, which no edit invalidates.
fn canonical(text: &str) -> Option<i64> {
    let id = text.parse::<i64>().ok().filter(|id| *id > 0)?;
    (id.to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_from_one_is_an_id() {
        assert_eq!(canonical("1"), Some(1));
        assert_eq!(canonical("9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn other_spellings_are_not() {
        for text in ["", "0", "-1", "+1", "01", " 1", "1 ", "1.0", "x", "９", "9223372036854775808"] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }
}
