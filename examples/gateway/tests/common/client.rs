//! A client that sends the bytes it is given and reads answers strictly.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in these tests takes so long, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it never came")
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in order.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The lines of a field, joined.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let lines: Vec<&str> = lines.collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.field("cache-status").is_some_and(|status| status.contains("edge-isr;hit"))
    }
}

/// A connection to the gateway.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    /// Read and not used yet.
    early: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, early: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: site\r\n\r\n")).await
    }

    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let is_head = request.as_ref().starts_with(b"HEAD ");
        self.send(request).await;
        self.answer(is_head).await
    }

    /// Reads the head of an answer, an interim one, too.
    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.early.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let more = self.more().await;
            assert!(more, "the connection ended after {:?}", String::from_utf8_lossy(&self.early));
        };
        let rest = self.early.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.early, rest)).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().unwrap();
        assert!(first.starts_with("HTTP/1."), "{first}");
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Answer { status, fields: lines.map(field).collect(), body: Vec::new() }
    }

    /// Reads an answer to its end.
    pub(crate) async fn answer(&mut self, is_head: bool) -> Answer {
        let mut answer = self.head().await;
        let length = answer.field("content-length").map(|length| length.parse::<usize>().unwrap());
        let is_chunked = answer.field("transfer-encoding").is_some_and(|coding| coding == "chunked");
        assert!(!(is_chunked && length.is_some()), "{answer:?}");
        let has_none = is_head || answer.status < 200 || matches!(answer.status, 204 | 304);
        answer.body = match length {
            _ if has_none => Vec::new(),
            Some(length) => self.bytes(length).await,
            None if is_chunked => self.chunks().await,
            None => self.rest().await,
        };
        answer
    }

    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.early.len() < length {
            assert!(self.more().await, "the body ended after {} bytes of {length}", self.early.len());
        }
        let rest = self.early.split_off(length);
        std::mem::replace(&mut self.early, rest)
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.early.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end,
                    None => assert!(self.more().await, "a chunked body ended before its last chunk"),
                }
            };
            let line = String::from_utf8(self.bytes(end + 2).await).unwrap();
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let chunk = self.bytes(size + 2).await;
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Everything up to the connection's end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.early)
    }

    /// Whether the gateway ended the connection and sent nothing more before.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// Reads what is there; false at the connection's end.
    async fn more(&mut self) -> bool {
        let mut space = [0; 16 << 10];
        // A connection that is reset has ended, too.
        let read = soon(self.socket.read(&mut space)).await.unwrap_or(0);
        self.early.extend_from_slice(&space[..read]);
        read > 0
    }
}
