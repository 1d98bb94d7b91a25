//! The writes. Each commits first and then invalidates exactly the pages that show what changed.

use std::panic::resume_unwind;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use edge_isr_axum::prelude::*;

use crate::{
    app::{self, App},
    db::Db,
    error::AppError,
    forms::PostForm,
    id::Id,
    post::Draft,
    views::{self, FormPage},
};

pub(crate) async fn create(
    State(app): State<App>,
    State(graph): State<Graph>,
    form: PostForm,
) -> Result<Response, AppError> {
    let draft = match check(None, &form, &app.db).await? {
        Ok(draft) => draft,
        Err(refusal) => return Ok(refusal),
    };
    to_the_end(async move {
        let category_id = draft.category_id;
        let id = app.db.create(draft).await?;
        // The post's own tag too: "there is no post 6" may be kept from an earlier visit.
        let tags = [tag("post", id), tag("category", category_id), app::posts()];
        let receipt = graph.revalidate_by_tags(tags).await?;
        Ok((receipt, Redirect::to(&format!("/posts/{id}"))).into_response())
    })
    .await
}

pub(crate) async fn edit(
    Id(id): Id,
    State(app): State<App>,
    State(graph): State<Graph>,
    form: PostForm,
) -> Result<Response, AppError> {
    app.db.post(id).await?.ok_or(AppError::NotFound)?;
    let draft = match check(Some(id), &form, &app.db).await? {
        Ok(draft) => draft,
        Err(refusal) => return Ok(refusal),
    };
    to_the_end(async move {
        let moved = app.db.update(id, draft).await?.ok_or(AppError::NotFound)?;
        let receipt = graph
            .revalidate_by_tags([
                tag("post", id),
                tag("category", moved.from), // the list it left
                tag("category", moved.to),   // the list it joined
                app::posts(),
            ])
            .await?;
        Ok((receipt, Redirect::to(&format!("/posts/{id}"))).into_response())
    })
    .await
}

/// What is deleted must not be read again, so this one is hard: no old byte after it.
pub(crate) async fn delete(
    Id(id): Id,
    State(app): State<App>,
    State(graph): State<Graph>,
) -> Result<Response, AppError> {
    to_the_end(async move {
        let category_id = app.db.delete(id).await?.ok_or(AppError::NotFound)?;
        let tags = [tag("post", id), tag("category", category_id), app::posts()];
        let receipt = graph.expire_by_tags(tags).await?;
        Ok((receipt, Redirect::to("/")).into_response())
    })
    .await
}

/// The draft, or the form once more with what is wrong in it.
async fn check(id: Option<i64>, form: &PostForm, db: &Db) -> Result<Result<Draft, Response>, AppError> {
    let categories = db.categories().await?;
    match form.check(&categories) {
        Ok(draft) => Ok(Ok(draft)),
        Err(problems) => {
            let page = FormPage { id, form, categories: &categories, problems: &problems, foot: None };
            Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, views::html(&page)?).into_response()))
        }
    }
}

/// Runs a write in a task of its own: axum drops a handler whose client hangs up, and one dropped between
/// the commit and the invalidation would leave the old pages in place.
async fn to_the_end(
    write: impl Future<Output = Result<Response, AppError>> + Send + 'static,
) -> Result<Response, AppError> {
    match tokio::spawn(write).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Err(error.into()),
    }
}
