//! An HTTP client that costs little: what is sent is written by hand, of an answer only the frame is read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as Blocking};

use edge_isr_bench::outcome::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The host that is asked for, whatever the port.
pub const HOST: &str = "www.example.com";
const ROOM: usize = 64 * 1024;

/// A request for a path, on a connection that stays open.
pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// A connection, and what has arrived on it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

/// One answer, as it stands in the connection's buffer.
#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(at: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ROOM], from: 0, to: 0 })
    }

    /// One request or several.
    pub async fn send(&mut self, requests: &[u8]) -> Outcome {
        Ok(self.stream.write_all(requests).await?)
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Outcome<Answer<'_>> {
        let (status, head, body) = loop {
            let arrived = &self.buffer[self.from..self.to];
            if let Some(frame) = Frame::read(arrived)? {
                if arrived.len() >= frame.head + frame.body {
                    break (frame.status, frame.head, frame.body);
                }
                self.make_room(frame.head + frame.body);
            }
            self.more().await?;
        };
        let start = self.from;
        self.from += head + body;
        let answer = &self.buffer[start..self.from];
        Ok(Answer { status, head: &answer[..head], body: &answer[head..] })
    }

    /// One request and its answer.
    pub async fn get(&mut self, path: &str) -> Outcome<Answer<'_>> {
        self.send(request(path).as_bytes()).await?;
        self.answer().await
    }

    fn make_room(&mut self, len: usize) {
        if self.from + len > self.buffer.len() {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            self.buffer.resize(self.buffer.len().max(len), 0);
        }
    }

    async fn more(&mut self) -> Outcome {
        if self.to == self.buffer.len() {
            let needed = self.to - self.from + 1;
            self.make_room(needed.max(ROOM / 2));
        }
        match self.stream.read(&mut self.buffer[self.to..]).await? {
            0 => Err("the server closed a connection".into()),
            len => {
                self.to += len;
                Ok(())
            }
        }
    }
}

/// How long an answer is.
struct Frame {
    status: u16,
    head: usize,
    body: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Outcome<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = &bytes[..end + 4];
        let status = std::str::from_utf8(head.get(9..12).unwrap_or_default())?.parse()?;
        let length = header(head, "content-length").ok_or("an answer without a Content-Length")?;
        Ok(Some(Self { status, head: head.len(), body: std::str::from_utf8(length)?.parse()? }))
    }
}

/// The value of a header, of the first line with its name.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then_some(value.trim_ascii())
    })
}

/// One request on a connection of its own, from a thread that may wait: the body of a 200.
pub fn get(at: SocketAddr, path: &str) -> Outcome<Vec<u8>> {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"))
}

/// The same for a request that is written out and closes its connection.
pub fn ask(at: SocketAddr, request: &str) -> Outcome<Vec<u8>> {
    let mut stream = Blocking::connect(at)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer without an end")?;
    if answer.get(9..12) != Some(b"200") {
        return Err(format!("{request}: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(answer.split_off(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_its_head_says() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nContent-Length: 5\r\n\r\nhello, there";
        let frame = Frame::read(bytes).expect("a length").expect("a whole head");
        assert_eq!((frame.status, frame.head, frame.body), (200, 63, 5));
        assert!(Frame::read(b"HTTP/1.1 200 OK\r\n").expect("nothing wrong yet").is_none());
        assert!(Frame::read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert_eq!(header(bytes, "content-type"), Some(&b"text/html"[..]));
        assert_eq!(header(bytes, "age"), None);
    }
}
