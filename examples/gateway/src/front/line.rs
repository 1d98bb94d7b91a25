//! What the parts of one connection tell each other: the wire below hyper, the door above it, and the way to the
//! origin, which may have something to say before its answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;

use super::tunnel::Ends;

/// The most bytes of interim answers that wait to be written; more are left out.
const MAX_INTERIM_BYTES: usize = 64 << 10;

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Line {
    peer: SocketAddr,
    /// Requests that wait for their answers, or for more of them.
    in_service: AtomicU32,
    /// How many requests there were that took a while.
    count: AtomicU32,
    /// How many requests hyper has done with: all of their answers stands in its buffers, or is written.
    done: AtomicU64,
    /// Whether the connection speaks something else than HTTP by now.
    is_tunnel: AtomicBool,
    /// Whether an answer is to come that decides what is spoken from then on.
    is_held: AtomicBool,
    /// Whether the client was told that it took too long.
    is_too_slow: AtomicBool,
    /// Whether it is to end with what was asked so far, since nothing happens on it.
    is_over: AtomicBool,
    has_interim: AtomicBool,
    interim: Mutex<Interim>,
    /// What the connection goes on with after an upgrade.
    tunnel: Mutex<Option<Ends>>,
    /// The connection's task.
    task: AtomicWaker,
}

/// Interim answers that have not been written.
#[derive(Debug, Default)]
struct Interim {
    /// The request that may have some: the one whose answer has not begun.
    of: Option<u32>,
    bytes: Vec<u8>,
}

impl Line {
    pub(crate) fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            in_service: AtomicU32::new(0),
            count: AtomicU32::new(0),
            done: AtomicU64::new(0),
            is_tunnel: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            is_too_slow: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            has_interim: AtomicBool::new(false),
            interim: Mutex::default(),
            tunnel: Mutex::default(),
            task: AtomicWaker::new(),
        }
    }

    pub(super) fn next_request(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// How many requests hyper has done with.
    #[inline]
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether a request waits for its answer, or for more of it.
    pub(super) fn is_in_service(&self) -> bool {
        self.in_service.load(Ordering::Relaxed) > 0
    }

    #[inline]
    pub(super) fn is_tunnel(&self) -> bool {
        self.is_tunnel.load(Ordering::Relaxed)
    }

    /// A request has come that asks for another protocol. There is one such at a time.
    pub(super) fn hold(&self) {
        self.is_held.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// The client was told that it took too long.
    pub(super) fn call_too_slow(&self) {
        self.is_too_slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_too_slow(&self) -> bool {
        self.is_too_slow.load(Ordering::Relaxed)
    }

    pub(super) fn take_tunnel(&self) -> Option<Ends> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Nothing happens on the connection. Whether that is news.
    pub(super) fn call_over(&self) -> bool {
        let is_news = !self.is_over.swap(true, Ordering::Relaxed);
        self.wake();
        is_news
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.task.register(waker);
    }

    pub(super) fn wake(&self) {
        self.task.wake();
    }

    #[inline]
    pub(super) fn has_interim(&self) -> bool {
        self.has_interim.load(Ordering::Acquire)
    }

    /// The interim answers so far. `is_first`: nothing of an answer was written since hyper had nothing left to
    /// write. Otherwise those of a request that is being answered come too late, and are left out.
    pub(super) fn take_interim(&self, is_first: bool) -> Vec<u8> {
        let mut interim = self.lock();
        self.has_interim.store(false, Ordering::Relaxed);
        let bytes = std::mem::take(&mut interim.bytes);
        if is_first || interim.of.is_some() { bytes } else { Vec::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Interim> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that asks for another protocol; dropped, it has its answer.
#[derive(Debug)]
pub(super) struct Held(Arc<Line>);

impl Held {
    pub(super) fn new(line: &Arc<Line>) -> Self {
        Self(Arc::clone(line))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_held.store(false, Ordering::Relaxed);
        // hyper takes what was not read for not there.
        self.0.wake();
    }
}

/// A request that hyper works for, from its head to the end of its answer's body; dropped, hyper has done with it.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Line>);

impl AtWork {
    pub(super) fn new(line: &Arc<Line>) -> Self {
        Self(Arc::clone(line))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that waits for its answer; dropped, it waits no more.
#[derive(Debug)]
pub(super) struct InService(Arc<Line>);

impl InService {
    /// Interim answers of the request are welcome from now on.
    pub(super) fn begin(visitor: &Visitor) -> Self {
        visitor.line.in_service.fetch_add(1, Ordering::Relaxed);
        let mut interim = visitor.line.lock();
        interim.of = Some(visitor.request).filter(|_| visitor.takes_interim);
        interim.bytes.clear();
        drop(interim);
        Self(Arc::clone(&visitor.line))
    }

    /// An answer that has begun waits for more of itself.
    pub(super) fn go_on(line: &Arc<Line>) -> Self {
        line.in_service.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(line))
    }

    /// The answer begins: interim ones have no place any more.
    pub(super) fn answered(self) -> Arc<Line> {
        self.0.lock().of = None;
        Arc::clone(&self.0)
    }
}

impl Drop for InService {
    fn drop(&mut self) {
        self.0.in_service.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who asked: an extension of each request that is not answered at once.
#[derive(Debug, Clone)]
pub struct Visitor {
    line: Arc<Line>,
    request: u32,
    takes_interim: bool,
}

impl Visitor {
    pub(super) fn new(line: &Arc<Line>, takes_interim: bool) -> Self {
        Self { request: line.next_request(), line: Arc::clone(line), takes_interim }
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.line.peer
    }

    pub(super) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    /// Joins the two when the answer that says so is written.
    pub(crate) fn tunnel(&self, client: OnUpgrade, origin: OnUpgrade) {
        let mut tunnel = self.line.tunnel.lock().unwrap_or_else(PoisonError::into_inner);
        *tunnel = Some(Ends { client, origin });
    }

    /// What follows on the connection is something else than HTTP.
    pub(super) fn become_tunnel(&self) {
        self.line.is_tunnel.store(true, Ordering::Relaxed);
    }

    /// Whether interim answers can reach the client.
    #[must_use]
    pub const fn takes_interim(&self) -> bool {
        self.takes_interim
    }

    /// Writes an interim answer (1xx), unless the final one has begun.
    pub fn inform(&self, head: &[u8]) {
        let mut interim = self.line.lock();
        if interim.of == Some(self.request) && interim.bytes.len() + head.len() <= MAX_INTERIM_BYTES {
            interim.bytes.extend_from_slice(head);
            self.line.has_interim.store(true, Ordering::Release);
            drop(interim);
            self.line.wake();
        }
    }
}
