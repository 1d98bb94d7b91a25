//! What is compared: applications with a cache in front, each a service of its own type.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::routing::{MethodRouter, get};
use axum::{BoxError, Router};
use edge_isr_axum::{Compression, Isr, IsrLayer, Limits, TagHeader};
use edge_isr_bench::floor::Floor;
use edge_isr_bench::harness::{Frames, Harness, Web};
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::{apps, page};
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use tower_layer::Layer;

use crate::peers;

/// One row of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    Harness,
    Floor,
    Axum,
    Around,
    AroundCoded,
    Route,
    Thc,
    ThcIn,
    Thcp,
    Arc,
    ArcIn,
    Trc,
    HitboxBincode,
    HitboxJson,
    ServerCache,
    ClientCache,
    Tags,
}

/// What the tables say of a row.
#[derive(Debug)]
pub struct Facts {
    pub stack: Stack,
    /// Its name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// So many times fewer requests are enough for it: it takes that much longer for each.
    pub slow: u32,
    /// Whether it answers `If-None-Match` from what it knows.
    pub validates: bool,
    /// Whether it can answer what a server is asked.
    pub serves: bool,
    /// A cache by others, whose key is more than a path.
    pub is_peer: bool,
}

const fn row(stack: Stack, name: &'static str, title: &'static str) -> Facts {
    Facts { stack, name, title, slow: 1, validates: false, serves: true, is_peer: true }
}

/// Every row, in the order of the tables.
pub const ALL: [Facts; 17] = [
    Facts { serves: false, is_peer: false, ..row(Stack::Harness, "harness", "the harness alone") },
    Facts { is_peer: false, ..row(Stack::Floor, "floor", "floor: a prepared response by its path") },
    Facts { is_peer: false, ..row(Stack::Axum, "axum", "bare axum, all headers from the handler") },
    Facts {
        is_peer: false,
        validates: true,
        ..row(Stack::Around, "around", "**edge-isr** around the router")
    },
    // Beside its like, with a browser's headers.
    Facts { serves: false, is_peer: false, ..row(Stack::AroundCoded, "around-coded", "  served compressed") },
    Facts { is_peer: false, validates: true, ..row(Stack::Route, "route", "**edge-isr** inside a route") },
    Facts { is_peer: false, ..row(Stack::Trc, "trc", "tower-resilience-cache, keyed by the path") },
    row(Stack::Arc, "arc", "axum-response-cache"),
    row(Stack::ArcIn, "arc-in", "axum-response-cache by `Router::layer`"),
    row(Stack::Thc, "thc", "tower-http-cache"),
    row(Stack::ThcIn, "thc-in", "tower-http-cache by `Router::layer`"),
    Facts { validates: true, ..row(Stack::Thcp, "thcp", "tower-http-cache-plus") },
    Facts { validates: true, ..row(Stack::Tags, "hctags", "http_cache_tags_axum (stores no pages)") },
    Facts { slow: 4, ..row(Stack::HitboxBincode, "hitbox-bincode", "hitbox, bincode") },
    Facts {
        slow: 25,
        serves: false,
        ..row(Stack::ClientCache, "hct", "http-cache-tower (made for clients)")
    },
    Facts { slow: 200, ..row(Stack::ServerCache, "hcts", "http-cache-tower-server") },
    Facts { slow: 500, ..row(Stack::HitboxJson, "hitbox-json", "hitbox, JSON (its default)") },
];

/// The facts of the row with this name.
pub fn named(name: &str) -> Outcome<&'static Facts> {
    ALL.iter().find(|facts| facts.name == name).ok_or_else(|| format!("no stack `{name}`").into())
}

/// What becomes of a stack once it is put together.
pub trait Use {
    type Output;

    fn with<S, B>(self, service: S) -> Outcome<Self::Output>
    where
        S: Web<B> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Frames + Send + 'static,
        B::Error: Into<BoxError>;
}

/// The application in front of which the caches stand.
#[derive(Debug, Clone)]
pub struct Site {
    pub kib: usize,
    /// How often the handler ran.
    pub renders: Arc<AtomicU64>,
}

impl Site {
    pub fn new(kib: usize) -> Self {
        Self { kib, renders: Arc::default() }
    }

    /// The page with all headers of an answer, as caches that add none need it.
    fn dressed(&self) -> Router {
        let (body, renders) = (page::body(self.kib, 0), Arc::clone(&self.renders));
        let dress = page::DRESS.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            // Some read `max-age=0` as a ban.
            let value = if name == CACHE_CONTROL { "public, max-age=3600" } else { value };
            (name, HeaderValue::from_static(value))
        });
        apps::router(get(async move || {
            renders.fetch_add(1, Relaxed);
            (page::OWN_HEADERS, dress.clone(), body.clone())
        }))
    }

    /// The page with the handler's own headers.
    fn sparse(&self) -> MethodRouter {
        let (body, renders) = (page::body(self.kib, 0), Arc::clone(&self.renders));
        get(async move || {
            renders.fetch_add(1, Relaxed);
            (page::OWN_HEADERS, body.clone())
        })
    }
}

/// Puts a stack together with room for the pages `0..keys`.
pub fn with<U: Use>(stack: Stack, site: &Site, keys: u32, then: U) -> Outcome<U::Output> {
    match stack {
        Stack::Harness => then.with(Harness(page::body(site.kib, 0))),
        Stack::Floor => then.with(Floor::new(site.kib, keys)),
        Stack::Axum => then.with(site.dressed()),
        Stack::Around | Stack::AroundCoded => {
            let coding = if stack == Stack::Around { Compression::off() } else { Compression::new() };
            then.with(apps::around(&engine(coding)?)?.layer(apps::router(site.sparse())))
        }
        Stack::Route => {
            let layer = IsrLayer::new(&engine(Compression::off())?).policy(page::policy()).tags(page::tags());
            then.with(apps::router(site.sparse().layer(layer)))
        }
        Stack::Thc => peers::thc(site.dressed(), keys, then),
        Stack::ThcIn => peers::thc_in(site.dressed(), keys, then),
        Stack::Thcp => peers::thcp(site.dressed(), keys, then),
        Stack::Arc => peers::arc(site.dressed(), then),
        Stack::ArcIn => peers::arc_in(site.dressed(), then),
        Stack::Trc => peers::trc(site.dressed(), keys, then),
        Stack::HitboxBincode => peers::hitbox_bincode(site.dressed(), keys, then),
        Stack::HitboxJson => peers::hitbox_json(site.dressed(), keys, then),
        Stack::ServerCache => peers::server_cache(site.dressed(), keys, then),
        Stack::ClientCache => peers::client_cache(site.dressed(), keys, then),
        Stack::Tags => peers::tags(site.dressed(), then),
    }
}

fn engine(compression: Compression) -> Outcome<Isr> {
    let mut limits = Limits::default();
    limits.store_bytes = 1 << 30;
    Ok(Isr::builder().limits(limits).tag_header(TagHeader::SurrogateKey).compression(compression).build()?)
}
