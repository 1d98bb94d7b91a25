//! The wiring: which page is kept, for how long, and under which tags.
//!
//! | page | tags | so it is rendered again when |
//! |---|---|---|
//! | `/` | `posts` | any post is written, edited or deleted |
//! | `/posts/{id}` | `post:{id}` | this post is |
//! | `/categories/{id}` | `category:{id}` | a post in it is, or one joins or leaves it |
//!
//! A post's page shows the name of its category and carries no tag for it: categories never change here.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::StatusCode,
    routing::{get, post},
};
use edge_isr_axum::prelude::*;

use crate::{db::Db, edits, forms, pages};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) db: Db,
    pub(crate) graph: Graph,
    /// How long a render pretends to take.
    pub(crate) render_time: Duration,
}

impl App {
    pub(crate) fn new(db: Db, isr: &Isr, render_time: Duration) -> Self {
        Self { db, graph: isr.graph(), render_time }
    }
}

/// The tag of the front page, which lists every post.
pub(crate) fn posts() -> Tag {
    Tag::named("posts")
}

impl FromRef<App> for Graph {
    fn from_ref(app: &App) -> Self {
        app.graph.clone()
    }
}

/// The whole blog. Routes without an `IsrLayer` (forms and writes) are never kept.
pub(crate) fn router(app: App, isr: &Isr) -> Router {
    let kept = || IsrLayer::new(isr).policy(policy());
    Router::new()
        .route("/", get(pages::front).layer(kept().tags(posts())))
        .route("/posts/{id}", get(pages::post).layer(kept().tags(path_tag("post:{id}"))))
        .route("/categories/{id}", get(pages::category).layer(kept()))
        .route("/posts", post(edits::create))
        .route("/posts/new", get(pages::new_post))
        .route("/posts/{id}/edit", get(pages::edit_post).post(edits::edit))
        .route("/posts/{id}/delete", post(edits::delete))
        .route("/style.css", get(pages::style))
        .fallback(pages::nothing_here)
        .layer(DefaultBodyLimit::max(forms::MAX_BYTES))
        .with_state(app)
        .layer(isr.edge()) // outermost: the doorman
}

/// Fresh for five minutes, then shown for up to an hour more while a new one is rendered.
fn policy() -> Policy {
    Policy::new()
        .s_maxage(Duration::from_secs(300))
        .stale_while_revalidate(Duration::from_secs(3600))
        .status(StatusCode::NOT_FOUND, Duration::from_secs(60))
        .cookies(Cookies::Ignore) // the pages are the same for everyone
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
