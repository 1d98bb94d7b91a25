//! Corners that a review found: each was once wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get as reads, post};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Limits, Result};
use edge_isr_core::model::key::CacheKey;
use edge_isr_core::model::page::Page;
use edge_isr_core::store::{MemoryPages, PageStore, Put};
use edge_isr_core::testing::ManualClock;
use edge_isr_stories::*;
use futures_util::future::join_all;
use http::StatusCode;
use tower::Layer;

/// A second tier that says when a page was put, and waits to be let go on.
#[derive(Debug)]
struct SlowPut {
    pages: MemoryPages,
    gate: Gate,
}

#[async_trait]
impl PageStore for SlowPut {
    async fn get(&self, key: &CacheKey) -> Result<Option<Arc<Page>>> {
        self.pages.get(key).await
    }

    async fn put(&self, key: &CacheKey, page: Arc<Page>) -> Result<Put> {
        let put = self.pages.put(key, page).await;
        self.gate.pass().await;
        put
    }

    async fn remove(&self, keys: &[CacheKey]) -> Result<()> {
        self.pages.remove(keys).await
    }
}

#[tokio::test]
async fn p09_a_hard_mark_between_storing_and_answering_still_counts() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    limits.store_wait = Duration::from_secs(60);
    let store = SlowPut { pages: MemoryPages::new(1 << 20, 1 << 16), gate: gate.clone() };
    let isr = Isr::builder().limits(limits).build_id(BuildId::Ignore).store(store).build().unwrap();
    let version = Arc::new(AtomicUsize::new(1));
    let read = Arc::clone(&version);
    let handler = reads(move |isr: IsrContext| async move {
        isr.add_tags([tag("a", 1)]);
        format!("v{}", read.load(SeqCst))
    });
    let app = site(Router::new().route("/", handler.layer(IsrLayer::new(&isr).policy(lasting()))));
    let leader = begun({
        let app = app.clone();
        async move { get(&app, "/").await }
    });
    let leader = leader.await;
    gate.arrival().await;
    version.store(2, SeqCst);
    isr.graph().expire_by_tags([tag("a", 1)]).await.unwrap();
    gate.open(9);
    assert_eq!(within(leader).await.text(), "v2", "no byte of the old page after the acknowledgement");
}

#[tokio::test]
async fn p11_a_page_that_is_invalidated_while_it_is_rendered_does_not_send_its_visitors_off_alone() {
    let story = Story::with(Position::Inside, Policy::new().cookies(Cookies::Ignore), |builder| builder);
    story.page.gated(true);
    let mut visitors = vec![story.begun("/pages/1").await];
    story.page.gate().arrival().await;
    for _ in 0..50 {
        visitors.push(story.begun("/pages/1").await);
    }
    for _ in 0..3 {
        story.invalidate(1, edge_isr_axum::Mode::Soft).await;
    }
    story.page.gated(false);
    story.page.gate().open(99);
    for answer in within(join_all(visitors)).await {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.is_zero_downstream(), "{}", answer.cache_status());
    }
    assert_eq!(story.page.renders(), 1, "they came before the invalidations, and so did the page");
}

#[tokio::test]
async fn p09_an_unsafe_method_under_a_nested_around_layer_invalidates_the_whole_url() {
    let isr = Isr::builder().build().unwrap();
    let inner = Router::new().route("/posts", reads(|| async { "page" }).post(|| async { "ok" }));
    let inner = IsrLayer::around(&isr).route("/app/posts", lasting(), ()).build().unwrap().wrap(inner);
    let app = site(Router::new().nest_service("/app", inner));
    get(&app, "/app/posts").await;
    assert!(get(&app, "/app/posts").await.is_fresh_hit());
    assert_eq!(call(&app, "POST", "/app/posts").await.status, StatusCode::OK);
    assert_eq!(get(&app, "/app/posts").await.detail(), "invalidated");
}

#[tokio::test]
async fn p29_a_proxys_forwarding_headers_may_be_kept_around_a_router_and_no_page_sees_them() {
    let app = |keep: bool| {
        let isr = Isr::builder().build().unwrap();
        let router =
            Router::new().route("/page", reads(echo)).route("/other", reads(echo)).route("/post", post(echo));
        let around = IsrLayer::around(&isr).route("/page", lasting(), ());
        let around = if keep { around.keep_forwarded() } else { around };
        site(around.build().unwrap().wrap(router))
    };
    for keep in [true, false] {
        let app = app(keep);
        let from = [("x-forwarded-for", "192.0.2.1")];
        assert_eq!(get_with(&app, "/other", &from).await.text().contains("192.0.2.1"), keep);
        assert!(!get_with(&app, "/page", &from).await.text().contains("192.0.2.1"));
        let request = ask("/post").method("POST").header(from[0].0, from[0].1).body(Body::empty()).unwrap();
        assert_eq!(send(&app, request).await.text().contains("192.0.2.1"), keep);
    }
}

#[tokio::test]
async fn p25_a_failure_that_must_not_be_stored_is_not_shared_either() {
    let isr = Isr::builder().build().unwrap();
    let (gate, count) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (passed, counted) = (gate.clone(), Arc::clone(&count));
    let handler = reads(move |isr: IsrContext| async move {
        let nth = counted.fetch_add(1, SeqCst);
        isr.no_store();
        passed.pass().await;
        (StatusCode::INTERNAL_SERVER_ERROR, format!("secret {nth}")).into_response()
    });
    let app = site(Router::new().route("/", handler.layer(IsrLayer::new(&isr).policy(lasting()))));
    let visit = || {
        let app = app.clone();
        begun(async move { get(&app, "/").await })
    };
    let one = visit().await;
    gate.arrival().await;
    let two = visit().await;
    gate.open(9);
    let (one, two) = (within(one).await, within(two).await);
    assert_ne!(one.text(), two.text());
    assert_eq!(one.detail(), "handler-no-store");
}

#[tokio::test]
async fn p19_whoever_goes_alone_gets_the_stand_in_too() {
    let clock = ManualClock::default();
    let mut limits = Limits::default();
    limits.waiters_per_key = 1;
    let isr = Isr::builder().limits(limits).clock(Arc::new(clock.clone())).build().unwrap();
    let (gate, bad) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (passed, is_bad) = (gate.clone(), Arc::clone(&bad));
    let handler = reads(move || async move {
        if is_bad.load(SeqCst) {
            passed.pass().await;
            return (StatusCode::BAD_GATEWAY, "down").into_response();
        }
        "good".into_response()
    });
    let policy = Policy::new().stale_if_error(Duration::from_secs(3600));
    let app = site(Router::new().route("/", handler.layer(IsrLayer::new(&isr).policy(policy))));
    get(&app, "/").await;
    clock.advance(Duration::from_secs(400));
    bad.store(true, SeqCst);
    let mut visitors = Vec::new();
    for _ in 0..4 {
        let app = app.clone();
        visitors.push(begun(async move { get(&app, "/").await }).await);
    }
    gate.open(99);
    for answer in within(join_all(visitors)).await {
        assert_eq!(
            (answer.status, answer.text(), &*answer.detail()),
            (StatusCode::OK, "good", "stale-if-error")
        );
    }
}

#[tokio::test]
async fn p23_a_uri_rewritten_by_what_is_not_in_the_key_makes_no_page() {
    let isr = Isr::builder().build().unwrap();
    let rewrite = from_fn(|mut request: Request, next: Next| async move {
        if let Some(lang) = request.headers().get("x-lang").cloned() {
            *request.uri_mut() = format!("/{}/p", lang.to_str().unwrap()).parse().unwrap();
        }
        next.run(request).await
    });
    let handler = reads(echo).layer(IsrLayer::new(&isr).policy(lasting())).layer(rewrite);
    let app = site(Router::new().route("/p", handler));
    let evil = get_with(&app, "/p", &[("x-lang", "evil")]).await;
    assert_eq!(evil.detail(), "rewritten");
    assert!(!get(&app, "/p").await.text().contains("evil"));
}

#[tokio::test]
async fn p25_a_vetoed_page_is_gone_from_the_second_tier_too() {
    let clock = ManualClock::default();
    let builder = Isr::builder().clock(Arc::new(clock.clone())).build_id(BuildId::Ignore);
    let isr = builder.store(MemoryPages::new(1 << 20, 1 << 16)).build().unwrap();
    let is_private = Arc::new(AtomicBool::new(false));
    let private = Arc::clone(&is_private);
    let handler = reads(move |isr: IsrContext| async move {
        isr.add_tags([tag("a", 1)]);
        if private.load(SeqCst) {
            isr.no_store();
            return "private";
        }
        "public"
    });
    let app = site(Router::new().route("/", handler.layer(IsrLayer::new(&isr).policy(lasting()))));
    assert_eq!(get(&app, "/").await.text(), "public");
    is_private.store(true, SeqCst);
    isr.graph().revalidate_by_tags([tag("a", 1)]).await.unwrap();
    get(&app, "/").await;
    isr.idle().await;
    clock.advance(Duration::from_secs(20));
    assert_eq!(get(&app, "/").await.text(), "private", "the second tier has nothing left to offer");
}

#[tokio::test]
async fn d15_an_unsatisfiable_range_leaves_no_error_downstream() {
    let isr = Isr::builder().build().unwrap();
    let app = site(
        Router::new().route("/", reads(|| async { "hello" }).layer(IsrLayer::new(&isr).policy(lasting()))),
    );
    get(&app, "/").await;
    let answer = get_with(&app, "/", &[("range", "bytes=99-")]).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert!(answer.is_zero_downstream());
}

#[tokio::test]
async fn p15_a_page_that_could_not_be_stored_leaves_without_downstream_freshness() {
    let mut limits = Limits::default();
    (limits.store_bytes, limits.body_bytes) = (8 << 10, 1 << 20);
    let isr = Isr::builder().limits(limits).build().unwrap();
    let handler = reads(|| async { "x".repeat(64 << 10) });
    let app = site(Router::new().route("/", handler.layer(IsrLayer::new(&isr).policy(lasting()))));
    let answer = get(&app, "/").await;
    assert_eq!(answer.detail(), "store-refused");
    assert!(answer.is_zero_downstream(), "nobody could tell a cache downstream to forget it");
}

#[tokio::test]
async fn computed_dimensions_stay_with_the_browser_that_may_ask_again() {
    let isr = Isr::builder().build().unwrap();
    let policy = lasting().browser_max_age(Duration::from_secs(30)).variant("ab", |_| Some("a".to_owned()));
    let router: Router =
        Router::new().route("/", reads(|| async { "x" }).layer(IsrLayer::new(&isr).policy(policy)));
    let app = site(isr.edge().layer(router.with_state::<()>(())));
    assert_eq!(get(&app, "/").await.header("cache-control"), "private, max-age=30");
    let outer = from_fn(|request: Request, next: Next| async move {
        let answer: Response = next.run(request).await;
        ([("set-cookie", "a=b")], answer)
    });
    let app = site(isr.edge().layer(outer.layer(app)));
    assert_eq!(get(&app, "/").await.header("cache-control"), "private, no-store");
}

#[tokio::test]
async fn who_changes_a_url_whose_queries_are_stored_gets_a_receipt() {
    let isr = Isr::builder().build().unwrap();
    let listed = reads(|| async { "list" }).layer(IsrLayer::new(&isr).policy(lasting().query(["page"])));
    let other = reads(|| async { "page" }).layer(IsrLayer::new(&isr).policy(lasting()));
    let router = Router::new().route("/list", listed.merge(post(|| async { "ok" }))).route("/p/{id}", other);
    let app = site(router.layer(isr.edge()));
    for id in 0..200 {
        get(&app, &format!("/p/{id}")).await;
    }
    get(&app, "/list?page=1").await;
    assert!(call(&app, "POST", "/list").await.header("set-cookie").starts_with("edge-isr-receipt="));
}
