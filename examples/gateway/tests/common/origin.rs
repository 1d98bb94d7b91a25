//! An origin that does as it is told, byte by byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection of the origin's it came on, and which request on that it is; both from 0.
    pub(crate) connection: usize,
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The lines of a field, joined.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let lines = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let lines: Vec<&str> = lines.map(|(_, value)| value.trim()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }
}

/// What the origin does with a request.
pub(crate) enum Reply {
    /// Writes this and waits for the next request.
    Keep(Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this, then nothing until the gateway leaves.
    Hang(Vec<u8>),
    /// Writes the first, and the second when told to go on.
    Halves(Vec<u8>, Vec<u8>),
    /// Writes this, then sends back what it gets.
    Echo(Vec<u8>),
    /// The same, when told to go on.
    LateEcho(Vec<u8>),
}

impl Reply {
    /// A whole answer.
    pub(crate) fn ok(fields: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut answer =
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        Self::Keep(answer)
    }

    pub(crate) fn keep(answer: &str) -> Self {
        Self::Keep(answer.into())
    }
}

/// An origin that runs.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    /// Connections that the gateway left.
    left: Arc<AtomicUsize>,
    changed: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Origin {
    pub(crate) async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::begin(reply, true).await
    }

    /// One that answers as soon as it has a head, and takes a body for the next request.
    pub(crate) async fn deaf(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::begin(reply, false).await
    }

    async fn begin(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static, hears_bodies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            left: Arc::default(),
            changed: Arc::default(),
            go_on: Arc::default(),
        };
        let (requests, left) = (Arc::clone(&origin.requests), Arc::clone(&origin.left));
        let (changed, go_on) = (Arc::clone(&origin.changed), Arc::clone(&origin.go_on));
        let (connections, reply) = (Arc::clone(&origin.connections), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (requests, left) = (Arc::clone(&requests), Arc::clone(&left));
                let (changed, go_on) = (Arc::clone(&changed), Arc::clone(&go_on));
                let reply = Arc::clone(&reply);
                tokio::spawn(async move {
                    let heard = |request: &Request| {
                        requests.lock().unwrap().push(request.clone());
                        changed.notify_waiters();
                        reply(request)
                    };
                    if serve(socket, (connection, hears_bodies), heard, &go_on).await {
                        left.fetch_add(1, Ordering::SeqCst);
                        changed.notify_waiters();
                    }
                });
            }
        });
        origin
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests came for a target.
    pub(crate) fn count(&self, target: &str) -> usize {
        self.requests().iter().filter(|request| request.target() == target).count()
    }

    /// The last request for a target.
    pub(crate) fn last(&self, target: &str) -> Request {
        self.requests().into_iter().rfind(|request| request.target() == target).unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits for something to be so.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool + Send + Sync) {
        super::client::soon(async {
            loop {
                let changed = self.changed.notified();
                if is_so(self) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    /// How many connections the gateway left in the middle of something.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// Lets halves be followed by their other halves.
    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }
}

/// Serves one connection. Whether the gateway left in the middle of an answer or of a request.
async fn serve(
    mut socket: TcpStream,
    (connection, hears_bodies): (usize, bool),
    heard: impl Fn(&Request) -> Reply,
    go_on: &Notify,
) -> bool {
    let mut early = Vec::new();
    for number in 0.. {
        let Some((head, body)) = request(&mut socket, &mut early, hears_bodies).await else {
            return !early.is_empty();
        };
        match heard(&Request { head, body, connection, number }) {
            Reply::Keep(answer) => {
                if socket.write_all(&answer).await.is_err() {
                    return true;
                }
            }
            Reply::Close(answer) => {
                let _ = socket.write_all(&answer).await;
                let _ = socket.shutdown().await;
                return false;
            }
            Reply::Hang(answer) => {
                let _ = socket.write_all(&answer).await;
                while matches!(socket.read(&mut [0; 1000]).await, Ok(1..)) {}
                return true;
            }
            Reply::Halves(first, second) => {
                let _ = socket.write_all(&first).await;
                go_on.notified().await;
                if socket.write_all(&second).await.is_err() {
                    return true;
                }
            }
            Reply::Echo(answer) => return echo(socket, &answer, &early).await,
            Reply::LateEcho(answer) => {
                go_on.notified().await;
                return echo(socket, &answer, &early).await;
            }
        }
    }
    false
}

async fn echo(mut socket: TcpStream, answer: &[u8], early: &[u8]) -> bool {
    let _ = socket.write_all(answer).await;
    let _ = socket.write_all(early).await;
    let (mut read, mut write) = socket.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    true
}

/// Reads a request to its end. `None` when the gateway has no more.
async fn request(
    socket: &mut TcpStream,
    early: &mut Vec<u8>,
    hears_bodies: bool,
) -> Option<(String, Vec<u8>)> {
    let end = fill(socket, early, |bytes| position(bytes, b"\r\n\r\n")).await? + 4;
    let head = String::from_utf8(early.drain(..end).collect()).unwrap();
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    if !hears_bodies {
        return Some((head, Vec::new()));
    }
    let length = if field("transfer-encoding:").is_some() {
        // The chunks as they came.
        fill(socket, early, |bytes| position(bytes, b"0\r\n\r\n")).await? + 5
    } else {
        let length = field("content-length:").map_or(0, |length| length.parse().unwrap());
        fill(socket, early, |bytes| (bytes.len() >= length).then_some(length)).await?
    };
    Some((head, early.drain(..length).collect()))
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

async fn fill(
    socket: &mut TcpStream,
    early: &mut Vec<u8>,
    find: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(found) = find(early) {
            return Some(found);
        }
        let mut space = [0; 16 << 10];
        match socket.read(&mut space).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => early.extend_from_slice(&space[..read]),
        }
    }
}
