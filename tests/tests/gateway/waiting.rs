//! Who is given what somebody else asked the origin for: rules 3, 6, 7, 11, 17 and 22, with many at once.

use axum::response::{IntoResponse, Response};
use edge_isr_axum::prelude::*;
use edge_isr_stories::{Answer, Position, Story, begun, get_with, html};

/// A gateway route whose origin answers when the test says so.
fn gated(answer: impl Fn(u64) -> Response + Send + Sync + 'static) -> Story {
    let story = Story::with(Position::Around, Policy::from_origin(), |builder| builder);
    story.page.answers(answer);
    story.page.gated(true);
    story
}

fn saying(headers: &'static [(&'static str, &'static str)]) -> impl Fn(u64) -> Response {
    move |version| {
        let mut response = html(format!("v{version}"));
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    }
}

type Headers = &'static [(&'static str, &'static str)];

/// Visitors with these headers who ask while nobody has an answer yet. All the renders that then run end at once;
/// says how many there were in all.
async fn at_once(story: &Story, visitors: &[Headers]) -> (Vec<Answer>, usize) {
    let mut waiting = Vec::new();
    for headers in visitors {
        let (site, headers) = (story.site.clone(), *headers);
        waiting.push(begun(async move { get_with(&site, "/pages/1", headers).await }).await);
    }
    story.page.gate().open(100);
    let mut answers = Vec::new();
    for visitor in waiting {
        answers.push(visitor.await);
    }
    story.isr.idle().await;
    (answers, story.page.renders())
}

const NOBODY: Headers = &[];

#[tokio::test]
async fn h02_many_at_once_are_one_request_of_the_origin() {
    let story = gated(saying(&[("cache-control", "max-age=60")]));
    let (answers, renders) = at_once(&story, &[NOBODY; 5]).await;
    assert_eq!(renders, 1);
    assert!(answers.iter().all(|answer| answer.text() == "v1"));
    let collapsed = answers.iter().filter(|answer| answer.cache_status().contains("collapsed"));
    assert_eq!(collapsed.count(), 4);
}

#[tokio::test]
async fn h06_h17_what_may_not_be_shared_is_each_visitors_own() {
    for headers in [
        &[("cache-control", "private, max-age=60")][..],
        &[("cache-control", "no-store")],
        &[("cache-control", "no-cache"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=0"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[],
    ] {
        let story = gated(saying(headers));
        let (answers, renders) = at_once(&story, &[NOBODY; 4]).await;
        assert_eq!((answers.len(), renders), (4, 4), "{headers:?}");
    }
}

#[tokio::test]
async fn h07_those_who_wait_get_what_their_own_request_selects() {
    let story = gated(saying(&[("cache-control", "max-age=60"), ("vary", "x-a")]));
    let (one, two): (Headers, Headers) = (&[("x-a", "1")], &[("x-a", "2")]);
    let (_, renders) = at_once(&story, &[one, two, one, two, NOBODY]).await;
    assert_eq!(renders, 3, "one for each that there is");
    for headers in [one, two, NOBODY] {
        let answer = get_with(&story.site, "/pages/1", headers).await;
        assert!(answer.is_fresh_hit(), "{headers:?}: {}", answer.cache_status());
    }
}

#[tokio::test]
async fn h11_h22_nobody_is_given_what_somebodys_credentials_asked_for() {
    for known in [&[("authorization", "x")][..], &[("cookie", "a=b")]] {
        let story = gated(saying(&[("cache-control", "max-age=60")]));
        let (_, renders) = at_once(&story, &[known, known, NOBODY, NOBODY, known]).await;
        assert_eq!(renders, 4, "{known:?}: one each, and one for the others");
    }
}

#[tokio::test]
async fn h03_those_who_wait_are_given_the_old_page_when_the_origin_fails() {
    let story = gated(saying(&[("cache-control", "max-age=60, stale-if-error=60")]));
    story.page.gate().open(1);
    get_with(&story.site, "/pages/1", NOBODY).await;
    story.clock.advance(super::S * 61);
    story.page.answers(|_| http::StatusCode::BAD_GATEWAY.into_response());
    let (answers, renders) = at_once(&story, &[NOBODY; 3]).await;
    assert_eq!(renders, 2);
    for answer in answers {
        assert_eq!((answer.text(), answer.detail().as_str()), ("v1", "stale-if-error"));
    }
    story.page.answers(|_| panic!("the origin is gone"));
    let (answers, _) = at_once(&story, &[NOBODY; 2]).await;
    assert!(answers.iter().all(|answer| answer.text() == "v1"));
}
