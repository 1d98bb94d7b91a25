//! Gateway routes send an answer while they collect it: to all who wait where its head says how long it is, else to
//! the leader alone.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, Limits, Mode, Reason};
use edge_isr_core::testing::{ManualClock, Twin};
use edge_isr_stories::*;
use edge_isr_tower::PathTags;
use futures_util::Stream;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TEN: (&str, &str) = ("content-length", "10");

type Frame = Result<&'static str, &'static str>;

/// The error for which the body of the test panics in its stead.
const PANIC: &str = "panic";

/// A body that comes as the test sends it, and ends when the sender is dropped.
struct Fed(mpsc::UnboundedReceiver<Frame>);

impl Stream for Fed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = self.0.poll_recv(cx);
        assert!(!matches!(frame, Poll::Ready(Some(Err(PANIC)))), "a body that panics while it is polled");
        frame.map(|frame| Some(frame?.map(Bytes::from).map_err(io::Error::other)))
    }
}

/// A request that the origin has not answered yet.
struct Call(oneshot::Sender<Response>, IsrContext);

impl Call {
    /// Sends the head; what is sent to it then is the body.
    fn answer(self, headers: &[(&str, &str)]) -> mpsc::UnboundedSender<Frame> {
        let (feed, fed) = mpsc::unbounded_channel();
        let response = headers
            .iter()
            .fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
        let _ = self.0.send(response.body(Body::from_stream(Fed(fed))).unwrap());
        feed
    }
}

/// An origin whose every answer the test gives, and the gateway in front of it.
#[derive(Clone)]
struct Stage {
    isr: Isr,
    clock: ManualClock,
    site: Site,
    calls: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>>,
    asked: Arc<AtomicUsize>,
}

impl Stage {
    fn new() -> Self {
        Self::with(Policy::from_origin(), |builder| builder)
    }

    fn with(policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::default();
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone())).limits(prompt())).build().unwrap();
        let (call, calls) = mpsc::unbounded_channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let origin = tower::service_fn(move |request: Request| {
            let (answer, answered) = oneshot::channel();
            count.fetch_add(1, SeqCst);
            let context = request.extensions().get::<IsrContext>().cloned().unwrap_or_default();
            let _ = call.send(Call(answer, context));
            async { Ok::<Response, Infallible>(answered.await.unwrap()) }
        });
        let layer = IsrLayer::around(&isr).route("/{*rest}", policy, PathTags::default()).build().unwrap();
        let router = axum::Router::new().fallback_service(origin);
        let site = BoxCloneSyncService::new(layer.wrap(router));
        Self { isr, clock, site, calls: Arc::new(tokio::sync::Mutex::new(calls)), asked }
    }

    /// A visitor on their way to the head of an answer: they have looked up, and lead, wait or have it.
    async fn visitor(&self, headers: &[(&'static str, &'static str)]) -> JoinHandle<Visit> {
        let request = headers.iter().fold(ask("/a"), |ask, (name, value)| ask.header(*name, *value));
        let (site, request) = (self.site.clone(), request.body(Body::empty()).unwrap());
        let mut visit = Box::pin(async move {
            let Ok(response) = site.oneshot(request).await;
            let (parts, body) = response.into_parts();
            Visit {
                answer: Answer { status: parts.status, headers: parts.headers, body: Bytes::new() },
                body,
            }
        });
        match std::future::poll_fn(|cx| Poll::Ready(visit.as_mut().poll(cx))).await {
            Poll::Ready(visit) => tokio::spawn(async { visit }),
            Poll::Pending => tokio::spawn(visit),
        }
    }

    /// The next request that the origin sees.
    async fn call(&self) -> Call {
        within(async { self.calls.lock().await.recv().await.unwrap() }).await
    }

    /// A leader, so many who wait for the same, and the request that the origin sees.
    async fn crowd(&self, followers: usize) -> (Vec<JoinHandle<Visit>>, Call) {
        let mut visitors = vec![self.visitor(&[]).await];
        let call = self.call().await;
        for _ in 0..followers {
            visitors.push(self.visitor(&[]).await);
        }
        (visitors, call)
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// What a visitor is answered who finds a page.
    async fn stored(&self) -> Answer {
        self.isr.idle().await;
        let answer = get(&self.site, "/a").await;
        assert!(answer.is_fresh_hit(), "{}", answer.cache_status());
        answer
    }

    async fn invalidate(&self, mode: Mode) {
        let (graph, tags) = (self.isr.graph(), [tag("post", 1)]);
        match mode {
            Mode::Soft => graph.revalidate_by_tags(tags).await.unwrap(),
            Mode::Hard => graph.expire_by_tags(tags).await.unwrap(),
        };
    }
}

/// The head of an answer, and its body as it comes.
struct Visit {
    answer: Answer,
    body: Body,
}

impl Visit {
    /// So many bytes of the body.
    async fn read(&mut self, len: usize) -> String {
        let mut text = String::new();
        while text.len() < len {
            let frame = within(self.body.frame()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        text
    }

    /// The rest of the body, and whether it ended as it should.
    async fn rest(mut self) -> (String, bool) {
        let mut text = String::new();
        loop {
            match within(self.body.frame()).await {
                None => return (text, true),
                Some(Ok(frame)) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
                Some(Err(_)) => return (text, false),
            }
        }
    }

    async fn whole(self) -> String {
        let (text, is_whole) = self.rest().await;
        assert!(is_whole, "{text}");
        text
    }
}

async fn head(visitor: JoinHandle<Visit>) -> Visit {
    within(visitor).await.unwrap()
}

async fn heads(visitors: Vec<JoinHandle<Visit>>) -> Vec<Visit> {
    let mut visits = Vec::new();
    for visitor in visitors {
        visits.push(head(visitor).await);
    }
    visits
}

#[tokio::test(start_paused = true)]
async fn c14_all_who_wait_and_come_read_an_answer_of_known_length_along() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(3).await;
    let origin = call.answer(&[FRESH, TEN, ("surrogate-key", "post:1")]);
    origin.send(Ok("hello")).unwrap();
    let mut visits = heads(visitors).await;
    for (n, visit) in visits.iter_mut().enumerate() {
        assert_eq!(visit.read(5).await, "hello", "before the origin has said more");
        assert_eq!(http_body::Body::size_hint(&visit.body).exact(), Some(5));
        let answer = &visit.answer;
        assert_eq!((answer.status, answer.header("content-length").as_str()), (StatusCode::OK, "10"));
        assert_eq!(answer.header("cache-control"), "max-age=60");
        assert!(!answer.headers.contains_key("surrogate-key"), "as of a stored page");
        let told = if n == 0 { "" } else { ";collapsed" };
        let status = format!("edge-isr;fwd=uri-miss;fwd-status=200;ttl=60{told};detail=absent");
        assert_eq!(answer.cache_status(), status, "whether it is stored is known at its end");
    }
    let mut late = head(stage.visitor(&[]).await).await;
    assert_eq!(late.read(5).await, "hello", "whoever comes late gets all of it");
    assert!(late.answer.cache_status().contains(";collapsed"));
    origin.send(Ok("world")).unwrap();
    let last = head(stage.visitor(&[]).await).await;
    drop(origin);
    for visit in visits.into_iter().chain([late]) {
        assert_eq!(visit.whole().await, "world");
    }
    assert_eq!(last.whole().await, "helloworld");
    assert_eq!(stage.stored().await.text(), "helloworld");
    assert_eq!((stage.asked(), stage.isr.stats().collapsed), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn h18_an_answer_that_breaks_off_is_whole_for_nobody_and_no_page() {
    for error in [Some("cut"), None] {
        let stage = Stage::new();
        let (visitors, call) = stage.crowd(2).await;
        let origin = call.answer(&[FRESH, TEN]);
        origin.send(Ok("hello")).unwrap();
        let visits = heads(visitors).await;
        error.map(|error| origin.send(Err(error)));
        drop(origin);
        for visit in visits {
            assert_eq!(visit.rest().await, ("hello".to_owned(), false), "{error:?}");
        }
        stage.isr.idle().await;
        assert_eq!((stage.isr.stats().pages, stage.isr.stats().stored), (0, 0));
        let next = stage.visitor(&[]).await;
        let origin = stage.call().await.answer(&[FRESH, TEN]);
        origin.send(Ok("helloworld")).unwrap();
        drop(origin);
        assert_eq!(head(next).await.whole().await, "helloworld", "nobody is wedged");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_who_leaves_or_does_not_read_holds_nobody_up() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(2).await;
    let origin = call.answer(&[FRESH, TEN]);
    origin.send(Ok("hello")).unwrap();
    let mut visits = heads(visitors).await;
    // The leader leaves, one never reads.
    drop(visits.remove(0));
    origin.send(Ok("world")).unwrap();
    drop(origin);
    assert_eq!(visits.remove(0).whole().await, "helloworld");
    assert_eq!(stage.stored().await.text(), "helloworld");
    assert_eq!(visits.remove(0).whole().await, "helloworld", "all of it is there when they do");
}

/// An answer of which one has read the head is invalidated; then somebody comes.
async fn comes_after(stage: &Stage, mode: Mode) -> (Visit, mpsc::UnboundedSender<Frame>, JoinHandle<Visit>) {
    let leader = stage.visitor(&[]).await;
    let origin = stage.call().await.answer(&[FRESH, TEN, ("surrogate-key", "post:1")]);
    origin.send(Ok("older")).unwrap();
    let leader = head(leader).await;
    stage.invalidate(mode).await;
    (leader, origin, stage.visitor(&[]).await)
}

#[tokio::test(start_paused = true)]
async fn p01_an_answer_whose_tags_were_invalidated_is_joined_by_nobody() {
    for mode in [Mode::Hard, Mode::Soft] {
        let stage = Stage::new();
        let (leader, first, newcomer) = comes_after(&stage, mode).await;
        let second = stage.call().await.answer(&[FRESH, TEN, ("surrogate-key", "post:1")]);
        second.send(Ok("newer")).unwrap();
        let (newcomer, third) = (head(newcomer).await, head(stage.visitor(&[]).await).await);
        assert!(third.answer.cache_status().contains(";collapsed"), "{mode:?}: the next one is joined");
        for (origin, rest) in [(second, "again"), (first, "still")] {
            origin.send(Ok(rest)).unwrap();
            drop(origin);
        }
        assert_eq!(leader.whole().await, "olderstill", "{mode:?}: who reads it already reads on");
        assert_eq!((newcomer.whole().await, third.whole().await), ("neweragain".into(), "neweragain".into()));
        assert_eq!(stage.stored().await.text(), "neweragain", "{mode:?}");
        assert_eq!(stage.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn h05_an_answer_that_is_past_its_lifetime_before_its_end_is_joined_by_nobody() {
    let stage = Stage::new();
    let leader = stage.visitor(&[]).await;
    let first = stage.call().await.answer(&[FRESH, TEN]);
    first.send(Ok("older")).unwrap();
    let leader = head(leader).await;
    stage.clock.advance(Duration::from_secs(59));
    assert_eq!(head(stage.visitor(&[]).await).await.answer.header("age"), "59");
    stage.clock.advance(Duration::from_secs(1));
    let newcomer = stage.visitor(&[]).await;
    let second = stage.call().await.answer(&[FRESH, TEN]);
    second.send(Ok("newer")).unwrap();
    assert_eq!(head(newcomer).await.read(5).await, "newer");
    first.send(Ok("still")).unwrap();
    assert_eq!(leader.whole().await, "olderstill");
}

#[tokio::test(start_paused = true)]
async fn p01_must_fail_twin_an_overtaken_answer_is_joined() {
    let stage = Stage::with(Policy::from_origin(), |builder| builder.twin(Twin::JoinOvertaken));
    let (_leader, _origin, newcomer) = comes_after(&stage, Mode::Hard).await;
    assert_eq!(head(newcomer).await.read(5).await, "older", "what the check is there for");
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn p10_what_was_overtaken_before_its_head_leaves_without_freshness() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(2).await;
    stage.invalidate(Mode::Soft).await;
    let origin = call.answer(&[FRESH, TEN, ("surrogate-key", "post:1"), ("cdn-cache-control", "max-age=9")]);
    origin.send(Ok("hello")).unwrap();
    for mut visit in heads(visitors).await {
        assert!(visit.answer.is_zero_downstream(), "{:?}", visit.answer.headers);
        assert_eq!(visit.answer.header("cdn-cache-control"), "max-age=0, must-revalidate");
        assert!(visit.answer.cache_status().contains("ttl=-1"), "{}", visit.answer.cache_status());
        assert_eq!(visit.read(5).await, "hello", "it is no older than their request");
    }
}

#[tokio::test(start_paused = true)]
async fn p10_what_was_expired_before_its_head_is_given_to_nobody() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(2).await;
    stage.invalidate(Mode::Hard).await;
    let first = call.answer(&[FRESH, TEN, ("surrogate-key", "post:1")]);
    first.send(Ok("older")).unwrap();
    let second = stage.call().await.answer(&[FRESH, TEN, ("surrogate-key", "post:1")]);
    second.send(Ok("newer")).unwrap();
    for mut visit in heads(visitors).await {
        assert_eq!(visit.read(5).await, "newer");
    }
    assert_eq!(stage.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn b11_who_asks_for_a_part_waits_for_the_page_and_who_knows_it_waits_for_the_head() {
    let stage = Stage::new();
    let before = stage.visitor(&[]).await;
    stage.call().await.answer(&[FRESH, ("etag", "\"v0\"")]).send(Ok("before")).unwrap();
    assert_eq!(head(before).await.whole().await, "before");
    stage.isr.idle().await;
    // There is a page, so that a part of it may be asked for, and it is to be rendered anew.
    stage.clock.advance(Duration::from_secs(61));
    let leader = stage.visitor(&[]).await;
    let call = stage.call().await;
    let part = stage.visitor(&[("range", "bytes=2-6")]).await;
    let known = stage.visitor(&[("if-none-match", "\"v1\"")]).await;
    let other = stage.visitor(&[("if-none-match", "\"v0\"")]).await;
    let origin = call.answer(&[FRESH, TEN, ("etag", "\"v1\"")]);
    origin.send(Ok("hello")).unwrap();
    let known = head(known).await;
    assert_eq!(known.answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!(known.whole().await, "");
    let (mut leader, mut other) = (head(leader).await, head(other).await);
    assert_eq!((leader.read(5).await, other.read(5).await), ("hello".into(), "hello".into()));
    assert!(!part.is_finished());
    origin.send(Ok("world")).unwrap();
    drop(origin);
    let part = head(part).await;
    assert_eq!(part.answer.header("content-range"), "bytes 2-6/10");
    assert_eq!((part.answer.status.as_u16(), part.whole().await), (206, "llowo".into()));
    assert_eq!(stage.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn b11_a_condition_on_a_tag_that_is_made_of_the_body_waits_for_it() {
    let stage = Stage::new();
    let leader = stage.visitor(&[]).await;
    let call = stage.call().await;
    let waits = stage.visitor(&[("if-none-match", "\"v1\"")]).await;
    let origin = call.answer(&[FRESH, TEN]);
    origin.send(Ok("hello")).unwrap();
    let leader = head(leader).await;
    assert!(!leader.answer.headers.contains_key("etag") && !waits.is_finished());
    origin.send(Ok("world")).unwrap();
    drop(origin);
    assert_eq!(leader.whole().await, "helloworld");
    let waited = head(waits).await;
    let etag = waited.answer.header("etag");
    assert_eq!(waited.whole().await, "helloworld");
    let other = Stage::new();
    let at_once = other.visitor(&[]).await;
    other.call().await.answer(&[FRESH]).send(Ok("helloworld")).unwrap();
    assert_eq!(head(at_once).await.answer.header("etag"), etag, "of the same bytes, however they came");
    assert_eq!(etag.len(), 24);
}

#[tokio::test(start_paused = true)]
async fn f35_an_answer_of_unknown_length_streams_to_its_leader_alone_and_is_stored_at_its_end() {
    let stage = Stage::new();
    let (mut visitors, call) = stage.crowd(2).await;
    let first = call.answer(&[FRESH, ("etag", "\"v1\"")]);
    first.send(Ok("hello")).unwrap();
    let mut leader = head(visitors.remove(0)).await;
    assert_eq!(leader.read(5).await, "hello");
    assert_eq!(
        (leader.answer.header("etag").as_str(), http_body::Body::size_hint(&leader.body).exact()),
        ("\"v1\"", None)
    );
    let mut others = Vec::new();
    for _ in 0..2 {
        let origin = stage.call().await.answer(&[FRESH, ("etag", "\"v1\"")]);
        origin.send(Ok("other")).unwrap();
        others.push(origin);
    }
    let mut alone = heads(visitors).await;
    for visit in &mut alone {
        assert_eq!(visit.read(5).await, "other", "released, and asked for alone");
        assert_eq!(visit.answer.detail(), "undecided");
    }
    let late = stage.visitor(&[]).await;
    let origin = stage.call().await.answer(&[FRESH]);
    origin.send(Ok("late")).unwrap();
    assert_eq!(head(late).await.read(4).await, "late", "whoever comes meanwhile is not held up either");
    first.send(Ok("world")).unwrap();
    drop(first);
    assert_eq!(leader.whole().await, "world");
    drop(others);
    for visit in alone {
        assert_eq!(visit.whole().await, "");
    }
    assert_eq!(stage.stored().await.text(), "helloworld", "the leader's was collected, and only that");
}

#[tokio::test(start_paused = true)]
async fn p11_an_answer_of_unknown_length_that_ends_soon_is_shared() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(9).await;
    let origin = call.answer(&[FRESH]);
    origin.send(Ok("hello")).unwrap();
    // The leader's head does not wait for the others.
    tokio::time::sleep(Duration::from_millis(100)).await;
    origin.send(Ok("world")).unwrap();
    drop(origin);
    for visit in heads(visitors).await {
        assert_eq!(visit.whole().await, "helloworld");
    }
    assert_eq!(stage.asked(), 1);
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(9).await;
    call.answer(&[FRESH]).send(Ok("at once")).unwrap();
    for visit in heads(visitors).await {
        assert!(visit.answer.cache_status().contains(";stored"), "{}", visit.answer.cache_status());
        assert_eq!(visit.whole().await, "at once");
    }
}

fn capped(bytes: usize) -> Stage {
    let mut limits = Limits::default();
    limits.body_bytes = bytes;
    Stage::with(Policy::from_origin(), |builder| builder.limits(limits))
}

#[tokio::test(start_paused = true)]
async fn f35_what_outgrows_the_cap_goes_on_to_its_leader_and_is_not_stored() {
    let stage = capped(8);
    let leader = stage.visitor(&[]).await;
    let origin = stage.call().await.answer(&[FRESH]);
    origin.send(Ok("hello")).unwrap();
    let leader = head(leader).await;
    for _ in 0..3 {
        origin.send(Ok("world")).unwrap();
    }
    drop(origin);
    assert_eq!(leader.whole().await, "helloworldworldworld");
    stage.isr.idle().await;
    assert_eq!((stage.isr.stats().pages, stage.isr.stats().count(Reason::TooLarge)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn f35_what_says_it_is_larger_than_the_cap_is_its_leaders_at_once() {
    let stage = capped(8);
    let (mut visitors, call) = stage.crowd(1).await;
    let origin = call.answer(&[FRESH, TEN]);
    let leader = head(visitors.remove(0)).await;
    assert_eq!(leader.answer.detail(), "too-large");
    let other = stage.call().await.answer(&[FRESH, TEN]);
    let alone = head(visitors.remove(0)).await;
    for origin in [origin, other] {
        origin.send(Ok("helloworld")).unwrap();
    }
    assert_eq!((leader.whole().await, alone.whole().await), ("helloworld".into(), "helloworld".into()));
}

#[tokio::test(start_paused = true)]
async fn policy_routes_collect_first() {
    let stage = Stage::with(Policy::new(), |builder| builder);
    let leader = stage.visitor(&[]).await;
    let origin = stage.call().await.answer(&[TEN]);
    origin.send(Ok("hello")).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!leader.is_finished());
    origin.send(Ok("world")).unwrap();
    drop(origin);
    assert_eq!(head(leader).await.whole().await, "helloworld");
}

/// Has the body panic after its first bytes, with a leader and two who wait. The next request renders anew.
async fn panics_after_its_head(headers: &[(&str, &str)], sent: &'static str) -> (Stage, Vec<(String, bool)>) {
    let mut limits = prompt();
    limits.renders = 1;
    limits.waiters_per_key = 2;
    let stage = Stage::with(Policy::from_origin(), |builder| builder.limits(limits));
    let (visitors, call) = stage.crowd(2).await;
    let origin = call.answer(headers);
    origin.send(Ok(sent)).unwrap();
    let mut read = Vec::new();
    if headers.contains(&TEN) {
        let visits = heads(visitors).await;
        origin.send(Err(PANIC)).unwrap();
        for visit in visits {
            read.push(visit.rest().await);
        }
    } else {
        let mut visitors = visitors.into_iter();
        let leader = head(visitors.next().unwrap()).await;
        origin.send(Err(PANIC)).unwrap();
        read.push(leader.rest().await);
        // One more render for all who wait.
        stage.call().await.answer(headers).send(Ok("again")).unwrap();
        for visitor in visitors {
            read.push(head(visitor).await.rest().await);
        }
    }
    within(stage.isr.idle()).await;
    (stage, read)
}

#[tokio::test(start_paused = true)]
async fn p22_c04_a_body_that_panics_while_it_is_sent_is_cut_for_all_and_gives_back_what_it_held() {
    for sent in ["hello", ""] {
        let (stage, read) = panics_after_its_head(&[FRESH, TEN], sent).await;
        assert_eq!(read, vec![(sent.to_owned(), false); 3], "everyone's ends in an error");
        let stats = stage.isr.stats();
        assert_eq!((stats.pages, stats.bytes, stats.count(Reason::RenderPanicked)), (0, 0, 1));
        // Only one render may run, and only two may wait for it.
        let (visitors, call) = stage.crowd(2).await;
        call.answer(&[FRESH, TEN]).send(Ok("helloworld")).unwrap();
        for visit in heads(visitors).await {
            assert_eq!(visit.whole().await, "helloworld");
        }
        assert_eq!(stage.asked(), 2, "for all of them");
        assert_eq!(stage.stored().await.text(), "helloworld");
    }
}

#[tokio::test(start_paused = true)]
async fn p22_c04_a_body_of_unknown_length_that_panics_is_cut_for_its_leader_and_rendered_for_the_others() {
    let (stage, read) = panics_after_its_head(&[FRESH], "hello").await;
    let whole = ("again".to_owned(), true);
    assert_eq!(read, [("hello".to_owned(), false), whole.clone(), whole]);
    assert_eq!((stage.asked(), stage.isr.stats().count(Reason::RenderPanicked)), (2, 1));
    assert_eq!(stage.stored().await.text(), "again", "and nothing of the other is stored");
}

#[tokio::test]
async fn p22_c04_h18_over_the_wire_a_body_that_panics_is_cut() {
    for headers in [&[FRESH, TEN][..], &[FRESH]] {
        let stage = Stage::new();
        let address = serve(stage.site.clone()).await;
        let mut client = within(TcpStream::connect(address)).await.unwrap();
        client.write_all(b"GET /a HTTP/1.1\r\nhost: www.example.com\r\n\r\n").await.unwrap();
        let origin = stage.call().await.answer(headers);
        origin.send(Ok("hello")).unwrap();
        let mut answer = Vec::new();
        while !answer.windows(5).any(|bytes| bytes == b"hello") {
            assert_ne!(within(client.read_buf(&mut answer)).await.unwrap(), 0, "it streams");
        }
        origin.send(Err(PANIC)).unwrap();
        // The connection ends: what follows could not be told from the rest of the body.
        let _ = within(client.read_to_end(&mut answer)).await;
        assert!(!answer.ends_with(b"0\r\n\r\n"), "no chunk that says it is whole");
        assert_eq!(stage.isr.stats().pages, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn c04_an_origin_that_stalls_wedges_nobody() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(1).await;
    let origin = call.answer(&[FRESH, TEN]);
    origin.send(Ok("hello")).unwrap();
    let visits = heads(visitors).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    for visit in visits {
        assert_eq!(visit.rest().await, ("hello".to_owned(), false));
    }
    let next = stage.visitor(&[]).await;
    let origin = stage.call().await.answer(&[FRESH, TEN]);
    origin.send(Ok("helloworld")).unwrap();
    assert_eq!(head(next).await.whole().await, "helloworld");
    assert_eq!(stage.isr.stats().count(Reason::RenderTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn p22_a_shutdown_cuts_what_does_not_end_in_time() {
    let stage = Stage::new();
    let (visitors, call) = stage.crowd(1).await;
    let origin = call.answer(&[FRESH, TEN]);
    origin.send(Ok("hello")).unwrap();
    let visits = heads(visitors).await;
    within(stage.isr.shutdown(Duration::from_secs(1))).await;
    for visit in visits {
        assert_eq!(visit.rest().await, ("hello".to_owned(), false));
    }
}

#[tokio::test(start_paused = true)]
async fn p02_a_tag_that_comes_after_the_head_kills_the_page() {
    let stage = Stage::new();
    let leader = stage.visitor(&[]).await;
    let call = stage.call().await;
    let context = call.1.clone();
    let origin = call.answer(&[FRESH, TEN]);
    origin.send(Ok("hello")).unwrap();
    let leader = head(leader).await;
    context.add_tags([tag("late", 1)]);
    let newcomer = stage.visitor(&[]).await;
    let other = stage.call().await.answer(&[FRESH]);
    origin.send(Ok("world")).unwrap();
    drop(origin);
    assert_eq!(leader.whole().await, "helloworld");
    other.send(Ok("other")).unwrap();
    drop(other);
    assert_eq!(head(newcomer).await.whole().await, "other", "it was not joined");
    assert_eq!(stage.stored().await.text(), "other", "nor stored");
}

#[tokio::test]
async fn h18_over_the_wire_a_cut_answer_is_cut_and_a_whole_one_says_its_length() {
    let stage = Stage::new();
    let address = serve(stage.site.clone()).await;
    for is_whole in [false, true] {
        let mut client = within(TcpStream::connect(address)).await.unwrap();
        let request = b"GET /a HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let origin = stage.call().await.answer(&[FRESH, TEN]);
        origin.send(Ok("hello")).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nhello") {
            assert_ne!(within(client.read_buf(&mut answer)).await.unwrap(), 0, "it streams");
        }
        if is_whole {
            origin.send(Ok("world")).unwrap();
        }
        drop(origin);
        within(client.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("content-length: 10\r\n"), "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\nhelloworld"), is_whole, "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\nhello"), !is_whole, "{answer}");
    }
}
