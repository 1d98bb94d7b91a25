//! One large body that twenty clients wait for: who reads it while it comes, and what it costs.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};
use edge_isr_bench::report::Unit;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::{header, request};
use crate::origin::Origin;
use crate::process::micros;
use crate::proxies;
use crate::report::Report;

const READERS: u64 = 20;
const LEN: u64 = 50 << 20;
const CAP: u64 = 64 << 20;
const CHUNK: usize = 64 * 1024;
/// How long the origin thinks before it begins, so that all readers wait by then.
pub const THINKS: Duration = Duration::from_millis(300);

/// A body of [`LEN`] bytes whose length is known.
#[derive(Debug)]
pub struct Large {
    chunk: Bytes,
    left: u64,
    begun: Begun,
}

/// When the origin gave its first byte away.
pub type Begun = Arc<Mutex<Option<Instant>>>;

impl Large {
    pub fn new(begun: Begun) -> Self {
        Self { chunk: vec![b'x'; CHUNK].into(), left: LEN, begun }
    }
}

impl Body for Large {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == LEN {
            *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = self.chunk.clone();
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

pub fn measure(report: &mut Report, settings: &Settings) -> Outcome {
    report.title("A large body, through the gateway");
    report.note(format!(
        "{READERS} clients wait for one cold body of {} of known length; bodies up to {} are stored.",
        Unit::Mebibytes.write(float(LEN)),
        Unit::Mebibytes.write(float(CAP)),
    ));
    let origin = Origin::start()?;
    let limits = proxies::Limits { max_bytes: 256 << 20, max_body_bytes: CAP };
    let gateway = proxies::gateway(&settings.gateway()?, origin.at, limits)?;
    let (_, before) = gateway.server.resident()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let firsts = runtime.block_on(read(gateway.server.at))?;
    let (most, _) = gateway.server.resident()?;
    let begun =
        origin.large.lock().unwrap_or_else(PoisonError::into_inner).ok_or("the origin never began")?;
    let last = firsts.iter().map(|first| first.saturating_duration_since(begun)).max().unwrap_or_default();
    report.exactly("requests to the origin", origin.asked_large(), 1);
    report.exactly("clients that got all of it", firsts.len() as u64, READERS);
    report.at_most("the last first byte after the origin's", micros(last) / 1e3, 20.0, Unit::Millis);
    let growth = float(most.saturating_sub(before)) / float(LEN);
    report.at_most("growth of memory at its highest, in bodies", growth, 1.5, Unit::Times);
    Ok(())
}

/// When each reader saw its first byte of the body.
async fn read(at: SocketAddr) -> Outcome<Vec<Instant>> {
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        readers.spawn(read_one(at));
    }
    let mut firsts = Vec::new();
    while let Some(first) = readers.join_next().await {
        firsts.push(first??);
    }
    Ok(firsts)
}

async fn read_one(at: SocketAddr) -> Outcome<Instant> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(request("/large").as_bytes()).await?;
    let mut buffer = vec![0; CHUNK];
    let mut head = Vec::new();
    // The head, with as much of the body as came along.
    let mut body = loop {
        let len = stream.read(&mut buffer).await?;
        head.extend_from_slice(&buffer[..len]);
        match head.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break head.split_off(end + 4).len() as u64,
            None if len == 0 => return Err("the gateway closed the connection".into()),
            None => {}
        }
    };
    let length = header(&head, "content-length").map(String::from_utf8_lossy);
    if head.get(9..12) != Some(b"200") || length.as_deref() != Some(&*LEN.to_string()) {
        return Err(format!("a large body began with {}", String::from_utf8_lossy(&head)).into());
    }
    let mut first = (body > 0).then(clock::now);
    while body < LEN {
        match stream.read(&mut buffer).await? {
            0 => return Err(format!("a large body ended after {body} bytes").into()),
            len => {
                first.get_or_insert_with(clock::now);
                body += len as u64;
                // All readers share this thread: none keeps another from its first byte for longer than a read.
                tokio::task::yield_now().await;
            }
        }
    }
    first.ok_or_else(|| "no first byte".into())
}
