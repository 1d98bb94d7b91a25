use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_isr_core::Isr;
use edge_isr_core::isr::lines::Lines;
use edge_isr_tower::{IsrBody, IsrRequestBody, IsrService, NoFacts, ResponseFuture};
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Extensions, Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;
use tower_layer::Layer as _;

use super::*;
use crate::config::Config;
use crate::front::connection::{self, Shared};
use crate::front::framing::{Fault, Framing};
use crate::front::wire::Patience;
use crate::front::{Settings, Upload};

/// More than a body has in one piece.
const LARGE: usize = 1_200_000;
/// The most bytes of a head.
const HEAD_BYTES: usize = 1 << 10;
/// How long a client may do nothing.
const IDLE: Duration = Duration::from_secs(60);

/// An origin that says by a path what is stored.
#[derive(Debug, Clone)]
struct Origin;

impl tower_service::Service<Request<IsrRequestBody<Upload>>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<IsrRequestBody<Upload>>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let (status, len) = match &*path {
            "/large" => (200, LARGE),
            "/empty" => (200, 0),
            "/none" => (204, 0),
            "/gone" => (410, 5),
            _ => (200, 9),
        };
        let how = if path == "/private" { "no-store" } else { "max-age=3600" };
        let answer = Response::builder().status(status).header("cache-control", how).header("etag", "\"a\"");
        let answer = answer.body(Full::from(vec![b'x'; len])).unwrap();
        Box::pin(async move {
            if path == "/private" {
                // Others have the thread meanwhile.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(answer)
        })
    }
}

/// A site whose short way can be closed.
#[derive(Debug, Clone)]
struct Pages {
    app: IsrService<Origin, NoFacts>,
    is_open: bool,
    shortcuts: Arc<AtomicUsize>,
}

impl Pages {
    fn new() -> Self {
        let config = Config::new(([127, 0, 0, 1], 0).into(), "http://origin".parse().unwrap());
        let isr = Isr::builder().build().unwrap();
        let app = config.layer(&isr).build().unwrap().layer(Origin);
        Self { app, is_open: true, shortcuts: Arc::default() }
    }

    fn with_shortcuts(&self, is_open: bool) -> Self {
        Self { is_open, ..self.clone() }
    }
}

impl Site for Pages {
    type Body = IsrBody<Full<Bytes>>;
    type Answer = ResponseFuture<Origin, IsrRequestBody<Upload>, Full<Bytes>>;

    fn answer(
        &self,
        request: Request<IsrRequestBody<Upload>>,
        tell: impl FnOnce(&mut Extensions),
    ) -> Self::Answer {
        self.app.call_telling(request, tell)
    }

    fn answer_at_once<R>(&self, asked: &Parts, write: impl FnOnce(&Lines<'_>) -> R) -> Option<R> {
        let open = self.is_open.then_some(&self.app)?;
        let answered = open.answer_at_once::<IsrRequestBody<Upload>, _, R>(asked, write);
        self.shortcuts.fetch_add(usize::from(answered.is_some()), Ordering::Relaxed);
        answered
    }
}

/// A connection that takes no more than so many bytes that its client has not read.
fn connect(pages: &Pages, room: usize) -> (DuplexStream, Arc<Shared<Pages>>, JoinHandle<()>) {
    let config = Config::new(([127, 0, 0, 1], 0).into(), "http://origin".parse().unwrap());
    let settings = Settings { idle_timeout: IDLE, head_bytes: HEAD_BYTES, ..Settings::of(&config) };
    let shared = Arc::new(Shared::new(pages.clone(), settings));
    let (client, server) = duplex(room);
    let serving = connection::serve(Arc::clone(&shared), server, ([127, 0, 0, 1], 1).into());
    (client, shared, tokio::spawn(serving))
}

/// All that a client is told that sends these pieces and then ends its side.
async fn told(pages: &Pages, room: usize, pieces: &[&[u8]]) -> Vec<u8> {
    let (client, _, serving) = connect(pages, room);
    let (mut read, mut write) = tokio::io::split(client);
    let mut told = Vec::new();
    let say = async {
        for piece in pieces {
            // The server may have left.
            let _ = write.write_all(piece).await;
            for _ in 0..piece.len() % 7 {
                yield_now().await;
            }
        }
        let _ = write.shutdown().await;
    };
    let (_, heard) = tokio::join!(say, read.read_to_end(&mut told));
    heard.unwrap();
    serving.await.unwrap();
    told
}

/// Answers as they can be compared: each with its fields in order, but for what a clock says.
fn answers(mut told: &[u8], is_head: impl Fn(usize) -> bool) -> Vec<(Vec<String>, usize)> {
    let mut all = Vec::new();
    while !told.is_empty() {
        let Some(end) = memchr::memmem::find(told, b"\r\n\r\n") else {
            // hyper does not wait until a refusal has been taken.
            assert!(told.starts_with(&b"HTTP/1.1 400 "[..told.len().min(13)]), "a whole head");
            break;
        };
        let head = std::str::from_utf8(&told[..end]).unwrap();
        let is_timeless = |line: &&str| !line.starts_with("date: ") && !line.starts_with("age: ");
        let timeless = |line: &str| line.split_once(";ttl=").map_or(line, |(said, _)| said).to_owned();
        let mut lines: Vec<String> = head.lines().filter(is_timeless).map(timeless).collect();
        lines[1..].sort_unstable();
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let sent = if is_head(all.len()) { 0 } else { length };
        let body = &told[end + 4..][..sent];
        assert!(body.iter().all(|&byte| byte == b'x'), "another answer within a body");
        told = &told[end + 4 + sent..];
        all.push((lines, sent));
    }
    all
}

/// Requests of all kinds, those that the short way answers first.
const SHORT: usize = 13;
const REQUESTS: [&str; 27] = [
    "GET /small HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /empty HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /none HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /gone HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /small HTTP/1.1\nhost:site\nAccept: a\nAccept: b\n\n",
    "\r\n\r\nGET /small HTTP/1.1\r\nHOST: SITE\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nIf-None-Match: \"a\"\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nIf-None-Match: W/\"b\", \"a\"\r\n\r\n",
    "GET /gone HTTP/1.1\r\nHost: site\r\nIf-None-Match: \"a\"\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nConnection: Keep-Alive\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nUser-Agent: ä b\r\nX-Empty:\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nRange: bytes=1-3,5-6\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: site\r\nRange: bytes=1-3\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nRange: bytes=10-\r\n\r\n",
    "HEAD /large HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET http://site/small HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /private HTTP/1.1\r\nHost: site\r\n\r\n",
    "POST /private HTTP/1.1\r\nHost: site\r\nContent-Length: 9\r\n\r\nGET /none",
    "POST /private HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nConnection: keep-alive, x\r\nX: y\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    // These end the connection.
    "GET /small HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n",
    "GET /small HTTP/1.0\r\n\r\n",
    "GET /small HTTP/1.1\r\nHost: site\r\nHost: site\r\n\r\n",
    "GET /sm all HTTP/1.1\r\nHost: site\r\n\r\n",
];

/// Bytes, cut at these places.
fn cut(bytes: &[u8], mut places: Vec<usize>) -> Vec<&[u8]> {
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

async fn stored() -> Pages {
    let pages = Pages::new();
    let room = 1 << 20;
    let all: String = REQUESTS[..SHORT].concat();
    told(&pages, room, &[all.as_bytes()]).await;
    pages.shortcuts.store(0, Ordering::Relaxed);
    pages
}

fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn what_is_plain_and_stored_takes_the_short_way() {
    run(async {
        let pages = stored().await;
        for (n, request) in REQUESTS.iter().enumerate() {
            told(&pages, 1 << 20, &[request.as_bytes()]).await;
            assert_eq!(pages.shortcuts.swap(0, Ordering::Relaxed), usize::from(n < SHORT), "{request}");
        }
        // What is not there in full when it is looked at does not, but what follows does.
        let request = REQUESTS[0].as_bytes();
        told(&pages, 1 << 20, &[&request[..20], &request[20..], request]).await;
        assert_eq!(pages.shortcuts.load(Ordering::Relaxed), 1);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn either_way_a_client_is_told_the_same(
        order in proptest::collection::vec(0..REQUESTS.len() + 2 * SHORT, 1..14),
        between in any::<u16>(),
        within in proptest::collection::vec(any::<usize>(), 0..4),
        room in prop_oneof![Just(700_usize), Just(20_000), Just(1 << 20)],
    ) {
        let order: Vec<usize> =
            order.into_iter().map(|n| n.checked_sub(REQUESTS.len()).map_or(n, |n| n % SHORT)).collect();
        let said: String = order.iter().map(|&n| REQUESTS[n]).collect();
        // Between some of them, and anywhere.
        let mut places: Vec<usize> = within.iter().map(|place| place % said.len()).collect();
        let mut at = 0;
        for (n, &request) in order.iter().enumerate() {
            places.extend((between >> n & 1 == 1).then_some(at));
            at += REQUESTS[request].len();
        }
        let pieces = cut(said.as_bytes(), places);
        let is_head = |n: usize| REQUESTS[order[n]].starts_with("HEAD");
        let (short, long) = run(async {
            let pages = stored().await;
            (
                told(&pages, room, &pieces).await,
                told(&pages.with_shortcuts(false), room, &pieces).await,
            )
        });
        prop_assert_eq!(answers(&short, is_head), answers(&long, is_head));
    }

    /// Heads end where the wire, which looks for what smuggles, takes them to end.
    #[test]
    fn d23_a_plain_head_is_one_head_to_the_wire(
        order in proptest::collection::vec(0..REQUESTS.len(), 1..4),
        spoiled in proptest::collection::vec((any::<usize>(), "\r|\n|\r\n| |\t|:|\0|x"), 0..4),
    ) {
        let mut said: Vec<u8> = order.iter().flat_map(|&n| REQUESTS[n].bytes()).collect();
        for (at, with) in spoiled {
            let at = at % said.len();
            said.splice(at..at, with.bytes());
        }
        if let Err(Fault::Head(at) | Fault::Body(at)) = Framing::new(4000).follow(&said) {
            // As the wire passes it on.
            said.truncate(at);
            said.extend_from_slice(b"\0\r\n\r\n");
        }
        let mut plain = Plain::default();
        if let Some((_, taken)) = plain.read(&said) {
            let mut framing = Framing::new(4000);
            prop_assert_eq!(framing.follow(&said[..taken]), Ok(taken));
            prop_assert!(framing.is_between() && framing.heads() == 1);
        }
    }
}

/// How long a connection lasts whose client asks for a page and takes nothing.
async fn patience(pages: &Pages) -> Duration {
    let (mut client, _, serving) = connect(pages, 700);
    client.write_all(REQUESTS[1].as_bytes()).await.unwrap();
    let begin = Instant::now();
    serving.await.unwrap();
    begin.elapsed()
}

#[test]
fn p15_who_takes_nothing_is_waited_for_as_long_as_by_hyper() {
    run(async {
        let pages = stored().await;
        let long = patience(&pages.with_shortcuts(false)).await;
        assert!(long >= IDLE);
        assert_eq!(patience(&pages).await, long);
        assert_eq!(pages.shortcuts.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn p21_a_connection_that_hyper_never_heard_of_ends_with_a_stop() {
    run(async {
        let pages = stored().await;
        for (request, told) in [(REQUESTS[0], 1000), (REQUESTS[1], LARGE)] {
            let (mut client, shared, serving) = connect(&pages, 1000);
            client.write_all(request.as_bytes()).await.unwrap();
            // It has begun to answer, and can't end before it is read.
            let mut first = [0; 10];
            client.read_exact(&mut first).await.unwrap();
            let begin = Instant::now();
            let close = shared.house.close(Duration::from_secs(10));
            let mut all = Vec::new();
            let (_, heard) = tokio::join!(close, client.read_to_end(&mut all));
            heard.unwrap();
            serving.await.unwrap();
            assert_eq!(begin.elapsed(), Duration::ZERO);
            assert_eq!(all.len() >= LARGE, told == LARGE, "all of it arrives");
        }
    });
}

/// How long a stop takes for a client that has been answered and has begun to say this.
async fn stop(pages: &Pages, begun: &str) -> Duration {
    let (mut client, shared, serving) = connect(pages, 1 << 20);
    client.write_all([REQUESTS[0], begun].concat().as_bytes()).await.unwrap();
    client.read_exact(&mut [0; 10]).await.unwrap();
    let begin = Instant::now();
    shared.house.close(Duration::from_secs(7)).await;
    serving.await.unwrap();
    begin.elapsed()
}

#[test]
fn p21_a_request_that_has_only_begun_holds_up_no_stop() {
    run(async {
        let pages = stored().await;
        for begun in ["", "\r", "\r\n", "GET /small HTTP/1.1\r\nHost:"] {
            for is_open in [true, false] {
                assert_eq!(stop(&pages.with_shortcuts(is_open), begun).await, Duration::ZERO, "{begun:?}");
            }
        }
    });
}

#[test]
fn p21_a_stop_cuts_off_nothing_after_an_upgrade_that_was_refused() {
    run(async {
        let pages = stored().await;
        let (mut client, shared, serving) = connect(&pages, 2000);
        let upgrade = "GET /empty HTTP/1.1\r\nHost: site\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        client.write_all(upgrade.as_bytes()).await.unwrap();
        client.read_exact(&mut [0; 100]).await.unwrap();
        client.write_all(REQUESTS[1].as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let close = shared.house.close(Duration::from_secs(10));
        let mut all = Vec::new();
        let (_, heard) = tokio::join!(close, client.read_to_end(&mut all));
        heard.unwrap();
        serving.await.unwrap();
        assert!(all.len() > LARGE, "{}", all.len());
    });
}

#[test]
fn empty_lines_between_requests_are_nothing_however_many() {
    run(async {
        let pages = stored().await;
        // Each comes alone: there is no room for two.
        let request = [REQUESTS[0], "\r\n\n"].concat();
        let pieces = vec![request.as_bytes(); HEAD_BYTES];
        let told = answers(&told(&pages, request.len(), &pieces).await, |_| false);
        assert_eq!(told.len(), HEAD_BYTES);
        assert!(told.iter().all(|(lines, _)| lines[0] == "HTTP/1.1 200 OK"));
    });
}

#[test]
fn what_hyper_has_in_its_buffers_is_answered_first() {
    run(async {
        let pages = stored().await;
        let private = "GET /private HTTP/1.1\r\nHost: site\r\n\r\n".as_bytes();
        // While the first one waits the second one is read, but not asked.
        let pieces = [private, private, REQUESTS[2].as_bytes(), REQUESTS[0].as_bytes()];
        let order = answers(&told(&pages, 1 << 20, &pieces).await, |_| false);
        assert_eq!(order.iter().map(|answer| answer.1).collect::<Vec<_>>(), [9, 9, 0, 9]);
    });
}

#[test]
fn what_hyper_has_not_written_is_written_first() {
    run(async {
        let pages = stored().await;
        let (mut client, _, serving) = connect(&pages, 100);
        let head = "HEAD /small HTTP/1.1\r\nHost: site\r\n\r\n";
        for request in [head, REQUESTS[0]] {
            client.write_all(request.as_bytes()).await.unwrap();
            // It is read, and what there is room for is written.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.shutdown().await.unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        serving.await.unwrap();
        let told = answers(&told, |n| n == 0);
        assert_eq!(told.iter().map(|answer| answer.1).collect::<Vec<_>>(), [0, 9]);
    });
}

/// Counts how often it is called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl std::task::Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_answer_that_ends_in_a_flush_lets_what_follows_be_read() {
    run(async {
        let pages = stored().await;
        let (mut client, server) = duplex(700);
        let line = Arc::new(Line::new(([127, 0, 0, 1], 1).into()));
        let mut wire = Wire::new(server, Arc::clone(&line), Patience { head: IDLE, idle: IDLE });
        client.write_all(REQUESTS[0].repeat(9).as_bytes()).await.unwrap();
        std::future::poll_fn(|cx| wire.poll_protocol(cx, 4000)).await.unwrap();
        let mut io = Shortcut::new(wire, pages.clone(), line, Arc::default());
        let calls = Arc::new(Calls::default());
        let waker = std::task::Waker::from(Arc::clone(&calls));
        let mut cx = Context::from_waker(&waker);
        let mut space = [MaybeUninit::uninit(); 8000];
        let mut read = ReadBuf::uninit(&mut space);
        assert!(Pin::new(&mut io).poll_read(&mut cx, read.unfilled()).is_pending());
        let answered = pages.shortcuts.load(Ordering::Relaxed);
        assert!(answered < 9, "there is no room for all of them");
        client.read_exact(&mut [0; 700]).await.unwrap();
        calls.0.store(0, Ordering::Relaxed);
        assert!(Pin::new(&mut io).poll_flush(&mut cx).is_ready());
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(Pin::new(&mut io).poll_read(&mut cx, read.unfilled()).is_pending());
        assert!(pages.shortcuts.load(Ordering::Relaxed) > answered);
    });
}
