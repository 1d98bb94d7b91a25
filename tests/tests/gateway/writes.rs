//! Requests that change something, and visitors who leave while they run.

use std::time::Duration;

use axum::body::Body;
use edge_isr_axum::prelude::*;
use edge_isr_stories::{Gate, Gateway, ask, call, prompt, site, within};
use edge_isr_tower::PathTags;
use futures_util::{StreamExt, stream};
use tower::ServiceExt;

use super::S;

fn said() -> edge_isr_stories::Said {
    edge_isr_stories::Said::ok(&[])
}

#[tokio::test]
async fn h08_a_stop_waits_for_what_a_visitor_who_left_has_changed() {
    let (gateway, gate) = (Gateway::new(), Gate::default());
    gateway.says("/a", said().behind(&gate));
    let posting = tokio::spawn({
        let site = gateway.site.clone();
        async move { call(&site, "POST", "/a").await }
    });
    gate.arrival().await;
    posting.abort();
    assert!(posting.await.unwrap_err().is_cancelled());
    let stopping = tokio::spawn({
        let isr = gateway.isr.clone();
        async move {
            isr.idle().await;
            isr.seq()
        }
    });
    edge_isr_stories::until(|| !stopping.is_finished()).await;
    gate.open(1);
    assert_eq!(within(stopping).await.unwrap(), 1, "what it changed was invalidated first");
}

#[tokio::test]
async fn p15_requests_whose_visitors_have_left_have_a_bound() {
    let mut limits = prompt();
    limits.renders = 3;
    let gateway = Gateway::set(Policy::from_origin(), |builder| builder.limits(limits));
    let gate = Gate::default();
    gateway.says("/a", said().behind(&gate));
    for _ in 0..50 {
        let post = ask("/a").method("POST").body(Body::empty()).unwrap();
        // Asked, and left at once, as a client does that resets its streams.
        let _ = tokio::time::timeout(Duration::ZERO, gateway.site.clone().oneshot(post)).await;
    }
    // Three go on; each of the others was at the origin as long as its visitor was here.
    gate.open(3);
    within(gateway.isr.idle()).await;
    assert_eq!(gateway.isr.seq(), 3);
}

#[tokio::test]
async fn p15_a_stop_ends_a_change_that_the_origin_never_answers() {
    let (gateway, gate) = (Gateway::new(), Gate::default());
    gateway.says("/a", said().behind(&gate));
    let site = gateway.site.clone();
    let posting = tokio::spawn(async move { call(&site, "POST", "/a").await });
    gate.arrival().await;
    gateway.isr.shutdown(Duration::ZERO).await;
    assert_eq!(within(posting).await.unwrap().status, 503);
}

#[tokio::test]
async fn h21_an_answer_to_a_post_that_stands_still_is_handed_on_and_holds_nothing() {
    let isr = Isr::builder().limits(prompt()).build().unwrap();
    let origin = tower::service_fn(|_: axum::extract::Request| async {
        let begin = stream::iter([Ok::<_, std::convert::Infallible>("begin")]);
        let mut answer = axum::response::Response::new(Body::from_stream(begin.chain(stream::pending())));
        answer.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        answer.headers_mut().insert("content-location", "/a".parse().unwrap());
        Ok::<_, std::convert::Infallible>(answer)
    });
    let layer = IsrLayer::around(&isr).route("/{*rest}", Policy::from_origin(), PathTags::default()).build();
    let site = site(layer.unwrap().wrap(axum::Router::new().fallback_service(origin)));
    let post = ask("/a").method("POST").body(Body::empty()).unwrap();
    let answer = within(site.oneshot(post)).await.unwrap();
    assert_eq!(answer.status(), 200);
    within(isr.idle()).await;
    let first = within(answer.into_body().into_data_stream().next()).await;
    assert_eq!(first.unwrap().unwrap(), "begin");
    isr.shutdown(S).await;
}

#[tokio::test]
async fn h08_a_change_of_nothing_that_is_cached_owes_its_visitor_nothing() {
    let gateway = Gateway::new();
    gateway.says("/a", edge_isr_stories::Said::ok(&[("location", "/a")]));
    // `/` is no page of a route, so that a soft invalidation is made of it.
    gateway.says("/b", edge_isr_stories::Said::ok(&[("location", "/")]));
    for path in ["/a", "/b"] {
        let answer = call(&gateway.site, "POST", path).await;
        assert!(!answer.headers.contains_key("set-cookie"), "{path}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn p21_after_a_stop_changes_go_on_as_without_a_cache() {
    let gateway = Gateway::new();
    gateway.says("/a", said());
    gateway.isr.shutdown(Duration::ZERO).await;
    for _ in 0..20 {
        assert_eq!(call(&gateway.site, "POST", "/a").await.status, 200);
    }
    assert_eq!((gateway.asked(), gateway.isr.seq()), (20, 20));
}
