//! What a server may answer itself: [`IsrService::answer_at_once`] against [`call`](tower::Service::call).
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, Compression};
use edge_isr_core::testing::ManualClock;
use edge_isr_stories::put_together;
use edge_isr_tower::{IsrLayer, IsrService, NoFacts, PathTags};
use http::request::Parts;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

const S: Duration = Duration::from_secs(1);
const PATH: &str = "/pages/1";

/// What stands inside: the same page for every path.
type Pages = tower::util::BoxCloneSyncService<Request, Response, Infallible>;

/// A site of one policy.
struct Site {
    isr: Isr,
    clock: ManualClock,
    service: IsrService<Pages, NoFacts>,
}

/// A page as handlers make it, and as origins do. It takes two seconds.
fn page() -> Ready<Result<Response, Infallible>> {
    let headers = [
        ("content-type", "text/html"),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("cache-status", "inner; hit"),
        ("cache-control", "max-age=100, stale-while-revalidate=50"),
    ];
    ready(Ok((headers, "a line. ".repeat(500)).into_response()))
}

impl Site {
    fn new(policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::default();
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone()))).build().unwrap();
        let layer = IsrLayer::<NoFacts>::around(&isr).route("/{*rest}", policy, PathTags::default()).build();
        let of_renders = clock.clone();
        let pages = tower::service_fn(move |_| {
            of_renders.advance(2 * S);
            page()
        });
        let service = layer.unwrap().layer(Pages::new(pages));
        Self { isr, clock, service }
    }

    fn of_origin() -> Self {
        Self::new(Policy::from_origin(), |builder| builder)
    }

    fn of_policy() -> Self {
        Self::new(Policy::new().s_maxage(100 * S).stale_while_revalidate(50 * S), |builder| builder)
    }

    /// With the page stored, and in all of its forms.
    async fn stored(self) -> Self {
        for coding in ["", "gzip", "br", "zstd"] {
            self.call(asking(&[("accept-encoding", coding)])).await;
            self.isr.idle().await;
        }
        self
    }

    async fn call(&self, parts: Parts) -> String {
        told(self.service.clone().oneshot(Request::from_parts(parts, Body::empty())).await.unwrap()).await
    }

    async fn at_once(&self, parts: &Parts) -> Option<String> {
        match self.service.answer_at_once::<Body, _, _>(parts, put_together) {
            Some(answer) => Some(told(answer).await),
            None => None,
        }
    }

    /// Whether a request is left to a call, and nothing shows that it was looked at.
    async fn leaves(&self, parts: &Parts) -> bool {
        let before = format!("{:?}", self.isr.stats());
        let answer = self.at_once(parts).await;
        answer.is_none() && format!("{:?}", self.isr.stats()) == before
    }
}

/// An answer as it can be compared.
async fn told<B: http_body::Body<Data = bytes::Bytes>>(answer: http::Response<B>) -> String {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| "a body").unwrap().to_bytes();
    format!("{} {:?} {}", parts.status, parts.headers, body.escape_ascii())
}

fn asking(headers: &[(&str, &str)]) -> Parts {
    let asking = Request::get(PATH).header("host", "www.example.com");
    let asking = headers.iter().fold(asking, |asking, (name, value)| asking.header(*name, *value));
    asking.body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn what_is_answered_at_once_is_what_a_call_answers() {
    for site in [Site::of_origin(), Site::of_policy()] {
        let site = site.stored().await;
        let first = site
            .service
            .clone()
            .oneshot(Request::get(PATH).header("host", "www.example.com").body(Body::empty()).unwrap());
        let etag = first.await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
        for headers in [
            &[][..],
            &[("accept-encoding", "gzip")],
            &[("accept-encoding", "gzip;q=0.1, br")],
            &[("accept-encoding", "zstd"), ("if-none-match", "\"other\"")],
            &[("if-none-match", &etag)],
            &[("if-none-match", &etag), ("if-none-match", "\"b\"")],
            &[("if-none-match", "*"), ("accept-encoding", "br")],
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            &[("range", "bytes=1-2,4-5")],
            &[("cache-control", "no-cache"), ("x-forwarded-for", "1.2.3.4")],
        ] {
            site.clock.advance(S);
            let (asked, hits) = (asking(headers), site.isr.stats().hits());
            let answer = site.at_once(&asked).await;
            assert_eq!(site.isr.stats().hits(), hits + 1, "{headers:?}");
            assert_eq!(answer, Some(site.call(asked).await), "{headers:?}");
        }
    }
}

#[tokio::test]
async fn what_is_left_to_a_call_leaves_no_trace() {
    let stored = || Site::of_origin().stored();
    let site = stored().await;
    for headers in [
        &[("range", "bytes=1-2")][..],
        &[("range", "bytes=99999-")],
        &[("authorization", "Basic dTpw")],
        &[("cookie", "a=b")],
        &[("content-length", "1")],
        &[("upgrade", "h2c")],
    ] {
        assert!(site.leaves(&asking(headers)).await, "{headers:?}");
    }
    let changes: [fn(&mut Parts); 7] = [
        |parts| parts.method = http::Method::HEAD,
        |parts| parts.method = http::Method::POST,
        |parts| parts.uri = "/pages/2".parse().unwrap(),
        |parts| parts.uri = "*".parse().unwrap(),
        |parts| drop(parts.headers.remove("host")),
        |parts| drop(parts.headers.insert("host", http::HeaderValue::from_static("another"))),
        |parts| _ = parts.extensions.insert(1),
    ];
    for change in changes {
        let mut parts = asking(&[]);
        change(&mut parts);
        assert!(site.leaves(&parts).await, "{parts:?}");
    }
    assert!(!site.leaves(&asking(&[])).await, "all of this was about what differs");
    site.isr.graph().by_url(PATH, edge_isr_core::Mode::Soft).await.unwrap();
    assert!(site.leaves(&asking(&[])).await, "it was invalidated");
    let site = stored().await;
    site.clock.advance(101 * S);
    assert!(site.leaves(&asking(&[])).await, "it has aged");
    let honoring =
        Policy::from_origin().request_directives(edge_isr_core::model::origin::RequestDirectives::Honor);
    let site = Site::new(honoring, |builder| builder).stored().await;
    assert!(site.leaves(&asking(&[("cache-control", "max-age=5")])).await, "it is honoured");
    assert!(site.at_once(&asking(&[])).await.is_some());
    for settings in [Builder::debug, Builder::disabled] {
        assert!(Site::new(Policy::from_origin(), settings).stored().await.leaves(&asking(&[])).await);
    }
}

#[tokio::test]
async fn a_hit_at_once_is_drawn_for_a_render_ahead_as_any_is() {
    let policy = Policy::new().s_maxage(100 * S).refresh_ahead(1.0);
    let site = Site::new(policy, |builder| builder.seed(5).compression(Compression::off())).stored().await;
    let begun = site.isr.stats().renders;
    while site.isr.stats().renders == begun {
        site.clock.advance(S / 100);
        assert!(site.at_once(&asking(&[])).await.is_some(), "it never ages");
        site.isr.idle().await;
    }
}
