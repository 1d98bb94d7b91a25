//! Whole sites behind the gateway: Python's `http.server` and nginx, as anyone has them.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::client::soon;
use common::{Answer, Gate};

const PAGE: &str = "<!doctype html><title>a page</title><p>It stands in a file.";

/// A folder of one test, with a site in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gateway-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("deep")).unwrap();
        fs::write(path.join("index.html"), PAGE).unwrap();
        fs::write(path.join("deep/style.css"), "p { color: red }".repeat(500)).unwrap();
        fs::write(path.join("big.bin"), big()).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// More than the gateway keeps of one page.
fn big() -> Vec<u8> {
    (0..12_u32 << 20).map(|n| (n % 251) as u8).collect()
}

/// A server that ends with its test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a program that listens on this port, and waits until it does.
    async fn start(command: &mut Command, port: u16) -> Self {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        soon(async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        Self { process, address }
    }

    async fn python(folder: &Folder) -> Self {
        let port = free_port();
        let mut python = Command::new("python3");
        python.args([
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "--protocol",
            "HTTP/1.1",
            &port.to_string(),
        ]);
        Self::start(python.current_dir(folder.path()), port).await
    }

    async fn nginx(folder: &Folder) -> Self {
        let (port, path) = (free_port(), folder.path().display());
        let mut paths = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(paths, "  {name}_temp_path {path}/{name};").unwrap();
        }
        let config = format!(
            "daemon off;\nmaster_process off;\nuser root;\npid {path}/pid;\nerror_log /dev/null;\nevents {{}}\nhttp {{\n\
             {paths}  access_log off;\n  types {{ text/html html; text/css css; }}\n  server {{\n    \
             listen 127.0.0.1:{port};\n    root {path};\n    gzip on;\n    gzip_proxied any;\n    gzip_types text/css;\n    gzip_vary on;\n    \
             location = /kept {{ add_header Cache-Control \"max-age=60\"; try_files /index.html =404; }}\n    \
             location = /never {{ add_header Cache-Control \"no-store\"; try_files /index.html =404; }}\n    \
             location = /moved {{ return 301 /kept; }}\n    location = /put {{ return 200 \"$request_method $content_length\"; }}\n    \
             location /deep/ {{ add_header Cache-Control \"max-age=60\"; }}\n    \
             location = /big.bin {{ add_header Cache-Control \"max-age=60\"; }}\n  }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut nginx = Command::new("nginx");
        Self::start(nginx.arg("-c").arg(&file).arg("-p").arg(folder.path()), port).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn get(gate: &Gate, target: &str, fields: &str) -> Answer {
    gate.ask(format!("GET {target} HTTP/1.1\r\nHost: site\r\n{fields}\r\n")).await
}

#[tokio::test]
async fn pythons_server_is_a_site() {
    let folder = Folder::new("python");
    let server = Server::python(&folder).await;
    let gate = Gate::before(server.address).await;
    // It says when a page was changed and not how long it is good: a tenth of that time (rule 2).
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let page = fs::File::options().append(true).open(folder.path().join("index.html")).unwrap();
    page.set_modified(old).unwrap();
    let first = get(&gate, "/", "").await;
    assert_eq!((first.status, first.text(), first.is_hit()), (200, PAGE.to_owned(), false));
    let second = get(&gate, "/", "").await;
    assert_eq!((second.status, second.text(), second.is_hit()), (200, PAGE.to_owned(), true));
    assert_eq!(second.field("last-modified"), first.field("last-modified"));
    assert_eq!(second.field("content-type").as_deref(), Some("text/html"));
    let modified = first.field("last-modified").unwrap();
    let unchanged = get(&gate, "/", &format!("If-Modified-Since: {modified}\r\n")).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = get(&gate, "/", "Range: bytes=0-8\r\n").await;
    assert_eq!((part.status, part.text()), (206, PAGE[..9].to_owned()));
    assert_eq!(get(&gate, "/nowhere", "").await.status, 404);
    assert_eq!(get(&gate, "/deep", "").await.status, 301);
    assert_eq!(get(&gate, "/big.bin", "").await.body, big());
    let post = gate.ask("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 3\r\n\r\na=b").await;
    assert_eq!(post.status, 501, "it has no `POST`, and says so itself");
    let head = gate.ask("HEAD / HTTP/1.1\r\nHost: site\r\n\r\n").await;
    assert_eq!(head.field("content-length"), Some(PAGE.len().to_string()));
}

#[tokio::test]
async fn nginx_is_a_site() {
    let folder = Folder::new("nginx");
    let server = Server::nginx(&folder).await;
    // nginx packs its pages itself here: they are kept as they come.
    let gate = Gate::with(server.address, |config, _| config.cache.compress = false).await;
    for is_hit in [false, true] {
        let answer = get(&gate, "/kept", "").await;
        assert_eq!((answer.status, answer.text(), answer.is_hit()), (200, PAGE.to_owned(), is_hit));
        assert!(answer.field("server").is_some_and(|server| server.starts_with("nginx")));
        assert_eq!(answer.field("cache-control").as_deref(), Some("max-age=60"));
        let never = get(&gate, "/never", "").await;
        assert_eq!((never.text(), never.is_hit()), (PAGE.to_owned(), false));
        assert_eq!(get(&gate, "/moved", "").await.status, 301);
        assert_eq!(get(&gate, "/big.bin", "").await.body, big());
    }
    let tag = get(&gate, "/kept", "").await.field("etag").unwrap();
    assert_eq!(get(&gate, "/kept", &format!("If-None-Match: {tag}\r\n")).await.status, 304);
    let put = gate.ask("PUT /put HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(put.text(), "PUT 5");
    for path in ["/deep/style.css", "/deep/style.css"] {
        let plain = get(&gate, path, "").await;
        assert_eq!(plain.text(), "p { color: red }".repeat(500));
        let packed = get(&gate, path, "Accept-Encoding: gzip\r\n").await;
        assert_eq!(packed.field("content-encoding").as_deref(), Some("gzip"));
        assert!(packed.body.len() < plain.body.len() / 10 && packed.body.starts_with(&[0x1f, 0x8b]));
        assert!(packed.field("vary").is_some_and(|vary| vary.eq_ignore_ascii_case("accept-encoding")));
    }
    // The site goes away: what is fresh stays, the rest is answered for.
    drop(server);
    assert!(get(&gate, "/kept", "").await.is_hit());
    assert_eq!(get(&gate, "/never", "").await.status, 502);
}
