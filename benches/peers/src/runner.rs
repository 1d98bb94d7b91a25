//! A stack that is asked in process, filled with its pages.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::BoxError;
use edge_isr_bench::harness::{Frames, Web, drive};
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::page::Asking;
use edge_isr_bench::scenario::Ask;
use http::header::{CONTENT_ENCODING, ETAG};
use http::{StatusCode, response};
use tokio::runtime::{Builder, Runtime};

use crate::stack::{self, Facts, Site, Stack, Use};

/// Asks for these keys, one after the other.
pub type Runner = Box<dyn FnMut(&[u32])>;

/// One thing that is measured. Written `thc:plain:16`.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub facts: &'static Facts,
    pub ask: Ask,
    pub kib: usize,
}

/// How long a page is left alone that is being compressed.
const GLANCE: Duration = Duration::from_millis(1);

const ASKS: [(Ask, &str); 3] =
    [(Ask::Plain, "plain"), (Ask::Browser, "browser"), (Ask::Condition, "condition")];

impl Scenario {
    pub fn read(text: &str) -> Outcome<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [name, ask, kib] = parts[..] else {
            return Err(format!("no scenario `{text}`; write `thc:plain:16`").into());
        };
        let ask = ASKS.iter().find(|(_, name)| *name == ask).ok_or_else(|| format!("no request `{ask}`"))?.0;
        Ok(Self { facts: stack::named(name)?, ask, kib: kib.parse()? })
    }

    pub fn name(&self) -> String {
        let ask = ASKS.iter().find(|(ask, _)| *ask == self.ask).map_or("", |(_, name)| name);
        format!("{}:{ask}:{}", self.facts.name, self.kib)
    }
}

/// Puts the stack together, fills it with the pages `0..keys`, and checks that it answers as it should.
pub fn runner(scenario: Scenario, keys: u32) -> Outcome<Runner> {
    let site = Site::new(scenario.kib);
    stack::with(scenario.facts.stack, &site, keys, Ready { scenario, site: site.clone(), keys })
}

struct Ready {
    scenario: Scenario,
    site: Site,
    keys: u32,
}

impl Use for Ready {
    type Output = Runner;

    fn with<S, B>(self, mut service: S) -> Outcome<Runner>
    where
        S: Web<B> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Frames + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { scenario, site, keys } = self;
        // Renders need a runtime; hits do not, but some caches ask for it all the same.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        fill(&runtime, &mut service, scenario, keys);
        let entered = runtime.enter();
        let renders = site.renders.load(Relaxed);
        let (parts, _) = drive(&mut service, asking(scenario, Ask::Plain, keys, None).build(0));
        let asking = asking(scenario, scenario.ask, keys, parts.headers.get(ETAG).cloned());
        while scenario.facts.stack == Stack::AroundCoded && scenario.ask == Ask::Browser {
            // The first one has the page compressed, by a thread of the runtime; the others wait for it.
            let (parts, _) = drive(&mut service, asking.build(0));
            if parts.headers.contains_key(CONTENT_ENCODING) {
                break;
            }
            std::thread::sleep(GLANCE);
        }
        let (parts, body) = drive(&mut service, asking.build(0));
        check(scenario, &parts, body.len(), site.renders.load(Relaxed) - renders)?;
        drop(entered);
        Ok(Box::new(move |keys| {
            let _entered = runtime.enter();
            for &key in keys {
                std::hint::black_box(drive(&mut service, asking.build(key)));
            }
        }))
    }
}

fn asking(scenario: Scenario, ask: Ask, keys: u32, etag: Option<http::HeaderValue>) -> Asking {
    let asking = Asking::new(ask, keys, etag);
    if scenario.facts.stack == Stack::ClientCache { asking.absolute() } else { asking }
}

fn fill<S, B>(runtime: &Runtime, service: &mut S, scenario: Scenario, keys: u32)
where
    S: Web<B>,
    B: Frames,
{
    let asking = asking(scenario, Ask::Plain, keys, None);
    runtime.block_on(async {
        for key in 0..keys {
            let Ok(()) = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            let Ok(response) = service.call(asking.build(key)).await;
            // Some store a page only once its body was read.
            drop(http_body_util::BodyExt::collect(response.into_body()).await);
            // Some do it in a task of its own.
            tokio::task::yield_now().await;
        }
    });
}

/// A benchmark of the wrong answer would be worse than none.
fn check(scenario: Scenario, parts: &response::Parts, len: usize, renders: u64) -> Outcome {
    let Scenario { facts, ask, kib } = scenario;
    let is_304 = ask == Ask::Condition && facts.validates;
    let status = if is_304 { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let expected = if is_304 { 0 } else { kib * 1024 };
    // Two were asked.
    let rendered = match facts.stack {
        Stack::Axum => 2,
        Stack::Tags => 2 - u64::from(is_304),
        _ => 0,
    };
    let is_coded = parts.headers.contains_key(CONTENT_ENCODING);
    let wants_coded = facts.stack == Stack::AroundCoded && ask == Ask::Browser;
    let is_as_long = if wants_coded { len < expected } else { len == expected };
    if (parts.status, is_as_long, is_coded, renders) != (status, true, wants_coded, rendered) {
        let headers = &parts.headers;
        return Err(format!(
            "{} answered {} with {len} bytes after {renders} renders and {headers:?}",
            scenario.name(),
            parts.status
        )
        .into());
    }
    Ok(())
}
