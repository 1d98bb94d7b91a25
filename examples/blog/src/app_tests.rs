//! The routes, as a visitor meets them.

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, Response, header},
};
use tower::ServiceExt;

use super::*;
use crate::db::tests::Scratch;

const FORM: &str = "application/x-www-form-urlencoded";

/// A blog with the five first posts, on a file of its own.
fn blog(test: &str) -> (Router, Scratch) {
    let scratch = Scratch::new(test);
    let isr = Isr::builder().build().unwrap();
    let db = Db::open(&scratch.file()).unwrap();
    (router(App::new(db, &isr, Duration::ZERO), &isr), scratch)
}

async fn ask(blog: &Router, method: Method, path: &str, kind: &str, body: String) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "blog.test");
    let request = request.header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap();
    blog.clone().oneshot(request).await.unwrap()
}

async fn get(blog: &Router, path: &str) -> (StatusCode, String) {
    let answer = ask(blog, Method::GET, path, "", String::new()).await;
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

async fn post(blog: &Router, path: &str, form: &str) -> Response<Body> {
    ask(blog, Method::POST, path, FORM, form.to_owned()).await
}

#[tokio::test]
async fn every_page_says_what_it_is_made_of() {
    let (blog, _scratch) = blog("pages");
    for (path, tag) in [("/", "posts"), ("/posts/1", "post:1"), ("/categories/2", "category:2")] {
        let (status, page) = get(&blog, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(page.contains(&format!("<code>{tag}</code>")), "{path}: {page}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (blog, _scratch) = blog("missing");
    for path in ["/posts/99", "/posts/01", "/posts/x", "/posts/%FF", "/posts/x/edit", "/categories/4", "/x"] {
        assert_eq!(get(&blog, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/posts/99/edit", "/posts/x/edit", "/posts/99/delete", "/posts/%FF/delete"] {
        let answer = post(&blog, path, "title=t&body=b&category_id=1").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let (blog, _scratch) = blog("head");
    let answer = ask(&blog, Method::HEAD, "/posts/1", "", String::new()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(to_bytes(answer.into_body(), usize::MAX).await.unwrap().is_empty());
}

#[tokio::test]
async fn writes_answer_303_and_are_seen() {
    let (blog, _scratch) = blog("writes");
    assert_eq!(get(&blog, "/posts/6").await.0, StatusCode::NOT_FOUND);
    let answer = post(&blog, "/posts", "title=Six&body=b&category_id=3").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION], "/posts/6");
    assert!(get(&blog, "/posts/6").await.1.contains("Six"));

    let answer = post(&blog, "/posts/1/edit", "title=One&body=b&category_id=2").await;
    assert_eq!(answer.headers()[header::LOCATION], "/posts/1");
    let answer = post(&blog, "/posts/6/delete", "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION], "/");
    assert_eq!(get(&blog, "/posts/6").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bad_form_says_what_is_wrong_and_keeps_what_was_typed() {
    let (blog, _scratch) = blog("bad-form");
    for path in ["/posts", "/posts/1/edit"] {
        let answer = post(&blog, path, "title=&body=my+text&category_id=7").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().into()).unwrap();
        for text in ["The title is empty.", "There is no category 7.", "my text"] {
            assert!(page.contains(text), "{page}");
        }
        let answer = ask(&blog, Method::POST, path, "application/json", "{}".to_owned()).await;
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_form_may_have_64_kib_and_not_a_byte_more() {
    let (blog, _scratch) = blog("size");
    let head = "title=t&category_id=1&body=";
    let full = format!("{head}{}", "x".repeat(forms::MAX_BYTES - head.len()));
    assert_eq!(post(&blog, "/posts", &full).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(post(&blog, "/posts", &format!("{full}x")).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// What `Cache-Status` says about each kept page, by the part after the cache's name.
async fn states(blog: &Router) -> Vec<(String, String)> {
    let paths = (1..=5).map(|id| format!("/posts/{id}")).chain((1..=3).map(|id| format!("/categories/{id}")));
    let mut states = Vec::new();
    for path in paths.chain(["/".to_owned()]) {
        let answer = ask(blog, Method::GET, &path, "", String::new()).await;
        let status = answer.headers()["cache-status"].to_str().unwrap().to_owned();
        states.push((path, status));
    }
    states
}

/// The pages that a write made stale or dead, of those that were all fresh before it.
async fn touched_by(blog: &Router, path: &str, form: &str) -> Vec<String> {
    states(blog).await;
    for (path, status) in states(blog).await {
        assert!(status.starts_with("edge-isr;hit;ttl="), "{path} was not kept: {status}");
    }
    assert_eq!(post(blog, path, form).await.status(), StatusCode::SEE_OTHER);
    let touched = states(blog).await.into_iter().filter(|(_, status)| status.contains("detail="));
    touched.map(|(path, _)| path).collect()
}

#[tokio::test]
async fn a_write_touches_the_pages_that_show_it_and_nothing_else() {
    let (blog, _scratch) = blog("touched");
    let moved = touched_by(&blog, "/posts/1/edit", "title=t&body=b&category_id=2").await;
    let from = get(&blog, "/posts/1").await.1;
    assert!(from.contains("<code>post:1</code>"), "{from}");
    assert_eq!(moved, ["/posts/1", "/categories/1", "/categories/2", "/"]);
}

#[tokio::test]
async fn a_new_post_touches_its_category_and_the_list_and_a_kept_404_disappears() {
    let (blog, _scratch) = blog("created");
    assert_eq!(get(&blog, "/posts/6").await.0, StatusCode::NOT_FOUND);
    let kept = ask(&blog, Method::GET, "/posts/6", "", String::new()).await;
    assert!(kept.headers()["cache-status"].to_str().unwrap().contains(";hit;"));
    let touched = touched_by(&blog, "/posts", "title=Six&body=b&category_id=3").await;
    assert_eq!(touched, ["/categories/3", "/"]);
    assert_eq!(get(&blog, "/posts/6").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_post_is_gone_from_every_page_at_once() {
    let (blog, _scratch) = blog("deleted");
    let title = "Gone soon";
    post(&blog, "/posts/1/edit", &format!("title={title}&body=b&category_id=1")).await;
    for path in ["/", "/categories/1", "/posts/1"] {
        assert!(get(&blog, path).await.1.contains(title), "{path}");
    }
    let touched = touched_by(&blog, "/posts/1/delete", "").await;
    assert_eq!(touched, ["/posts/1", "/categories/1", "/"]);
    for path in ["/", "/categories/1", "/posts/1"] {
        assert!(!get(&blog, path).await.1.contains(title), "{path}");
    }
}
