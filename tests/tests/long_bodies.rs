//! Bodies that are too long to be copied into one piece: kept in parts, sent in parts, and like any other in all else.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test")]

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use edge_isr_stories::{POSITIONS, Position, Story, get_with, head, request};
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

const LEN: usize = 3_000_000;

fn bytes() -> Vec<u8> {
    (0..LEN).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// The body in frames of all sizes, as a handler that streams sends it.
fn in_frames() -> Response {
    let all = Bytes::from(bytes());
    let mut frames = Vec::new();
    let (mut at, mut len) = (0, 1);
    while at < LEN {
        frames.push(Ok::<_, std::convert::Infallible>(all.slice(at..LEN.min(at + len))));
        (at, len) = (at + len, len * 7 % 600_011);
    }
    ([("content-type", "application/octet-stream")], Body::from_stream(stream::iter(frames))).into_response()
}

fn story(position: Position) -> Story {
    let story = Story::at(position);
    story.page.answers(|_| in_frames());
    story
}

#[tokio::test]
async fn a_long_body_is_the_same_to_the_first_visitor_to_those_who_wait_and_to_hits() {
    for position in POSITIONS {
        let story = story(position);
        story.page.gated(true);
        let waiting = [story.begun("/pages/1").await, story.begun("/pages/1").await];
        story.page.gate().open(1);
        for waiting in waiting {
            assert!(waiting.await.body == bytes(), "{position:?}");
        }
        let hit = story.get("/pages/1").await;
        assert!(hit.is_fresh_hit() && hit.body == bytes(), "{position:?}");
        assert_eq!(hit.header("content-length"), LEN.to_string(), "{position:?}");
        assert_eq!(story.page.renders(), 1, "{position:?}");
    }
}

#[tokio::test]
async fn p15_a_long_body_is_sent_in_parts_and_its_weight_is_what_it_holds() {
    for position in POSITIONS {
        let story = story(position);
        story.get("/pages/1").await;
        let accounted = usize::try_from(story.isr.stats().bytes).unwrap();
        assert!((LEN..LEN + LEN / 100).contains(&accounted), "{position:?}: {accounted}");
        let response = story.site.clone().oneshot(request(Method::GET, "/pages/1")).await.unwrap();
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(LEN as u64), "{position:?}");
        let (mut body, mut got) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= 256 << 10, "{position:?}: {}", data.len());
            got.extend_from_slice(&data);
            let left = (LEN - got.len()) as u64;
            assert_eq!(http_body::Body::size_hint(&body).exact(), Some(left), "{position:?}");
        }
        assert!(got == bytes() && http_body::Body::is_end_stream(&body), "{position:?}");
    }
}

#[tokio::test]
async fn d15_ranges_heads_and_conditions_of_a_long_body_are_as_of_a_short_one() {
    for position in POSITIONS {
        let story = story(position);
        let whole = story.get("/pages/1").await;
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=262143-262144", 262_143..262_145),
            ("bytes=1000000-2500000", 1_000_000..2_500_001),
            ("bytes=-7", LEN - 7..LEN),
            ("bytes=0-", 0..LEN),
        ] {
            let answer = get_with(&story.site, "/pages/1", &[("range", range)]).await;
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{position:?} {range}");
            assert!(answer.body == bytes()[part.clone()], "{position:?} {range}");
            assert_eq!(answer.header("content-length"), part.len().to_string(), "{position:?} {range}");
            let told = format!("bytes {}-{}/{LEN}", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), told, "{position:?}");
        }
        let beyond = get_with(&story.site, "/pages/1", &[("range", "bytes=3000000-")]).await;
        assert_eq!(
            (beyond.status, beyond.header("content-range")),
            (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{LEN}")),
            "{position:?}"
        );
        let answer = head(&story.site, "/pages/1").await;
        assert_eq!(
            (answer.body.len(), answer.header("content-length")),
            (0, LEN.to_string()),
            "{position:?}"
        );
        let tag = whole.header("etag");
        let unchanged = get_with(&story.site, "/pages/1", &[("if-none-match", &tag)]).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0), "{position:?}");
    }
}

#[tokio::test]
async fn p12_a_visitor_who_stops_reading_takes_nothing_from_the_next() {
    let story = story(Position::Around);
    story.get("/pages/1").await;
    let response = story.site.clone().oneshot(request(Method::GET, "/pages/1")).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    assert!(story.get("/pages/1").await.body == bytes());
}

#[tokio::test]
async fn p15_a_body_that_never_ends_and_never_waits_holds_up_nobody() {
    for position in POSITIONS {
        let mut limits = edge_isr_stories::prompt();
        limits.render_timeout = std::time::Duration::from_millis(50);
        let story = Story::with(position, edge_isr_stories::lasting(), |builder| builder.limits(limits));
        story.page.answers(|_| {
            Body::from_stream(stream::repeat_with(|| Ok::<_, std::convert::Infallible>(""))).into_response()
        });
        assert_eq!(story.get("/pages/1").await.status, StatusCode::GATEWAY_TIMEOUT, "{position:?}");
    }
}
