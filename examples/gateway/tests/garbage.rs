//! Whatever bytes a client sends: no panic, and nobody else notices.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use common::client::soon;
use common::{Gate, Origin, Reply};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A gateway for all cases, on threads of its own.
struct House {
    runtime: tokio::runtime::Runtime,
    gate: Gate,
    origin: Origin,
}

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    // A connection's task that panics takes nobody with it, so the hook is what tells.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_test = std::thread::current().name().is_some_and(|name| name.contains("garbage"));
        HAS_PANICKED.fetch_or(!is_test, Ordering::SeqCst);
        usual(info);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("gateway")
        .enable_all()
        .build()
        .unwrap();
    let (origin, gate) = runtime.block_on(async {
        let origin = Origin::start(|_| Reply::ok("Cache-Control: max-age=60\r\n", "page")).await;
        let gate = Gate::before(origin.address).await;
        (origin, gate)
    });
    House { runtime, gate, origin }
});

/// What a head is made of, right and wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET ",
        "POST ",
        "HEAD ",
        "CONNECT ",
        "PRI ",
        "/",
        "*",
        "http://site/",
        "/a?b=c",
        "//x",
        "/%00",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/2.0\r\n",
        "Host: site\r\n",
        "host:\r\n",
        "Host: a@b\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: x\r\n",
        "Connection: close\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "Expect: 100-continue\r\n",
        "If-None-Match: \"\r\n",
        "Range: bytes=9-1,-0\r\n",
        "Cookie: =;;\r\n",
        "Cache-Control: max-age=\"\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        ":",
        "0\r\n\r\n",
        "3\r\nabc\r\n",
        "ffffffffffffffff\r\n",
        "abc",
        "SM\r\n\r\n",
    ]);
    prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..40),
        1 => (any::<u8>(), 1..70_000_usize).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let whole = Just(b"GET /a HTTP/1.1\r\nHost: site\r\n\r\n".to_vec());
    let pieces = prop::collection::vec(piece(), 1..14).prop_map(|pieces| pieces.concat());
    prop::collection::vec(prop_oneof![1 => whole, 3 => pieces], 1..4).prop_map(|all| all.concat())
}

/// Sends bytes in two parts and reads what comes, until the gateway closes or has heard it all.
async fn send(address: std::net::SocketAddr, bytes: &[u8], cut: usize) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = socket.split();
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    let sending = async {
        let _ = write.write_all(first).await;
        tokio::task::yield_now().await;
        let _ = write.write_all(second).await;
        let _ = write.shutdown().await;
    };
    let mut answer = Vec::new();
    let reading = async { _ = read.read_to_end(&mut answer).await };
    soon(futures_util::future::join(sending, reading)).await;
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn garbage_panics_nobody_and_others_are_served(bytes in request(), cut in 0..200_usize) {
        let House { runtime, gate, origin } = &*HOUSE;
        let answer = runtime.block_on(async {
            let answer = send(gate.address, &bytes, cut).await;
            // Somebody else, meanwhile and afterwards.
            assert_eq!(gate.get("/page").await.text(), "page");
            answer
        });
        prop_assert!(!HAS_PANICKED.load(Ordering::SeqCst));
        // Whatever is said is HTTP, of either kind.
        prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.") || bytes.starts_with(b"PRI "));
        // What reaches the origin is one well-formed request at a time.
        for request in origin.requests() {
            prop_assert!(request.field("host").is_some_and(|host| !host.contains(',')), "{}", request.head);
            let is_framed_twice = request.field("content-length").is_some() && request.field("transfer-encoding").is_some();
            prop_assert!(!is_framed_twice, "{}", request.head);
        }
    }
}
