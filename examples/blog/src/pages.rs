//! What readers see: the kept pages, and the two forms, which are never kept.

use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse},
};
use edge_isr_axum::prelude::*;

use crate::{
    app::{self, App},
    clock::{self, Moment},
    db::Db,
    error::AppError,
    forms::PostForm,
    id::Id,
    views::{self, CategoryPage, Foot, FormPage, FrontPage, PostPage},
};

pub(crate) async fn front(State(app): State<App>) -> Result<Html<String>, AppError> {
    let began = clock::now();
    let (posts, categories) = (app.db.posts().await?, app.db.categories().await?);
    let foot = Some(app.foot(began, &app::posts()).await);
    views::html(&FrontPage { categories, posts, foot })
}

/// The tag comes from the route: see `path_tag` in `app`.
pub(crate) async fn post(Id(id): Id, State(app): State<App>) -> Result<(StatusCode, Html<String>), AppError> {
    let began = clock::now();
    let found = app.db.post(id).await?;
    let foot = Some(app.foot(began, &tag("post", id)).await);
    match found {
        Some(post) => Ok((StatusCode::OK, views::html(&PostPage { post, foot })?)),
        None => {
            let text = format!("There is no post {id}.");
            Ok((StatusCode::NOT_FOUND, views::message(StatusCode::NOT_FOUND, &text, foot)?))
        }
    }
}

pub(crate) async fn category(
    Id(id): Id,
    State(app): State<App>,
    isr: IsrContext,
) -> Result<Html<String>, AppError> {
    let began = clock::now();
    let own = tag("category", id);
    isr.add_tags([own.clone()]);
    let (category, posts) = app.db.category(id).await?.ok_or(AppError::NotFound)?;
    let foot = Some(app.foot(began, &own).await);
    views::html(&CategoryPage { category, posts, foot })
}

pub(crate) async fn new_post(State(app): State<App>) -> Result<impl IntoResponse, AppError> {
    form(None, &PostForm::default(), &app.db).await
}

pub(crate) async fn edit_post(Id(id): Id, State(app): State<App>) -> Result<impl IntoResponse, AppError> {
    let post = app.db.post(id).await?.ok_or(AppError::NotFound)?;
    form(Some(id), &post.into(), &app.db).await
}

/// `no-store`, so that going back to a form never shows old text.
async fn form(id: Option<i64>, form: &PostForm, db: &Db) -> Result<impl IntoResponse + use<>, AppError> {
    let categories = db.categories().await?;
    let page = FormPage { id, form, categories: &categories, problems: &[], foot: None };
    Ok(([(CACHE_CONTROL, "no-store")], views::html(&page)?))
}

pub(crate) async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, include_str!("../assets/style.css"))
}

pub(crate) async fn nothing_here() -> AppError {
    AppError::NotFound
}

impl App {
    /// Ends a render that `began` then: takes the time a slow one would, and says so at the page's foot.
    async fn foot(&self, began: Moment, tag: &Tag) -> Foot {
        tokio::time::sleep(self.render_time).await;
        let now = clock::now();
        Foot { rendered_at: now.utc(), millis: now.millis_since(began), tag: tag.to_string() }
    }
}
