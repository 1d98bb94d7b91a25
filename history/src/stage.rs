//! Who moves next. In an episode one thread plays all actors, and the dice choose at each gate who goes on; in a storm
//! the threads do, and a gate only lets others pass now and then.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::rng;

/// How many steps others take at most where one is interrupted between two steps of the engine.
const INTRUSION: usize = 12;
/// How deep interruptions go: whoever interrupts may be interrupted.
const DEPTH: usize = 2;
/// How many idle turns there are before time moves on by itself.
const IDLE_TURNS: usize = 32;
/// After so much time in which nobody could move, somebody is wedged.
const WEDGED: Duration = Duration::from_secs(1800);

/// What a gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Rule {
    /// It is open.
    #[default]
    Open,
    /// It opens when the dice say so.
    Dice,
    /// It is open, after a while.
    Storm,
}

/// Someone at a gate.
struct Waiting {
    id: u64,
    /// The actor; `None` for a task of the engine's.
    actor: Option<usize>,
    waker: Waker,
}

type Actor = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Stage {
    rule: Rule,
    waiting: Vec<Waiting>,
    next_id: u64,
    /// Away while it is polled, and when it is done.
    actors: Vec<Option<Actor>>,
    wakers: Vec<Waker>,
    left: usize,
    woken: Arc<Mutex<Vec<usize>>>,
    current: Option<usize>,
    depth: usize,
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::default();
}

struct Wakes {
    actor: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !woken.contains(&self.actor) {
            woken.push(self.actor);
        }
    }
}

/// Where others may go on first.
pub(crate) fn gate() -> Gate {
    Gate(At::Before)
}

/// See [`gate`].
#[derive(Debug)]
#[must_use = "a gate is to be awaited"]
pub(crate) struct Gate(At);

#[derive(Debug)]
enum At {
    Before,
    Waiting(u64),
    Past,
}

impl Future for Gate {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        STAGE.with_borrow_mut(|stage| {
            match (&self.0, stage.rule) {
                (At::Before, Rule::Dice) => {
                    let id = stage.next_id;
                    stage.next_id += 1;
                    stage.waiting.push(Waiting { id, actor: stage.current, waker: cx.waker().clone() });
                    self.0 = At::Waiting(id);
                    return Poll::Pending;
                }
                (At::Before, Rule::Storm) if rng::one_in(3) => {
                    self.0 = At::Past;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                (At::Waiting(id), Rule::Dice) => {
                    if let Some(waiting) = stage.waiting.iter_mut().find(|waiting| waiting.id == *id) {
                        waiting.waker.clone_from(cx.waker());
                        return Poll::Pending;
                    }
                }
                (At::Before | At::Waiting(_) | At::Past, _) => {}
            }
            self.0 = At::Past;
            Poll::Ready(())
        })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let At::Waiting(id) = self.0 {
            // A runtime that is dropped drops its tasks when the stage may be gone.
            let _ = STAGE.try_with(|stage| {
                if let Ok(mut stage) = stage.try_borrow_mut() {
                    stage.waiting.retain(|waiting| waiting.id != id);
                }
            });
        }
    }
}

/// Sets this thread's stage up for an episode.
pub(crate) fn set_up(actors: Vec<Actor>) {
    let woken: Arc<Mutex<Vec<usize>>> = Arc::new(Mutex::new((0..actors.len()).collect()));
    let waker = |actor| Waker::from(Arc::new(Wakes { actor, woken: Arc::clone(&woken) }));
    let wakers = (0..actors.len()).map(waker).collect();
    let left = actors.len();
    let actors = actors.into_iter().map(Some).collect();
    STAGE.set(Stage { rule: Rule::Dice, actors, wakers, left, woken, ..Stage::default() });
    edge_isr_core::testing::between_steps(Some(intrude));
}

/// Clears it: every gate is open.
pub(crate) fn clear() {
    edge_isr_core::testing::between_steps(None);
    drop(STAGE.take());
}

/// Makes this a thread of a storm.
pub(crate) fn storm() {
    STAGE.set(Stage { rule: Rule::Storm, ..Stage::default() });
    edge_isr_core::testing::between_steps(Some(|| {
        if rng::one_in(8) {
            std::thread::yield_now();
        }
    }));
}

/// Opens every gate: from here on all goes on as it comes.
pub(crate) fn open() {
    let waiting = STAGE.with_borrow_mut(|stage| {
        stage.rule = Rule::Open;
        std::mem::take(&mut stage.waiting)
    });
    waiting.into_iter().for_each(|waiting| waiting.waker.wake());
    edge_isr_core::testing::between_steps(None);
}

/// Plays until every actor is done. `false` when somebody waits for what never comes.
pub(crate) async fn play() -> bool {
    let (mut idle, mut waited) = (0, Duration::ZERO);
    while STAGE.with_borrow(|stage| stage.left > 0) {
        match step(false) {
            Some(moved) => {
                (idle, waited) = (0, Duration::ZERO);
                // The engine's own tasks go on: at once where one was let through, else when the dice say so.
                if moved == Moved::Task || rng::one_in(4) {
                    tokio::task::yield_now().await;
                }
            }
            None if idle < IDLE_TURNS => {
                idle += 1;
                tokio::task::yield_now().await;
            }
            None => {
                let nap = Duration::from_secs(1);
                (idle, waited) = (0, waited + nap);
                if waited > WEDGED {
                    return false;
                }
                tokio::time::advance(nap).await;
            }
        }
    }
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Actor,
    Task,
}

/// Lets one go on whom the dice choose.
fn step(is_within: bool) -> Option<Moved> {
    enum Next {
        Gate(Waiting),
        Actor(usize),
    }
    let next = STAGE.with_borrow_mut(|stage| {
        let Stage { waiting, woken, actors, .. } = stage;
        let mut woken = woken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = |actor: usize| actors[actor].is_some();
        woken.retain(|&actor| is_free(actor) || is_within);
        let count = waiting.len() + woken.len();
        // A few throws: within an interruption some can't move.
        for _ in 0..8 {
            let at = if count == 0 { return None } else { rng::below(count) };
            if at < waiting.len() {
                match waiting[at].actor {
                    Some(actor) if is_free(actor) => return Some(Next::Gate(waiting.swap_remove(at))),
                    None if !is_within => return Some(Next::Gate(waiting.swap_remove(at))),
                    Some(_) | None => {}
                }
            } else {
                let actor = woken[at - waiting.len()];
                if is_free(actor) {
                    woken.swap_remove(at - waiting.len());
                    return Some(Next::Actor(actor));
                }
            }
        }
        None
    })?;
    match next {
        Next::Gate(Waiting { actor: Some(actor), .. }) | Next::Actor(actor) => {
            poll(actor);
            Some(Moved::Actor)
        }
        Next::Gate(Waiting { actor: None, waker, .. }) => {
            waker.wake();
            Some(Moved::Task)
        }
    }
}

fn poll(actor: usize) {
    let (future, waker, before) = STAGE.with_borrow_mut(|stage| {
        let mut woken = stage.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.retain(|&other| other != actor);
        (stage.actors[actor].take(), stage.wakers[actor].clone(), stage.current.replace(actor))
    });
    let Some(mut future) = future else { return };
    let is_done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    STAGE.with_borrow_mut(|stage| {
        stage.current = before;
        if is_done {
            stage.left -= 1;
        } else {
            stage.actors[actor] = Some(future);
        }
    });
}

/// Others come in between two steps of the engine, as other threads would.
fn intrude() {
    let may = STAGE.with_borrow_mut(|stage| {
        let may = stage.rule == Rule::Dice && stage.depth < DEPTH && rng::one_in(6);
        stage.depth += usize::from(may);
        may
    });
    if may {
        for _ in 0..=rng::below(INTRUSION) {
            step(true);
        }
        STAGE.with_borrow_mut(|stage| stage.depth -= 1);
    }
}
