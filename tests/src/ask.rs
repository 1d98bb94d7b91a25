//! Requests with anything on them, a handler that tells everything it sees, and the wire.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::response::Response;
use http::request::Builder;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Service;
use tower::util::BoxCloneSyncService;

use crate::answer::{Answer, send};
use crate::gate::within;
use crate::page::html;
use crate::site::Site;

/// What a visitor's session layer puts on a request.
#[derive(Debug, Clone)]
pub struct User(pub String);

/// A visitor's `GET`, to be added to.
#[must_use]
pub fn ask(uri: &str) -> Builder {
    Request::get(uri).header("host", "www.example.com")
}

/// A visitor's `GET` with these headers.
pub async fn get_with(site: &Site, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let add = |ask: Builder, (name, value): &(&str, &str)| ask.header(*name, *value);
    let request = headers.iter().fold(ask(uri), add).body(Body::empty());
    send(site, request.expect("headers of ours")).await
}

/// A request of another method, without a body.
pub async fn call(site: &Site, method: &str, uri: &str) -> Answer {
    send(site, ask(uri).method(method).body(Body::empty()).expect("a method of ours")).await
}

/// Any service as a site.
pub fn site<S>(service: S) -> Site
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

/// A handler that tells everything it sees.
pub async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body of ours").to_bytes();
    let mut text = format!("{} {} {:?}\n", parts.method, parts.uri, parts.version);
    for (name, value) in &parts.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
    let _ = writeln!(text, "original {}", original.map(ToString::to_string).unwrap_or_default());
    let _ = writeln!(text, "user {:?}", parts.extensions.get::<User>().map(|User(name)| name));
    let _ = writeln!(text, "body {}", String::from_utf8_lossy(&body));
    html(text)
}

/// Serves a site on a free port.
pub async fn serve(site: Site) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let make = axum::ServiceExt::<Request>::into_make_service(site);
    tokio::spawn(async move { axum::serve(listener, make).await });
    address
}

/// Sends bytes as they are and reads until the server closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    within(async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let mut answer = Vec::new();
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}
