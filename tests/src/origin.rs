//! An origin that says what it is told to, behind a layer that obeys it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Builder, Compression};
use edge_isr_core::clock::Clock;
use edge_isr_core::testing::ManualClock;
use edge_isr_tower::{IsrLayer, NoFacts, PathTags};
use http::HeaderMap;
use tower::Layer as _;
use tower::util::BoxCloneSyncService;

use crate::answer::Answer;
use crate::ask::get_with;
use crate::at_once::AtOnce;
use crate::gate::Gate;
use crate::site::Site;
use crate::story::prompt;

/// What an origin answers to a request.
#[derive(Debug, Clone)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// What the answer waits for before it leaves.
    pub gate: Option<Gate>,
}

impl Said {
    /// 200 with these headers.
    #[must_use]
    pub fn ok(headers: &[(&str, &str)]) -> Self {
        Self::with(200, headers)
    }

    /// Any status.
    #[must_use]
    pub fn with(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: String::new(), gate: None }
    }

    /// With this body; by default it is the number of the request.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// Once this gate lets it through.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }
}

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: http::Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
struct Script {
    by_path: HashMap<String, Said>,
    seen: Vec<Seen>,
}

/// An origin and the gateway in front of it.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The handle.
    pub isr: Isr,
    /// Its clock.
    pub clock: ManualClock,
    /// What clients ask.
    pub site: Site,
    script: Arc<Mutex<Script>>,
}

impl Gateway {
    /// An origin behind a layer with this policy for every path.
    #[must_use]
    pub fn with(policy: Policy) -> Self {
        Self::set(policy, |builder| builder)
    }

    /// The defaults of a gateway route, where origins are told of codings: pages are not compressed.
    #[must_use]
    pub fn uncompressed() -> Self {
        Self::set(Policy::from_origin(), |builder| builder.compression(Compression::off()))
    }

    /// An origin behind a layer with this policy, and an engine with these settings.
    pub fn set(policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::default();
        let isr = settings(Isr::builder().clock(Arc::new(clock.clone())).limits(prompt()))
            .build()
            .expect("right settings");
        let script: Arc<Mutex<Script>> = Arc::default();
        let origin = {
            let script = Arc::clone(&script);
            tower::service_fn(move |request: Request| {
                let (answer, gate) = answer(&script, &request);
                async move {
                    if let Some(gate) = gate {
                        gate.pass().await;
                    }
                    Ok::<Response, Infallible>(answer)
                }
            })
        };
        let layer = IsrLayer::<NoFacts>::around(&isr).route("/{*rest}", policy, PathTags::default()).build();
        let site = BoxCloneSyncService::new(AtOnce(layer.expect("one pattern").layer(origin)));
        Self { isr, clock, site, script }
    }

    /// The defaults of a gateway route.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Policy::from_origin())
    }

    /// What the origin says of a path from now on. Of all others it says 404 and nothing else.
    pub fn says(&self, path: &str, said: Said) {
        self.script().by_path.insert(path.to_owned(), said);
    }

    /// A visitor's `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// A visitor's `GET` with headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = get_with(&self.site, path, headers).await;
        self.isr.idle().await;
        answer
    }

    /// The requests the origin saw, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    /// How many requests the origin saw.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.script().seen.len()
    }

    /// The time of day as an origin writes it, this long from now.
    #[must_use]
    pub fn date(&self, seconds: i64) -> String {
        let now = self.clock.wall().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let at = now.saturating_add_signed(seconds);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

fn answer(script: &Mutex<Script>, request: &Request) -> (Response, Option<Gate>) {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    script.seen.push(Seen { method, target, headers });
    let number = script.seen.len();
    let said = script.by_path.get(request.uri().path()).cloned().unwrap_or_else(|| Said::with(404, &[]));
    let body = if said.body.is_empty() { format!("answer {number}") } else { said.body };
    let mut response = Response::builder().status(said.status);
    for (name, value) in said.headers {
        response = response.header(name, value);
    }
    let body = if said.status == 304 { Body::empty() } else { Body::from(body) };
    (response.body(body).expect("headers of ours"), said.gate)
}
