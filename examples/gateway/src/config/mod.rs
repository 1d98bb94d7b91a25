//! What the gateway is told.

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Scheme and authority of the origin.
    pub origin: Uri,
    /// Accepted hosts; empty: up to 64 distinct ones.
    pub origins: Vec<String>,
    /// What is kept.
    pub cache: Cache,
    /// What a request may cost.
    pub limits: Limits,
}

/// What is kept.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Bytes of all pages together.
    pub max_bytes: u64,
    /// Bytes of one page's body.
    pub max_body_bytes: u64,
    /// Whether pages are compressed, once.
    pub compress: bool,
}

/// What a request may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body; 0: no bound.
    pub request_body_bytes: u64,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long connecting to the origin may take.
    pub origin_connect_timeout: Duration,
    /// How long the origin may take to begin its answer, and between two parts of it.
    pub origin_timeout: Duration,
}

impl Config {
    /// The defaults, in front of an origin.
    #[must_use]
    pub fn new(listen: SocketAddr, origin: Uri) -> Self {
        let cache = Cache { max_bytes: 256 << 20, max_body_bytes: 8 << 20, compress: true };
        let limits = Limits {
            head_bytes: 64 << 10,
            request_body_bytes: 0,
            header_timeout: Duration::from_secs(10),
            origin_connect_timeout: Duration::from_secs(5),
            origin_timeout: Duration::from_secs(60),
        };
        Self { listen, origin, origins: Vec::new(), cache, limits }
    }
}
