//! A page whose data, answer, tags and speed a test decides.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use edge_isr_axum::{IsrContext, Tag};
use http::StatusCode;

use crate::gate::Gate;

/// The media type of the stories' pages.
pub const HTML: &str = "text/html; charset=utf-8";

/// An answer with this text.
#[must_use]
pub fn html(text: impl Into<String>) -> Response {
    ([("content-type", HTML)], text.into()).into_response()
}

/// An answer that is a failure, whatever the version.
#[must_use]
pub fn fails(_: u64) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response()
}

type Answers = Arc<dyn Fn(u64) -> Response + Send + Sync>;

/// A handler that reads its data first, then passes the gate if there is one, then tags, then answers
/// `v<version>`. Clones share everything.
#[derive(Clone)]
pub struct Page(Arc<Inner>);

struct Inner {
    version: AtomicU64,
    renders: AtomicUsize,
    is_gated: AtomicBool,
    gate: Gate,
    tags: Mutex<Vec<Tag>>,
    answers: Mutex<Answers>,
}

impl Default for Page {
    fn default() -> Self {
        let answers: Answers = Arc::new(|version| html(format!("v{version}")));
        Self(Arc::new(Inner {
            version: AtomicU64::new(1),
            renders: AtomicUsize::new(0),
            is_gated: AtomicBool::new(false),
            gate: Gate::default(),
            tags: Mutex::default(),
            answers: Mutex::new(answers),
        }))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("renders", &self.renders()).finish_non_exhaustive()
    }
}

impl Page {
    /// The data behind the page is now of this version.
    pub fn commit(&self, version: u64) {
        self.0.version.store(version, SeqCst);
    }

    /// The version of the data.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(SeqCst)
    }

    /// Whether renders stop at the gate.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.0.is_gated.load(SeqCst)
    }

    /// How often the handler was called.
    #[must_use]
    pub fn renders(&self) -> usize {
        self.0.renders.load(SeqCst)
    }

    /// The gate between reading the data and answering. Renders pass it once [`gated`](Self::gated).
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Whether renders that begin from now on stop at the gate.
    pub fn gated(&self, gated: bool) {
        self.0.is_gated.store(gated, SeqCst);
    }

    /// The tags that the handler adds at its end.
    pub fn tags(&self, tags: impl IntoIterator<Item = Tag>) {
        *self.0.tags.lock().unwrap() = tags.into_iter().collect();
    }

    /// What the handler answers from now on, given the version it read. May panic.
    pub fn answers(&self, answers: impl Fn(u64) -> Response + Send + Sync + 'static) {
        *self.0.answers.lock().unwrap() = Arc::new(answers);
    }

    /// The handler, for `GET`.
    pub fn handler(&self) -> MethodRouter {
        let page = self.clone();
        get(move |isr: IsrContext| page.render(isr))
    }

    async fn render(self, isr: IsrContext) -> Response {
        self.0.renders.fetch_add(1, SeqCst);
        let version = self.version();
        if self.is_gated() {
            self.0.gate.pass().await;
        }
        let tags = self.0.tags.lock().unwrap().clone();
        isr.add_tags(tags);
        let answers = Arc::clone(&self.0.answers.lock().unwrap());
        answers(version)
    }
}
