use super::*;

/// Follows a connection's bytes in pieces of one size.
fn follow(bytes: &[u8], piece: usize) -> Result<Framing, Fault> {
    let mut framing = Framing::new(1000);
    for piece in bytes.chunks(piece) {
        framing.follow(piece)?;
    }
    Ok(framing)
}

/// In whatever pieces bytes arrive, they mean the same.
fn ends_well(text: &str) -> bool {
    let whole = follow(text.as_bytes(), usize::MAX).is_ok();
    for piece in 1..text.len() {
        assert_eq!(follow(text.as_bytes(), piece).is_ok(), whole, "{text:?} in pieces of {piece}");
    }
    whole
}

#[test]
fn d23_shapes_that_smuggle_are_refused_in_whatever_pieces_they_come() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "Transfer-Encoding: chunked\nContent-Length: 0\n",
        "TRANSFER-ENCODING:x\r\nCONTENT-LENGTH:5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Host: h\r\n",
        "HOST:i\r\n",
    ] {
        assert!(!ends_well(&post(fields)), "{fields:?}");
    }
    for method in ["GET", "HEAD"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!ends_well(&head));
    }
    assert!(!ends_well("GET / HTTP/1.1\r\n\r\n"), "no host");
    assert!(ends_well("GET / HTTP/1.0\r\n\r\n"), "HTTP/1.0 needs none");
    for fields in ["Content-Length: 5\r\nContent-Length: 5\r\n", "Hostess: a\r\nContent-Length-X: a\r\n"] {
        assert!(ends_well(&post(fields)), "{fields:?}");
    }
}

#[test]
fn bodies_are_passed_over_and_what_follows_them_is_read() {
    let smuggled = "POST / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n";
    let length = smuggled.len();
    let request = |fields: &str, body: &str| {
        format!("\r\nPOST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    };
    let inside = request(&format!("Content-Length: {length}"), smuggled);
    assert!(ends_well(&inside));
    assert!(!ends_well(&format!("{inside}{smuggled}")));
    let chunked = |body: &str| request("Transfer-Encoding: chunked", body);
    let inside = chunked(&format!("{length:x};a=b\r\n{smuggled}\r\n0\r\nHost: a\r\nHost: b\r\n\r\n"));
    assert!(ends_well(&inside));
    assert!(!ends_well(&format!("{inside}{smuggled}")));
    for broken in [
        "g\r\n",
        "\r\n",
        "-1\r\n",
        "1\r\naX\r\n",
        "10000000000000000\r\n",
        "1x\r\na\r\n",
        "1\na\r\n",
        "1;a\rb\r\na\r\n",
        "1\r\na\n0\r\n\r\n",
        "0\r\nX: y\n\r\n\r\n",
        "0\r\nX: y\rz\r\n\r\n",
        "0\r\n\n\r\n",
    ] {
        let fault = follow(chunked(broken).as_bytes(), 7).err();
        assert!(matches!(fault, Some(Fault::Body(_))), "{broken:?}");
    }
}

/// The targets and bodies of requests as the follower frames them, up to where it refuses.
fn framed(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut framing, mut found, mut head, mut body) =
        (Framing::new(1000), Vec::new(), Vec::new(), Vec::new());
    for &byte in bytes {
        let is_data = matches!(framing.part, Part::Body(_) | Part::Chunk(_));
        let was_in_head = matches!(framing.part, Part::Start | Part::Fields);
        if framing.follow(&[byte]).is_err() {
            break;
        }
        match () {
            () if is_data => body.push(byte),
            () if was_in_head => head.push(byte),
            () => {}
        }
        let has_begun = head.iter().any(|byte| !byte.is_ascii_whitespace());
        if has_begun && framing.part == Part::Start && framing.line.is_empty() {
            let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default().to_vec();
            found.push((target, std::mem::take(&mut body)));
            head.clear();
        }
    }
    found
}

/// The same as hyper frames them, up to where it refuses.
async fn framed_by_hyper(bytes: Vec<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let found = std::sync::Mutex::new(Vec::new());
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut read, mut write) = tokio::io::split(ours);
    let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async {
        let target = request.uri().to_string().into_bytes();
        if let Ok(body) = request.into_body().collect().await {
            found.lock().unwrap().push((target, body.to_bytes().to_vec()));
        }
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let mut http1 = hyper::server::conn::http1::Builder::new();
    let serving = http1.header_read_timeout(None);
    let serving = serving.serve_connection(hyper_util::rt::TokioIo::new(theirs), service);
    let client = async {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
        _ = read.read_to_end(&mut Vec::new()).await;
    };
    _ = futures_util::future::join(serving, client).await;
    found.into_inner().unwrap()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]

    /// hyper never sees another request, or another body, than the follower does.
    #[test]
    fn d23_whatever_is_let_through_hyper_frames_the_same(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
            "GET /c HTTP/1.1\r\nHost: h\r\n\r\n", "POST /d HTTP/1.1\n", "Host: h\n", "Host: h\r\n",
            "Transfer-Encoding: chunked\r\n", "Content-Length: 2\r\n", "Content-Length: 2\n",
            "3\r\nabc\r\n", "0\r\n", "0\r\n\r\n", "1\r\n", "1;x\r\n", "1 \r\n", "01\r\n", "a", "X: y", "X: y\r\n",
            "X: y\n", "\r\n", "\r\n\r\n", "\n", "\r", ";", " ", "\t", "0", "\0", ":",
        ]), 1..12),
        begins_in_trailers: bool,
    ) {
        let begin = "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let text = format!("{}{}", if begins_in_trailers { begin } else { "" }, parts.concat());
        // hyper gets what is let through, and no more.
        let mut framing = Framing::new(1000);
        let sound = match framing.follow(text.as_bytes()) {
            Ok(at) | Err(Fault::Head(at) | Fault::Body(at)) => at,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let theirs = runtime.block_on(framed_by_hyper(text.as_bytes()[..sound].to_vec()));
        let ours = framed(text.as_bytes());
        proptest::prop_assert!(ours.starts_with(&theirs), "{text:?}: {ours:?}, to hyper {theirs:?}");
    }
}

#[test]
fn it_knows_what_it_is_in() {
    let at = |text: &str| {
        let framing = follow(text.as_bytes(), usize::MAX).unwrap();
        (framing.is_in_head(), framing.is_in_body())
    };
    assert_eq!(at(""), (false, false));
    assert_eq!(at("\r\n"), (false, false));
    assert_eq!(at("\r\n\n\r"), (false, false));
    assert_eq!(at("\rG"), (true, false));
    assert_eq!(at("G"), (true, false));
    assert_eq!(at("GET / HTTP/1.1\r\nHost: h\r\n"), (true, false));
    assert_eq!(at("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (false, false));
    assert_eq!(at("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na"), (false, true));
    assert_eq!(at("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"), (false, false));
}

#[test]
fn nothing_is_followed_beyond_a_request_for_another_protocol() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nUPGRADE: x\r\n\r\n";
    let post =
        "POST / HTTP/1.1\r\nHost: h\r\nupgrade:x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let plain = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";
    for request in [head, post] {
        let all = [plain, request, plain].concat();
        for piece in 1..=all.len() {
            let (mut framing, mut at, mut held) = (Framing::new(1000), 0, None);
            while at < all.len() {
                let bytes = &all.as_bytes()[at..all.len().min(at + piece)];
                let end = framing.follow(bytes).unwrap();
                at += end;
                if framing.is_upgrade() && !framing.is_in_body() {
                    assert!(held.replace(at).is_none(), "once");
                }
                assert!(end == bytes.len() || held == Some(at));
            }
            assert_eq!((held, framing.heads()), (Some(plain.len() + request.len()), 3), "{piece}");
        }
    }
}

#[test]
fn a_refused_head_ends_where_the_fault_shows() {
    let text = b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\nX: y\r\n\r\n";
    let at = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    assert_eq!(follow(text, usize::MAX).err(), Some(Fault::Head(at)));
}

#[test]
fn a_line_without_an_end_is_not_kept() {
    let framing = follow(&[b'x'; 5000], 100).unwrap();
    assert!(framing.is_in_head() && framing.line.len() <= 1100);
    let chunk =
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(2000));
    assert!(matches!(follow(chunk.as_bytes(), 100).err(), Some(Fault::Body(_))));
}
