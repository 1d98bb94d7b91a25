//! Where the layer may stand: nested routers, one layer inside another, `Router::layer`, plain tower services;
//! and what `IsrContext` is there.
#![allow(clippy::unwrap_used, reason = "a helper that can't go on fails its test, and its cases are tables")]

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, NestedPath, OriginalUri, Path, Request};
use axum::routing::get;
use bytes::Bytes;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Mode, Reason};
use edge_isr_stories::{POSITIONS, Page, Story, begun, call, get_with, html, lasting, place, site};
use edge_isr_tower::{IsrRequestBody, NoFacts};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

const S: Duration = Duration::from_secs(1);

fn memory() -> Isr {
    Isr::builder().build().unwrap()
}

async fn tell(
    Path(params): Path<Vec<(String, String)>>,
    OriginalUri(original): OriginalUri,
    matched: MatchedPath,
    request: Request,
) -> String {
    let nested = request.extensions().get::<NestedPath>().map(|nested| nested.as_str().to_owned());
    format!("{params:?} {original} {} {nested:?} {}", matched.as_str(), request.uri())
}

#[tokio::test]
async fn in_nested_routers_handlers_see_what_they_see_without_the_layer() {
    let isr = memory();
    let build = |layered: bool| {
        let pages = |tags: &str| match layered {
            true => get(tell).layer(IsrLayer::new(&isr).policy(lasting().query(["q"])).tags(path_tag(tags))),
            false => get(tell),
        };
        let deep =
            Router::new().route("/posts/{id}", pages("post:{shop}:{id}")).route("/", pages("home:{shop}"));
        let api = Router::new().nest("/shops/{shop}", deep).route("/files/{*path}", pages("file:{path}"));
        Router::new().nest("/api", api).route("/{id}", pages("top:{id}"))
    };
    let (bare, cached) = (site(build(false)), site(build(true).layer(isr.edge())));
    let urls = [
        "/api/shops/a%20b/posts/7?q=1",
        "/api/shops/x/posts/7",
        "/api/shops/y/posts/7",
        "/api/shops/x",
        "/api/shops/x/",
        "/api/files/a/b%2fc",
        "/7",
    ];
    for url in urls {
        let expected = get_with(&bare, url, &[]).await;
        for round in 0..2 {
            let answer = get_with(&cached, url, &[]).await;
            assert_eq!((answer.status, answer.text()), (expected.status, expected.text()), "{url}");
            assert!(expected.status != StatusCode::OK || answer.is_fresh_hit() == (round == 1), "{url}");
        }
    }
    let carried = isr.graph().tags_for("/api/shops/a%20b/posts/7?q=1").await.unwrap();
    assert_eq!(format!("{carried:?}"), "{post:a%20b:7}");
    // Keys, URLs and the worker's requests have the whole path.
    let worker = tokio::spawn(begun(isr.worker(cached.clone())).await);
    let renders = isr.stats().renders;
    isr.graph().revalidate_by_tags([tag("post:x", 7)]).await.unwrap();
    isr.idle().await;
    assert_eq!(isr.stats().renders, renders + 1);
    assert!(get_with(&cached, "/api/shops/x/posts/7", &[]).await.is_fresh_hit());
    isr.graph().by_prefix("/api/shops/x", Mode::Hard).await.unwrap();
    isr.idle().await;
    assert!(isr.health().is_good(), "{:?}", isr.health());
    worker.abort();
}

#[tokio::test]
async fn b_parameters_that_cannot_be_read_fail_as_without_the_layer() {
    for position in POSITIONS {
        let number = get(|Path(id): Path<u32>| async move { format!("number {id}") });
        let bare = site(Router::new().route("/n/{id}", number.clone()));
        let cached = place(position, &memory(), "/n/{id}", lasting(), path_tag("n:{id}"), number);
        for url in ["/n/1", "/n/x", "/n/%ff", "/n/%", "/n/-1", "/n/99999999999", "/n/1%00", "/n/%31"] {
            let expected = get_with(&bare, url, &[]).await;
            for _ in 0..2 {
                let answer = get_with(&cached, url, &[]).await;
                assert_eq!(
                    (answer.status, answer.text()),
                    (expected.status, expected.text()),
                    "{position:?} {url}"
                );
            }
        }
    }
}

/// A router whose `/pages/{id}` has a layer of its own, within a layer around it.
fn doubled(isr: &Isr, page: &Page, inner: Policy) -> edge_isr_stories::Site {
    let inner = IsrLayer::new(isr).policy(inner).tags(path_tag("inner:{id}"));
    let router = Router::new().route("/pages/{id}", page.handler().layer(inner));
    let around = IsrLayer::around(isr).route("/pages/{id}", lasting(), path_tag("outer:{id}"));
    site(around.build().unwrap().wrap(router))
}

#[tokio::test]
async fn a_layer_inside_a_render_is_inert_and_speaks_to_the_page_in_progress() {
    let (isr, page) = (memory(), Page::default());
    let site = doubled(&isr, &page, Policy::new().s_maxage(7 * S));
    let first = get_with(&site, "/pages/1", &[]).await;
    assert_eq!(
        first.cache_status(),
        "edge-isr;fwd=uri-miss;fwd-status=200;ttl=7;stored;detail=absent",
        "one member"
    );
    assert_eq!((isr.stats().pages, isr.stats().renders, page.renders()), (1, 1, 1), "stored once");
    for by in [tag("inner", 1), tag("outer", 1)] {
        isr.graph().expire_by_tags([by]).await.unwrap();
        assert!(!get_with(&site, "/pages/1", &[]).await.is_hit());
        assert!(get_with(&site, "/pages/1", &[]).await.is_fresh_hit());
    }
    // Vetoes are for the page in progress as well.
    let (isr, page) = (memory(), Page::default());
    let site = {
        let inner = IsrLayer::new(&isr).tags(path_tag("inner:{missing}"));
        let router = Router::new().route("/pages/{id}", page.handler().layer(inner));
        site_of(&IsrLayer::around(&isr).route("/pages/{id}", lasting(), ()).build().unwrap(), router)
    };
    assert_eq!(get_with(&site, "/pages/1", &[]).await.detail(), "tag-param-missing");
    assert_eq!(isr.stats().pages, 0);
}

fn site_of(layer: &IsrLayer, router: Router) -> edge_isr_stories::Site {
    site(layer.wrap(router))
}

#[tokio::test]
async fn what_a_layer_around_bypasses_the_layer_inside_may_still_answer() {
    let (isr, page) = (memory(), Page::default());
    let site = doubled(&isr, &page, lasting().cookies(Cookies::Ignore));
    for round in 0..2 {
        let answer = get_with(&site, "/pages/1", &[("cookie", "a=b")]).await;
        let status = answer.cache_status();
        assert!(status.ends_with(", edge-isr;fwd=bypass;detail=cookie"), "{status}");
        assert_eq!(status.starts_with("edge-isr;hit"), round == 1, "{status}");
    }
    assert_eq!(page.renders(), 1);
}

#[tokio::test]
async fn around_a_router_the_most_specific_pattern_wins_and_other_paths_pass_untouched() {
    let isr = memory();
    let text = |text: &'static str| get(move || async move { text });
    let router = Router::new()
        .route("/posts/{id}", text("post"))
        .route("/posts/new", text("new"))
        .route("/posts/top", text("top"))
        .route("/{*rest}", text("rest"))
        .route("/other/{id}", text("other"));
    let layer = IsrLayer::around(&isr)
        .route("/posts/{id}", Policy::new().s_maxage(10 * S), path_tag("post:{id}"))
        .route("/posts/top", Policy::new().s_maxage(20 * S), ())
        .route("/{*rest}", Policy::new().s_maxage(30 * S), path_tag("rest:{rest}"))
        .pass("/posts/new")
        .pass("/other/{id}");
    let site = site_of(&layer.build().unwrap(), router);
    for (path, body, fresh) in [
        ("/posts/1", "post", Some(10)),
        ("/posts/top", "top", Some(20)),
        ("/posts/new", "new", None),
        ("/other/1", "other", None),
        ("/a/b", "rest", Some(30)),
        ("/posts/1/x", "rest", Some(30)),
    ] {
        let answer = get_with(&site, path, &[("x-forwarded-host", "x")]).await;
        assert_eq!(answer.text(), body);
        match fresh {
            Some(fresh) => {
                assert!(answer.header("cache-control").ends_with(&format!("s-maxage={fresh}")), "{path}")
            }
            None => assert!(
                !answer.headers.contains_key("cache-status") && !answer.headers.contains_key("etag"),
                "{path}"
            ),
        }
        assert_eq!(get_with(&site, path, &[]).await.is_fresh_hit(), fresh.is_some(), "{path}");
    }
    let carried = isr.graph().tags_for("/a/b").await.unwrap();
    assert_eq!(format!("{carried:?}"), "{rest:a%2fb}");
}

#[tokio::test]
async fn an_around_layer_put_on_with_router_layer_works_and_says_so() {
    let (isr, page) = (memory(), Page::default());
    let layer =
        IsrLayer::around(&isr).route("/api/pages/{id}", lasting(), path_tag("page:{id}")).build().unwrap();
    let pages = Router::new().route("/pages/{id}", page.handler()).layer(layer);
    let site = site(Router::new().nest("/api", pages).layer(isr.edge()));
    for round in 0..2 {
        let answer = get_with(&site, "/api/pages/1", &[]).await;
        assert_eq!((answer.text(), answer.is_fresh_hit()), ("v1", round == 1));
    }
    isr.graph().expire_by_tags([tag("page", 1)]).await.unwrap();
    assert!(!get_with(&site, "/api/pages/1", &[]).await.is_hit());
    let notes = isr.health().notes;
    let note = notes.iter().find(|note| note.reason == Reason::AroundInside).unwrap();
    assert!(note.advice.contains("wrap"), "{note:?}");
    assert_eq!(notes.iter().filter(|note| note.reason == Reason::AroundInside).count(), 1);
}

#[tokio::test]
async fn a_layer_on_a_whole_router_with_router_layer_caches_each_route_by_its_pattern() {
    let isr = memory();
    let echo = |name: &'static str| get(move |Path(id): Path<String>| async move { format!("{name} {id}") });
    let router = Router::new()
        .route("/a/{id}", echo("a"))
        .route("/b/{id}", echo("b"))
        .layer(IsrLayer::new(&isr).policy(lasting()));
    let site = site(router.layer(isr.edge()));
    for round in 0..2 {
        for (path, body) in [("/a/1", "a 1"), ("/b/1", "b 1"), ("/a/2", "a 2")] {
            let answer = get_with(&site, path, &[]).await;
            assert_eq!((answer.text(), answer.is_fresh_hit()), (body, round == 1));
        }
        // No route: nothing to cache, and nothing to remember.
        let none = get_with(&site, "/none", &[]).await;
        assert_eq!((none.status.as_u16(), isr.stats().pages), (404, 3));
    }
    isr.graph().by_route("/a/{id}", Mode::Hard).await.unwrap();
    assert!(!get_with(&site, "/a/1", &[]).await.is_hit());
    assert!(get_with(&site, "/b/1", &[]).await.is_fresh_hit());
}

#[tokio::test]
async fn where_nothing_is_rendered_the_context_is_inert() {
    async fn speak(isr: IsrContext) -> String {
        isr.add_tags([tag("x", 1)]);
        isr.no_store();
        isr.lifetime(S);
        format!(
            "{} {} {} {:?} {:?}",
            isr.is_active(),
            IsrContext::current().is_active(),
            isr.is_draft(),
            isr.tenant(),
            isr.variant("x")
        )
    }
    let isr = memory();
    let bypassing = IsrLayer::new(&isr).policy(Policy::new().bypass_when(|_| true));
    let site = site(
        Router::new()
            .route("/", get(speak))
            .route("/bypassed", get(speak).layer(bypassing))
            .layer(isr.edge()),
    );
    for path in ["/", "/bypassed"] {
        assert_eq!(get_with(&site, path, &[]).await.text(), "false false false None None", "{path}");
    }
    assert!(!IsrContext::current().is_active());
    assert!(isr.health().is_good());
}

#[tokio::test]
async fn the_context_follows_the_task_and_a_scope_the_spawned_one() {
    async fn data_layer(name: &str) {
        tokio::task::yield_now().await;
        IsrContext::current().add_tags([tag("seen", name)]);
    }
    async fn show(isr: IsrContext) -> String {
        data_layer("here").await;
        let inside = tokio::spawn(isr.clone().scope(async {
            data_layer("scoped").await;
            IsrContext::current().is_active()
        }));
        let outside = tokio::spawn(async {
            data_layer("lost").await;
            IsrContext::current().is_active()
        });
        format!("{} {} {}", isr.is_active(), inside.await.unwrap(), outside.await.unwrap())
    }
    for position in POSITIONS {
        let isr = memory();
        let site = place(position, &isr, "/", lasting(), (), get(show));
        assert_eq!(get_with(&site, "/", &[]).await.text(), "true true false", "{position:?}");
        let carried = isr.graph().tags_for("/").await.unwrap();
        assert_eq!(format!("{carried:?}"), "{seen:here, seen:scoped}", "{position:?}");
    }
}

#[tokio::test]
async fn p03_a_late_tag_drops_the_page_and_says_so() {
    for position in POSITIONS {
        let isr = memory();
        let slot = std::sync::Arc::new(std::sync::Mutex::new(IsrContext::default()));
        let keep = std::sync::Arc::clone(&slot);
        let pages = get(move |isr: IsrContext| {
            *keep.lock().unwrap() = isr;
            async { "page" }
        });
        let site = place(position, &isr, "/p", lasting(), (), pages);
        get_with(&site, "/p", &[]).await;
        assert!(get_with(&site, "/p", &[]).await.is_fresh_hit());
        slot.lock().unwrap().add_tags([tag("late", 1)]);
        assert!(!get_with(&site, "/p", &[]).await.is_hit(), "{position:?}");
        let notes = isr.health().notes;
        assert!(notes.iter().any(|note| note.reason == Reason::LateTag && note.subject == "/p"), "{notes:?}");
    }
}

/// A body and a service that no other thread may look at: nothing asks for `Sync`.
struct Shy {
    text: Option<Bytes>,
    _cell: Cell<u8>,
}

impl http_body::Body for Shy {
    type Data = Bytes;
    type Error = std::fmt::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }
}

#[derive(Clone)]
struct ShyService {
    calls: Cell<u32>,
    seen: std::sync::mpsc::Sender<String>,
}

#[derive(Debug, PartialEq)]
struct Broken;

impl<B: http_body::Body> Service<http::Request<IsrRequestBody<B>>> for ShyService {
    type Response = Response<Shy>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Shy>, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<IsrRequestBody<B>>) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        let _ = self.seen.send(format!("{} {} {:?}", request.method(), request.uri(), request.headers()));
        let fails = request.uri().path() == "/broken";
        let text = format!("for {}", request.uri());
        Box::pin(async move {
            let body = Shy { text: Some(text.into()), _cell: Cell::new(0) };
            if fails { Err(Broken) } else { Ok(Response::new(body)) }
        })
    }
}

/// A server's request body that has no default.
struct Incoming;

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn a_plain_tower_service_with_bodies_of_its_own_works_and_nothing_asks_for_sync() {
    let isr = memory();
    let (seen, handled) = std::sync::mpsc::channel();
    let layer: edge_isr_tower::IsrLayer<NoFacts> =
        edge_isr_tower::IsrLayer::new(&isr).policy(lasting().query(["page"])).tags(Tag::named("all"));
    let service = layer.layer(ShyService { calls: Cell::new(0), seen });
    let edge = edge_isr_tower::IsrExt::edge(&isr);
    let app = edge.layer(service);
    let ask = async |method: &str, uri: &str| {
        let request =
            http::Request::builder().method(method).uri(uri).header("host", "h").header("x-canary", "1");
        let response = app.clone().oneshot(request.body(IsrRequestBody::from(Incoming)).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let status = parts.headers["cache-status"].to_str().unwrap().to_owned();
        Ok::<_, Broken>((
            status,
            String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        ))
    };
    let miss = ask("GET", "/a?x=1&page=2").await.unwrap();
    assert_eq!(
        miss,
        (
            "edge-isr;fwd=uri-miss;fwd-status=200;ttl=300;stored;detail=absent".to_owned(),
            "for /a?page=2".to_owned()
        )
    );
    assert_eq!(handled.try_recv().unwrap(), "GET /a?page=2 {\"host\": \"h\"}");
    assert_eq!(
        ask("GET", "/a?page=2").await.unwrap(),
        ("edge-isr;hit;ttl=300".to_owned(), "for /a?page=2".to_owned())
    );
    assert!(handled.try_recv().is_err(), "a hit does not call it");
    assert_eq!(ask("HEAD", "/a?page=2").await.unwrap().1, "");
    assert_eq!(ask("POST", "/a").await.unwrap().0, "edge-isr;fwd=method;detail=method");
    isr.graph().expire_by_tags([Tag::named("all")]).await.unwrap();
    assert!(ask("GET", "/a?page=2").await.unwrap().0.ends_with("detail=dead"));
    assert_eq!(ask("GET", "/broken").await.unwrap_err(), Broken, "the leader gets the error by value");
    assert_eq!(isr.stats().count(Reason::RenderFailed), 1);
    // A worker for a service that is not axum's.
    let worker = edge_isr_tower::IsrExt::worker_for::<_, IsrRequestBody<Incoming>>(&isr, app.clone());
    let worker = tokio::spawn(begun(worker).await);
    let before = isr.stats().renders;
    isr.graph().revalidate_by_tags([Tag::named("all")]).await.unwrap();
    isr.idle().await;
    assert_eq!(isr.stats().renders, before + 1);
    worker.abort();
}

#[test]
fn an_empty_request_body_is_empty_and_a_full_one_passes() {
    let empty = IsrRequestBody::<axum::body::Body>::default();
    assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
    let full = IsrRequestBody::from(Body::from("abc"));
    assert_eq!(full.size_hint().exact(), Some(3));
}

#[tokio::test]
async fn a_page_the_worker_cannot_reach_is_named() {
    let (isr, page) = (memory(), Page::default());
    let site = place(
        edge_isr_stories::Position::Inside,
        &isr,
        "/pages/{id}",
        lasting(),
        path_tag("page:{id}"),
        page.handler(),
    );
    get_with(&site, "/pages/1", &[]).await;
    let elsewhere = Router::new().route("/pages/{id}", get(|| async { "no layer here" }));
    let worker = tokio::spawn(begun(isr.worker(elsewhere)).await);
    isr.graph().revalidate_by_tags([tag("page", 1)]).await.unwrap();
    isr.idle().await;
    let notes = isr.health().notes;
    assert!(
        notes.iter().any(|note| note.reason == Reason::RefillUnreached && note.subject == "/pages/{id}"),
        "{notes:?}"
    );
    page.gated(true);
    assert_eq!(get_with(&site, "/pages/1", &[]).await.detail(), "invalidated", "the page keeps its state");
    page.gate().open(1);
    worker.abort();
}

#[tokio::test]
async fn p29_no_client_can_pretend_to_be_the_worker_or_a_render() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        get_with(&site, "/pages/1", &[]).await;
        // An inert context is what a stranger can make at most.
        let request =
            edge_isr_stories::ask("/pages/1").extension(IsrContext::default()).body(Body::empty()).unwrap();
        let answer = edge_isr_stories::send(&site, request).await;
        assert!(answer.is_fresh_hit(), "{position:?}: {}", answer.cache_status());
        assert_eq!((page.renders(), isr.stats().renders), (1, 1));
        assert_eq!(call(&site, "REFILL", "/pages/1").await.detail(), "method");
        page.answers(|_| html("x"));
    }
}
