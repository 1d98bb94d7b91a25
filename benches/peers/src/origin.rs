//! The small origin behind every proxy: a thread of this program.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, ETAG, HeaderName, HeaderValue};
use axum::routing::get;
use bytes::Bytes;
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::page;
use tokio::net::TcpListener;

use crate::content::Content;
use crate::stream::{Begun, Large, THINKS};

/// How long a slow page takes.
pub const SLOW: Duration = Duration::from_millis(100);
/// How large it is.
pub const SLOW_KIB: usize = 16;

/// Pages of any size (`/page/{KiB}/{number}`), slow ones (`/slow/{number}`), those of a day (`/day/{number}`),
/// and a large one (`/large`).
#[derive(Debug)]
pub struct Origin {
    pub at: SocketAddr,
    pub content: Arc<Content>,
    pub large: Begun,
    slow: Arc<AtomicU64>,
    asked_large: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
struct Pages {
    sizes: Arc<[Bytes; 2]>,
    slow: Arc<AtomicU64>,
    asked_large: Arc<AtomicU64>,
    large: Begun,
    content: Arc<Content>,
}

impl Origin {
    /// Serves until the program ends.
    pub fn start() -> Outcome<Self> {
        let pages = Pages {
            sizes: Arc::new([page::body(1, 0), page::body(SLOW_KIB, 0)]),
            slow: Arc::default(),
            asked_large: Arc::default(),
            large: Begun::default(),
            content: Arc::new(Content::new()),
        };
        let known = pages.clone();
        let app = Router::new()
            .route("/page/{kib}/{number}", get(sized))
            .route("/slow/{number}", get(slowly))
            .route("/day/{number}", get(of_the_day))
            .route("/large", get(large))
            .with_state(pages);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let at = listener.local_addr()?;
        std::thread::Builder::new()
            .name("origin".to_owned())
            .spawn(move || runtime.block_on(async { axum::serve(listener, app).await }))?;
        let Pages { slow, asked_large, large, content, .. } = known;
        Ok(Self { at, content, large, slow, asked_large })
    }

    /// How many slow pages it was asked for.
    pub fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    /// How often for the large one.
    pub fn asked_large(&self) -> u64 {
        self.asked_large.load(Relaxed)
    }
}

type Answer = ([(HeaderName, HeaderValue); 2], [(HeaderName, HeaderValue); 3], Bytes);

const FRESH: HeaderValue = HeaderValue::from_static("public, s-maxage=3600");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// As the page of the stacks in process: the same eight headers once a cache has added its own.
fn dressed(body: Bytes) -> Answer {
    let named = |wanted: &str| {
        let value = page::DRESS.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value);
        HeaderValue::from_static(value)
    };
    let dress = [(CACHE_CONTROL, FRESH), (ETAG, named("etag")), (SURROGATE_KEY, named("surrogate-key"))];
    (page::OWN_HEADERS, dress, body)
}

async fn sized(State(pages): State<Pages>, Path((kib, _)): Path<(usize, u32)>) -> Answer {
    dressed(pages.sizes[usize::from(kib > 1)].clone())
}

async fn slowly(State(pages): State<Pages>, Path(_): Path<u32>) -> Answer {
    pages.slow.fetch_add(1, Relaxed);
    tokio::time::sleep(SLOW).await;
    dressed(pages.sizes[1].clone())
}

async fn of_the_day(
    State(pages): State<Pages>,
    Path(number): Path<u32>,
) -> ([(HeaderName, HeaderValue); 2], Bytes) {
    let (tags, body) = pages.content.page(number).await;
    let tags = HeaderValue::from_str(&tags).unwrap_or(HeaderValue::from_static("none"));
    ([(CACHE_CONTROL, Content::LIFETIME), (SURROGATE_KEY, tags)], body)
}

async fn large(State(pages): State<Pages>) -> ([(HeaderName, HeaderValue); 1], Body) {
    pages.asked_large.fetch_add(1, Relaxed);
    tokio::time::sleep(THINKS).await;
    ([(CACHE_CONTROL, FRESH)], Body::new(Large::new(Arc::clone(&pages.large))))
}
