//! A Redis server of a test's own, on a free port, that keeps nothing and goes with the test.
#![allow(dead_code, clippy::future_not_send, reason = "each test uses its part of it, in its own thread")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts one with these settings.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(port, settings).await
    }

    /// Starts one on a port that is free.
    pub(crate) async fn start_on(port: u16, settings: &[&str]) -> Self {
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--dir", &std::env::temp_dir().display().to_string()])
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "redis-server is missing: `cargo xtask test` installs it, or `apt-get install redis-server`",
            );
        let server = Self { child, port };
        soon(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it, and gives back its port.
    pub(crate) fn stop(self) -> u16 {
        self.port
    }

    /// What it answers to a command, as one line of text.
    pub(crate) async fn ask(&self, command: &[&str]) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let parts: String = command.iter().map(|part| format!("${}\r\n{part}\r\n", part.len())).collect();
        socket.write_all(format!("*{}\r\n{parts}", command.len()).as_bytes()).await.unwrap();
        let mut answer = vec![0; 64 << 10];
        let length = socket.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(!answer.starts_with('-'), "{command:?}: {answer}");
        answer.trim_end().rsplit("\r\n").next().unwrap().trim_start_matches([':', '+']).to_owned()
    }

    /// The name of the only key that there is.
    pub(crate) async fn only_key(&self) -> String {
        assert_eq!(self.ask(&["DBSIZE"]).await, "1");
        self.ask(&["RANDOMKEY"]).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) async fn soon(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("still waiting after thirty seconds");
}
