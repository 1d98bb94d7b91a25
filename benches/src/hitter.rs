//! A thread that asks for one hot page again and again, while something else goes on or does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;

use axum::Router;
use edge_isr_axum::{Isr, IsrLayer};
use tokio::runtime::Handle;
use tower_layer::Layer;

use crate::histogram::Histogram;
use edge_isr_bench::clock;
use edge_isr_bench::harness::{Frames, Web, drive};
use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::page::{self, Asking};
use edge_isr_bench::scenario::Ask;

/// Phases for which nothing is written down, and at which the thread ends.
const IDLE: usize = usize::MAX - 1;
const END: usize = usize::MAX;

/// Hits without a pause; how long each took is kept by phases.
pub(crate) struct Hitter {
    phase: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Histogram>>,
}

impl Hitter {
    /// Hits a page of 16 KiB with ten tags that nobody invalidates, through the layer around a router.
    pub(crate) fn start(isr: &Isr, runtime: &Handle, phases: usize) -> Outcome<Self> {
        let body = page::body(16, 0);
        let handler = axum::routing::get(async move || (page::OWN_HEADERS, body.clone()));
        let router = Router::new().route(page::ROUTES[0], handler).with_state(());
        let layer: IsrLayer =
            IsrLayer::around(isr).route(page::ROUTES[0], page::policy(), page::tags()).build()?;
        let mut service = layer.layer(router);
        let phase = Arc::new(AtomicUsize::new(IDLE));
        let (known, runtime) = (Arc::clone(&phase), runtime.clone());
        let thread = std::thread::Builder::new().name("hits".to_owned()).spawn(move || {
            // The first one is a miss, whose render wants a runtime.
            let _runtime = runtime.enter();
            hit(&mut service, &known, phases)
        })?;
        Ok(Self { phase, thread })
    }

    /// Keeps the times of what is hit meanwhile under the number of a phase.
    pub(crate) fn during<T>(&self, phase: usize, act: impl FnOnce() -> T) -> T {
        self.phase.store(phase, Relaxed);
        let done = act();
        self.phase.store(IDLE, Relaxed);
        done
    }

    /// The times of each phase.
    pub(crate) fn end(self) -> Outcome<Vec<Histogram>> {
        self.phase.store(END, Relaxed);
        Ok(self.thread.join().map_err(|_| "the thread that hits has panicked")?)
    }
}

fn hit<S: Web<B>, B: Frames>(service: &mut S, phase: &AtomicUsize, phases: usize) -> Vec<Histogram> {
    let asking = Asking::new(Ask::Plain, 1, None);
    let mut times = vec![Histogram::new(); phases];
    loop {
        let phase = phase.load(Relaxed);
        if phase == END {
            return times;
        }
        let request = asking.build(0);
        let start = clock::now();
        std::hint::black_box(drive(service, request));
        let took = start.elapsed();
        if let Some(times) = times.get_mut(phase) {
            times.add(took);
        }
    }
}

/// The middle one of some ratios.
pub(crate) fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}
