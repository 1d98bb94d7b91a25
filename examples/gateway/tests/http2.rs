//! HTTP/2, frame by frame: what begins must end.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::time::Duration;

use common::client::soon;
use common::{Client, Gate, Origin, Reply};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const NEVER: Duration = Duration::from_secs(3600);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame whose payload may be another than its length says.
fn frame(length: usize, kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [.., middle, low] = length.to_be_bytes();
    [&[0, middle, low, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn settings() -> Vec<u8> {
    frame(0, SETTINGS, 0, 0, b"")
}

/// The head of a request for `/` at `site`, as HPACK has it.
fn head(method: &str) -> Vec<u8> {
    let method = if method == "GET" { 0x82 } else { 0x83 };
    [&[method, 0x86, 0x84, 0x41, 4], &b"site"[..]].concat()
}

async fn begin(gate: &Gate) -> Client {
    let mut client = gate.client().await;
    client.send([PREFACE, &settings()].concat()).await;
    client
}

/// Reads up to the end of the next frame of a type.
async fn until(client: &mut Client, wanted: u8) -> Vec<u8> {
    loop {
        let head = client.bytes(9).await;
        let payload = client.bytes(usize::from(head[1]) << 8 | usize::from(head[2])).await;
        if head[3] == wanted {
            return payload;
        }
    }
}

#[tokio::test]
async fn what_begins_and_does_not_end_is_timed_out() {
    let origin = Origin::start(|_| Reply::Hang(Vec::new())).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(200);
        front.idle_timeout = NEVER;
    })
    .await;
    let get = head("GET");
    let open = frame(get.len(), HEADERS, END_STREAM, 1, &get);
    for (name, half) in [
        ("no settings", Vec::new()),
        ("half a frame's head", [settings(), vec![0, 0]].concat()),
        ("half a frame", [settings(), frame(8, 6, 0, 0, b"ping")].concat()),
        ("half a head's frame", [settings(), frame(100, HEADERS, END_HEADERS, 1, &get)].concat()),
        ("a head without its end", [settings(), open.clone()].concat()),
        ("more of it", [settings(), open.clone(), frame(0, CONTINUATION, 0, 1, b"")].concat()),
    ] {
        let mut client = gate.client().await;
        client.send([PREFACE, &half].concat()).await;
        drop(client.rest().await);
        assert_eq!(origin.requests().len(), 0, "{name}");
    }
    // However slowly more of it comes.
    let mut client = begin(&gate).await;
    client.send(frame(16_000, HEADERS, END_HEADERS, 1, &get)).await;
    soon(async {
        while tokio::io::AsyncWriteExt::write_all(&mut client.socket, b"\0").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Also where another request waits for its answer.
    let mut client = begin(&gate).await;
    client.send(frame(get.len(), HEADERS, END_HEADERS | END_STREAM, 1, &get)).await;
    origin.until(|origin| origin.requests().len() == 1).await;
    client.send(frame(get.len(), HEADERS, END_STREAM, 3, &get)).await;
    drop(client.rest().await);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn bodies_and_pauses_take_their_time() {
    let origin = Origin::start(|request| Reply::ok("", &request.body[3..7])).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(50);
        front.idle_timeout = NEVER;
    })
    .await;
    let mut client = begin(&gate).await;
    let longer = || tokio::time::sleep(Duration::from_millis(100));
    longer().await;
    let post = head("POST");
    client.send(frame(post.len(), HEADERS, END_HEADERS, 1, &post)).await;
    longer().await;
    client.send(frame(4, DATA, END_STREAM, 1, b"bo")).await;
    longer().await;
    client.send("dy").await;
    assert_eq!(until(&mut client, DATA).await, b"body");
}

/// Who asks nothing is told that the connection ends, as who just asks something must know.
#[tokio::test]
async fn who_asks_nothing_is_told_to_leave() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(200);
        front.idle_timeout = Duration::from_millis(200);
    })
    .await;
    let mut client = begin(&gate).await;
    // No error, and what is on its way is still taken.
    assert_eq!(until(&mut client, GOAWAY).await, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    drop(client.rest().await);
}

/// The end of a request may come in a frame of its own, and later.
#[tokio::test]
async fn an_end_without_a_body_is_waited_for() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::before(origin.address).await;
    let mut client = begin(&gate).await;
    let get = head("GET");
    client.send(frame(get.len(), HEADERS, END_HEADERS, 1, &get)).await;
    client.send(frame(8, PING, 0, 0, b"anybody?")).await;
    // The head has been heard.
    assert_eq!(until(&mut client, PING).await, b"anybody?");
    client.send(frame(0, DATA, END_STREAM, 1, b"")).await;
    assert_eq!(until(&mut client, DATA).await, b"page");
}

/// Pings as long as the gateway listens.
async fn ping(client: &mut Client) {
    let ping = frame(8, PING, 0, 0, b"anybody?");
    let (mut read, mut write) = client.socket.split();
    let drip = async {
        while tokio::io::AsyncWriteExt::write_all(&mut write, &ping).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let listen =
        async { while matches!(tokio::io::AsyncReadExt::read(&mut read, &mut [0; 1000]).await, Ok(1..)) {} };
    soon(async {
        tokio::select! {
            () = drip => {}
            () = listen => {}
        }
    })
    .await;
}

/// Who only says that the connection is there asks nothing, and takes nothing of what is there.
#[tokio::test]
async fn pings_keep_nobody() {
    let origin = Origin::start(|_| Reply::ok("", "page")).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(300);
        front.idle_timeout = Duration::from_millis(300);
    })
    .await;
    let mut client = begin(&gate).await;
    ping(&mut client).await;
    // An answer waits for room that never comes: the initial window is none.
    let mut client = gate.client().await;
    let no_room = frame(6, SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let get = head("GET");
    client
        .send([PREFACE, &no_room, &frame(get.len(), HEADERS, END_HEADERS | END_STREAM, 1, &get)].concat())
        .await;
    until(&mut client, HEADERS).await;
    ping(&mut client).await;
}

/// A client that pings while its origin is slow is still there.
#[tokio::test]
async fn pings_while_an_origin_is_waited_for_end_nothing() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow";
    let origin = Origin::start(|_| Reply::Halves(Vec::new(), answer.to_vec())).await;
    let gate = Gate::with(origin.address, |_, front| {
        front.head_timeout = Duration::from_millis(50);
        front.idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut client = gate.client().await;
    let get = head("GET");
    client
        .send([PREFACE, &settings(), &frame(get.len(), HEADERS, END_HEADERS | END_STREAM, 1, &get)].concat())
        .await;
    origin.until(|origin| origin.requests().len() == 1).await;
    for _ in 0..20 {
        client.send(frame(8, PING, 0, 0, b"anybody?")).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    origin.go_on();
    assert_eq!(until(&mut client, DATA).await, b"slow");
}
