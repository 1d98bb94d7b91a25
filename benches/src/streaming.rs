//! A body of 50 MiB that comes slowly, through a gateway route to 20 readers who wait for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use edge_isr_axum::{Isr, IsrLayer, Limits, Policy, WrapRouter};
use http::Request;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

use edge_isr_bench::outcome::{Outcome, child, float};
use edge_isr_bench::report::{Report, Unit};
use edge_isr_bench::{clock, resident};

const BODY: u64 = 50 << 20;
const CAP: usize = 64 << 20;
const READERS: u64 = 20;
/// A frame as it comes from the network.
const FRAME: u64 = 16 << 10;
/// So much comes at once, and then nothing for so long: a tenth of a second a body of 10 MiB.
const GUST: u64 = 1 << 20;
const LULL: Duration = Duration::from_millis(10);
/// How long the origin takes for its head: all who wait are there by then.
const RENDER: Duration = Duration::from_millis(300);

pub(crate) fn measure(report: &mut Report) -> Outcome {
    report.title("Streaming: 50 MiB of known length at 100 MiB/s, the cap at 64 MiB, 20 readers who wait");
    report.note("Over sockets on loopback, a gateway route around an axum router, a runtime of two threads;");
    report.note("VmRSS of the process, readers included, is read every 2 ms.");
    report.note("  edge-isr-bench stream");
    let numbers = child(&["stream"])?;
    let get = |name| numbers.get(name).map(float);
    report.exactly("requests at the origin", numbers.get("asked")?, 1);
    report.exactly("readers who got all of it", numbers.get("whole")?, READERS);
    report.exactly("pages stored", numbers.get("pages")?, 1);
    report.at_most("first byte after the origin's, slowest", get("first")? / 1e3, 20.0, Unit::Millis);
    report.row("last byte after the origin's, slowest", Unit::Millis.write(get("last")? / 1e3));
    report.at_most("memory growth, in bodies", get("growth")? / float(BODY), 1.5, Unit::Times);
    Ok(())
}

/// What the origin did.
#[derive(Debug, Default)]
struct Origin {
    asked: AtomicU64,
    first: OnceLock<Instant>,
    last: OnceLock<Instant>,
}

/// A body that is made as it is read.
struct Slow {
    origin: Arc<Origin>,
    sent: u64,
    lull: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(lull) = &mut self.lull {
            ready!(lull.as_mut().poll(cx));
            self.lull = None;
        }
        if self.sent == BODY {
            return Poll::Ready(None);
        }
        self.origin.first.get_or_init(clock::now);
        self.sent += FRAME;
        if self.sent == BODY {
            self.origin.last.get_or_init(clock::now);
        }
        if self.sent.is_multiple_of(GUST) {
            self.lull = Some(Box::pin(sleep(LULL)));
        }
        let frame = vec![b'x'; usize::try_from(FRAME).unwrap_or(0)];
        Poll::Ready(Some(Ok(Frame::data(frame.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(BODY - self.sent)
    }
}

/// Runs it once.
pub(crate) fn child_of() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(stream())
}

async fn stream() -> Outcome {
    let origin = Arc::new(Origin::default());
    let mut limits = Limits::default();
    limits.body_bytes = CAP;
    limits.store_bytes = 1 << 30;
    let isr = Isr::builder().limits(limits).build()?;
    let known = Arc::clone(&origin);
    let page = move || {
        let origin = Arc::clone(&known);
        async move {
            origin.asked.fetch_add(1, SeqCst);
            sleep(RENDER).await;
            let body = Body::new(Slow { origin, sent: 0, lull: None });
            let head = Response::builder().header("cache-control", "max-age=600").header("etag", "\"one\"");
            head.body(body).unwrap_or_default()
        }
    };
    let layer: IsrLayer = IsrLayer::around(&isr).route("/large", Policy::from_origin(), ()).build()?;
    let site = layer.wrap(Router::new().route("/large", get(page)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let make = axum::ServiceExt::<Request<Body>>::into_make_service(site);
    tokio::spawn(async move { axum::serve(listener, make).await });
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(Reader::connected(address).await?);
    }
    let (before, watch) = (resident::bytes()?, Watch::new());
    let readers: Vec<_> = readers.into_iter().map(|reader| tokio::spawn(reader.read())).collect();
    let (mut first, mut last, mut whole) = (Duration::ZERO, Duration::ZERO, 0);
    for reader in readers {
        let read = reader.await??;
        let began = origin.first.get().ok_or("the origin never began")?;
        let ended = origin.last.get().ok_or("the origin never ended")?;
        first = first.max(read.first.saturating_duration_since(*began));
        last = last.max(read.last.saturating_duration_since(*ended));
        whole += u64::from(read.len == BODY);
    }
    isr.idle().await;
    let growth = watch.most().max(resident::bytes()?).saturating_sub(before);
    let (asked, pages) = (origin.asked.load(SeqCst), isr.stats().pages);
    println!("asked {asked}\nwhole {whole}\npages {pages}\ngrowth {growth}");
    println!("first {}\nlast {}", first.as_micros(), last.as_micros());
    Ok(())
}

/// The most memory that the process held, looked at from a thread of its own.
struct Watch {
    most: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Watch {
    fn new() -> Self {
        let (most, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, over) = (Arc::clone(&most), Arc::clone(&ends));
        std::thread::spawn(move || {
            while !over.load(SeqCst) {
                seen.fetch_max(resident::bytes().unwrap_or(0), SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { most, ends }
    }

    fn most(self) -> u64 {
        self.ends.store(true, SeqCst);
        self.most.load(SeqCst)
    }
}

/// One who asks for the page.
struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What a reader got, and when.
struct Read {
    first: Instant,
    last: Instant,
    len: u64,
}

impl Reader {
    async fn connected(address: std::net::SocketAddr) -> Outcome<Self> {
        Ok(Self { stream: TcpStream::connect(address).await?, buffer: vec![0; 64 << 10] })
    }

    async fn read(mut self) -> Outcome<Read> {
        let request = b"GET /large HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n\r\n";
        self.stream.write_all(request).await?;
        let mut head = Vec::new();
        let (mut first, mut len) = (None, 0);
        loop {
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                break;
            }
            let mut body = self.buffer.get(..read).unwrap_or_default();
            if first.is_none() {
                head.extend_from_slice(body);
                let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                body = head.get(end + 4..).unwrap_or_default();
                if body.is_empty() {
                    continue;
                }
                first = Some(clock::now());
            }
            len += body.iter().filter(|byte| **byte == b'x').count() as u64;
        }
        let last = clock::now();
        Ok(Read { first: first.ok_or("no body")?, last, len })
    }
}
