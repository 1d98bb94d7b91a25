//! The flight under many thousand schedules: the engine's own board, render slot, admission and hand-out, with
//! leaders that finish, fail, panic, time out, are dropped at each await or are overtaken.
//!
//! Run by `cargo xtask test`:
//! `RUSTFLAGS="--cfg shuttle" cargo test -p edge-isr-core --release --features twins --test shuttle`.
//!
//! The seed is fixed; `SHUTTLE_RANDOM_SEED=7` takes another. A schedule that fails is printed;
//! `SCHEDULE=… cargo test … --test shuttle name_of_the_test` replays it.
//!
//! `shuttle` takes every atomic for sequentially consistent: orderings are `loom`'s part (`tests/loom.rs`).
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "what can't go on fails its model")]

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::isr::admit::{Admitted, Sealed};
use edge_isr_core::isr::flight::{Boarding, Outcome, Permit};
use edge_isr_core::isr::look_up::LookUp;
use edge_isr_core::isr::stream::{Broken, Growing};
use edge_isr_core::model::authority::Scheme;
use edge_isr_core::model::key::{CacheKey, KeyRef};
use edge_isr_core::model::page::Page;
use edge_isr_core::model::policy::Rules;
use edge_isr_core::testing::{ManualClock, Twin};
use edge_isr_core::{BuildId, Isr, Limits, Mode, Policy, TagSet, tag};
use http::Response;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use shuttle::{Config, Runner};

/// Schedules of each kind that a model is run under.
const SCHEDULES: usize = 4_000;
const SEED: u64 = 0x1517;
/// How many preemptions a bug may need for the second kind to aim at it.
const PREEMPTIONS: usize = 3;

/// As [`edge_isr_core`]'s adapters: how often a visitor begins or joins another flight.
const TRIES: usize = 3;
/// The awaits of a render, and the one at which it is done.
const AWAITS: usize = 3;

/// Runs a model under random schedules and under those with few preemptions.
fn model<F: Future<Output = ()>>(schedules: usize, run: impl Fn() -> F + Send + Sync + Clone + 'static) {
    fn under<F: Future<Output = ()>>(
        scheduler: impl Scheduler + 'static,
        run: impl Fn() -> F + Send + Sync + 'static,
    ) {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.silence_warnings = true;
        Runner::new(scheduler, config).run(move || block_on(run()));
    }
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        let mut scheduler = ReplayScheduler::new_from_encoded(&schedule);
        // It ends with the panic, which still has to unwind.
        scheduler.set_allow_incomplete();
        return under(scheduler, run);
    }
    under(RandomScheduler::new_from_seed(SEED, schedules), run.clone());
    under(PctScheduler::new_from_seed(SEED, PREEMPTIONS, schedules), run);
}

/// What becomes of a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lands,
    Fails,
    Panics,
    TimesOut,
    /// It is dropped at this await.
    Dropped(usize),
}

/// An engine, one page, and the data that it shows.
struct World {
    isr: Isr,
    rules: Rules,
    key: CacheKey,
    /// What a render reads: the number of the last commit.
    data: AtomicU64,
    /// The last commit whose invalidation was acknowledged.
    acknowledged: AtomicU64,
    /// As much of the sequence as was acknowledged, of hard invalidations only.
    expired: AtomicU64,
    /// The fate of the first render; later ones land.
    first: Fate,
    renders: AtomicUsize,
    /// Whether the layer knows the tag before the render, as it does that of a template.
    is_known: bool,
}

fn key(path: &str) -> CacheKey {
    let key = KeyRef::new(Scheme::Https, "example.com", "/{page}", path);
    key.to_owned(Arc::new(key.scope()))
}

fn engine(most_waiters: usize, twin: Option<Twin>) -> Isr {
    let mut limits = Limits::default();
    limits.waiters_per_key = most_waiters;
    limits.store_bytes = 1 << 20;
    limits.body_bytes = 1 << 10;
    limits.head_bytes = 1 << 10;
    let builder = Isr::builder()
        .limits(limits)
        .build_id(BuildId::Ignore)
        .receipt_key([7; 32])
        .clock(Arc::new(ManualClock::default()));
    twin.into_iter().fold(builder, |builder, twin| builder.twin(twin)).build().unwrap()
}

impl World {
    fn new(first: Fate, is_known: bool, twin: Option<Twin>) -> Arc<Self> {
        Arc::new(Self {
            isr: engine(1_000, twin),
            rules: Policy::new().s_maxage(Duration::from_secs(60)).check().unwrap(),
            key: key("/a"),
            data: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            first,
            renders: AtomicUsize::new(0),
            is_known,
        })
    }

    fn tags(&self) -> TagSet {
        TagSet::from_iter([tag("post", 1)])
    }

    /// A commit, and the invalidation that announces it.
    async fn commit(&self, number: u64, mode: Mode) {
        self.data.store(number, SeqCst);
        let graph = self.isr.graph();
        let receipt = match mode {
            Mode::Soft => graph.revalidate_by_tags([tag("post", 1)]).await.unwrap(),
            Mode::Hard => graph.expire_by_tags([tag("post", 1)]).await.unwrap(),
        };
        self.acknowledged.fetch_max(number, SeqCst);
        if mode == Mode::Hard {
            self.expired.fetch_max(receipt.seq(), SeqCst);
        }
    }

    /// A render, as the adapter runs it in a task of its own.
    fn render(self: &Arc<Self>, permit: Permit) -> impl Future<Output = Option<Arc<Page>>> + Send + use<> {
        let world = Arc::clone(self);
        let fate = if self.renders.fetch_add(1, SeqCst) == 0 { self.first } else { Fate::Lands };
        let polls = if let Fate::Dropped(at) = fate { at } else { usize::MAX };
        let render = async move {
            yield_now().await;
            let seen = world.data.load(SeqCst);
            yield_now().await;
            match fate {
                Fate::Fails => world.isr.fail(permit, Outcome::Failed),
                Fate::Panics => world.isr.fail(permit, Outcome::Panicked),
                Fate::TimesOut => world.isr.fail(permit, Outcome::TimedOut),
                Fate::Lands | Fate::Dropped(_) => return Some(world.land(permit, seen)),
            }
            None
        };
        async move { at_most(polls, render).await.flatten() }
    }

    fn land(&self, permit: Permit, seen: u64) -> Arc<Page> {
        let parts = Response::new(()).into_parts().0;
        let sealed = Sealed { tags: self.tags(), ..Sealed::default() };
        let body = vec![Bytes::from(seen.to_string())];
        match self.isr.admit(&permit, &self.rules, parts, body, &sealed, |_| {}) {
            Admitted::Page(page, _) => {
                permit.finish(Outcome::Page(Arc::clone(&page)));
                page
            }
            Admitted::Vetoed(reason, ..) => panic!("{reason:?}"),
        }
    }

    fn fresh(&self) -> Option<Arc<Page>> {
        let found = self.key.read(|key| self.isr.look_up(key, || 0)).unwrap();
        if let LookUp::Fresh(hit) = found { Some(Arc::clone(hit.page())) } else { None }
    }

    /// A request, as the adapter's `miss::answer` treats it; the commit that its answer shows, if it got a page.
    async fn visit(self: Arc<Self>) -> Option<u64> {
        let (acknowledged, expired) = (self.acknowledged.load(SeqCst), self.expired.load(SeqCst));
        let arrived = self.isr.seq();
        let page = match self.fresh() {
            Some(page) => page,
            None => self.collapse(arrived, expired).await?,
        };
        let shown = std::str::from_utf8(&page.body()).unwrap().parse().unwrap();
        assert!(
            shown >= acknowledged,
            "handed {shown} to one who came after {acknowledged} was acknowledged"
        );
        Some(shown)
    }

    async fn collapse(self: &Arc<Self>, arrived: u64, expired: u64) -> Option<Arc<Page>> {
        let mut panicked = false;
        for _ in 0..TRIES {
            let tags = || if self.is_known { self.tags() } else { TagSet::default() };
            let page = match self.isr.board(&self.key, 0, tags) {
                Boarding::Full => break,
                Boarding::Lead(permit) => match self.fresh() {
                    Some(page) => {
                        permit.finish(Outcome::Page(Arc::clone(&page)));
                        page
                    }
                    None => spawn(self.render(permit)).await.unwrap()?,
                },
                Boarding::Follow(follower) => {
                    let is_joinable = !self.is_known || follower.snapshot().seq >= expired;
                    assert!(is_joinable, "joined a flight that was overtaken before");
                    match follower.outcome().await {
                        Outcome::Page(page) => page,
                        Outcome::Panicked => {
                            // Only one render panics.
                            assert!(!panicked, "joined a flight that had ended");
                            panicked = true;
                            continue;
                        }
                        Outcome::Abandoned => continue,
                        Outcome::Failed | Outcome::TimedOut | Outcome::Unshareable(_) => return None,
                    }
                }
            };
            if let Ok(given) = self.isr.hand_out(&page, 0, arrived) {
                return Some(given.page);
            }
        }
        let permit = self.isr.solo(self.key.clone());
        self.render(permit).await
    }

    /// After everything: nothing is left of any flight, and the next visitor sees the last commit.
    async fn ends_clean(self: Arc<Self>) {
        assert_eq!(self.isr.flights_in_the_table(), 0, "a flight was left in the table");
        assert!(!self.isr.is_being_renewed(&self.key));
        let mut idle = pin!(self.isr.idle());
        std::future::poll_fn(|cx| {
            assert!(idle.as_mut().poll(cx).is_ready(), "counted as busy for ever");
            Poll::Ready(())
        })
        .await;
        let last = self.data.load(SeqCst);
        assert_eq!(Arc::clone(&self).visit().await.unwrap_or(last), last);
    }
}

/// Polls a future so many times at most, then drops it.
async fn at_most<F: Future>(mut polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let Some(left) = polls.checked_sub(1) else { return Poll::Ready(None) };
        polls = left;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Three visitors, the first of whose renders has this fate; a fourth hangs up at some await.
async fn whatever_becomes_of_the_leader(fate: Fate, twin: Option<Twin>) {
    let world = World::new(fate, true, twin);
    let visitors: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&world).visit())).collect();
    let hangs_up = spawn(at_most(2, Arc::clone(&world).visit()));
    for visitor in visitors {
        let shown = visitor.await.unwrap();
        assert!(shown.is_some() || fate != Fate::Lands, "a render that landed was not handed out");
    }
    let _ = hangs_up.await;
    // A render whose visitor hung up goes on in its own task.
    world.isr.idle().await;
    world.ends_clean().await;
}

#[test]
fn c01_p11_a_render_that_lands_is_the_only_one() {
    model(SCHEDULES, || async {
        let world = World::new(Fate::Lands, true, None);
        let visitors: Vec<_> = (0..4).map(|_| spawn(Arc::clone(&world).visit())).collect();
        for visitor in visitors {
            assert_eq!(visitor.await.unwrap(), Some(0));
        }
        assert_eq!(world.renders.load(SeqCst), 1);
        world.ends_clean().await;
    });
}

#[test]
fn c02_c03_p12_clients_that_leave_do_not_stop_the_render() {
    model(SCHEDULES, || async {
        let world = World::new(Fate::Lands, true, None);
        let visitors: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&world).visit())).collect();
        for visitor in &visitors {
            visitor.abort();
        }
        for visitor in visitors {
            let _ = visitor.await;
        }
        world.isr.idle().await;
        assert!(world.renders.load(SeqCst) <= 1);
        assert_eq!(
            world.fresh().is_some(),
            world.renders.load(SeqCst) == 1,
            "a render begun is a page stored"
        );
        world.ends_clean().await;
    });
}

#[test]
fn c04_p12_a_leader_that_panics_wakes_all_and_one_more_render_is_tried() {
    model(SCHEDULES, || whatever_becomes_of_the_leader(Fate::Panics, None));
}

#[test]
fn c05_p12_a_leader_that_times_out_or_fails_wakes_all() {
    for fate in [Fate::TimesOut, Fate::Fails] {
        model(SCHEDULES / 2, move || whatever_becomes_of_the_leader(fate, None));
    }
}

#[test]
fn c06_c07_p12_a_leader_that_is_dropped_at_any_await_wakes_all() {
    for at in 0..=AWAITS {
        model(SCHEDULES / 2, move || whatever_becomes_of_the_leader(Fate::Dropped(at), None));
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn p12_must_fail_twin_a_permit_that_is_dropped_silently_wedges_the_key() {
    model(SCHEDULES, || whatever_becomes_of_the_leader(Fate::Dropped(1), Some(Twin::SilentDrop)));
}

#[test]
#[should_panic(expected = "joined a flight that had ended")]
fn c04_must_fail_twin_an_outcome_told_before_the_table_is_left_is_told_twice() {
    model(SCHEDULES, || whatever_becomes_of_the_leader(Fate::Panics, Some(Twin::TellBeforeLeaving)));
}

/// Visitors before, during and after two commits.
async fn overtaken(mode: Mode, is_known: bool, twin: Option<Twin>) {
    let world = World::new(Fate::Lands, is_known, twin);
    let early: Vec<_> = (0..2).map(|_| spawn(Arc::clone(&world).visit())).collect();
    let writer = {
        let world = Arc::clone(&world);
        spawn(async move {
            for number in 1..=2 {
                world.commit(number, mode).await;
                yield_now().await;
            }
        })
    };
    let newcomers: Vec<_> = (0..2).map(|_| spawn(Arc::clone(&world).visit())).collect();
    writer.await.unwrap();
    assert_eq!(Arc::clone(&world).visit().await, Some(2));
    for visitor in early.into_iter().chain(newcomers) {
        assert!(visitor.await.unwrap().is_some());
    }
    world.ends_clean().await;
}

#[test]
fn r01_p09_newcomers_never_join_a_flight_that_a_hard_mark_has_overtaken() {
    model(SCHEDULES, || overtaken(Mode::Hard, true, None));
}

#[test]
fn r02_p03_a_page_overtaken_by_a_tag_named_late_is_handed_to_nobody_who_came_after() {
    model(SCHEDULES, || overtaken(Mode::Hard, false, None));
}

#[test]
fn r01_p01_a_soft_mark_overtakes_a_flight_for_those_who_come_after_it() {
    model(SCHEDULES, || overtaken(Mode::Soft, true, None));
}

#[test]
#[should_panic(expected = "joined a flight that was overtaken before")]
fn p09_must_fail_twin_joining_without_the_check() {
    model(SCHEDULES, || overtaken(Mode::Hard, true, Some(Twin::JoinOvertaken)));
}

#[test]
#[should_panic(expected = "was acknowledged")]
fn p01_must_fail_twin_handing_out_without_judging_again() {
    model(SCHEDULES, || overtaken(Mode::Hard, false, Some(Twin::JoinOvertaken)));
}

#[test]
#[should_panic(expected = "was acknowledged")]
fn p01_must_fail_twin_a_snapshot_taken_after_the_render() {
    model(SCHEDULES, || overtaken(Mode::Soft, true, Some(Twin::LateSnapshot)));
}

#[test]
fn p11_those_who_come_after_an_overtaken_flight_share_the_next_one() {
    model(SCHEDULES, || async {
        let (isr, key) = (engine(1_000, None), key("/a"));
        let board = move |isr: &Isr| isr.board(&key, 0, || TagSet::from_iter([tag("post", 1)]));
        let Boarding::Lead(overtaken) = board(&isr) else { panic!("nobody led") };
        isr.graph().expire_by_tags([tag("post", 1)]).await.unwrap();
        let newcomers = [(); 3].map(|()| {
            let (isr, board) = (isr.clone(), board.clone());
            spawn(async move { board(&isr) })
        });
        overtaken.finish(Outcome::Failed);
        let mut boarded = Vec::new();
        for newcomer in newcomers {
            boarded.push(newcomer.await.unwrap());
        }
        let leaders = boarded.iter().filter(|boarding| matches!(boarding, Boarding::Lead(_))).count();
        assert_eq!(leaders, 1, "more than one flight was begun");
        drop(boarded);
        assert_eq!(isr.flights_in_the_table(), 0);
    });
}

/// Two may wait. Four come and leave again, then two more wait for the end.
async fn waiters_are_bounded(twin: Option<Twin>) {
    let (isr, key, inside) = (engine(2, twin), key("/a"), Arc::new(AtomicUsize::new(0)));
    let Boarding::Lead(permit) = isr.board(&key, 0, TagSet::default) else { panic!("nobody led") };
    let visitors = (0..4).map(|visitor| {
        let (isr, key, inside) = (isr.clone(), key.clone(), Arc::clone(&inside));
        spawn(async move {
            let boarding = isr.board(&key, 0, TagSet::default);
            assert!(!matches!(boarding, Boarding::Lead(_)), "a second flight was joinable");
            let Boarding::Follow(follower) = boarding else { return };
            assert!(inside.fetch_add(1, SeqCst) < 2, "more waited than may");
            // Some hang up while they wait, some before.
            let mut outcome = Box::pin(follower.outcome());
            for _ in 0..visitor {
                std::future::poll_fn(|cx| Poll::Ready(outcome.as_mut().poll(cx).is_ready())).await;
                yield_now().await;
            }
            inside.fetch_sub(1, SeqCst);
            drop(outcome);
        })
    });
    for visitor in visitors.collect::<Vec<_>>() {
        visitor.await.unwrap();
    }
    let waiting: Vec<_> = (0..2)
        .map(|_| match isr.board(&key, 0, TagSet::default) {
            Boarding::Follow(follower) => spawn(follower.outcome()),
            Boarding::Lead(_) | Boarding::Full => panic!("a place was not given back"),
        })
        .collect();
    assert!(matches!(isr.board(&key, 0, TagSet::default), Boarding::Full));
    permit.finish(Outcome::Failed);
    for waiter in waiting {
        assert!(matches!(waiter.await.unwrap(), Outcome::Failed));
    }
    assert_eq!(isr.flights_in_the_table(), 0);
}

#[test]
fn p15_as_many_wait_as_may_and_every_place_is_given_back() {
    model(SCHEDULES, || waiters_are_bounded(None));
}

#[test]
#[should_panic(expected = "a place was not given back")]
fn p15_must_fail_twin_a_place_that_is_kept() {
    model(SCHEDULES, || waiters_are_bounded(Some(Twin::KeepPlace)));
}

/// Two renders end while somebody waits for that.
async fn idle_sees_the_end<F: Future<Output = ()> + Send>(idle: fn(Isr) -> F) {
    let isr = engine(2, None);
    let ended = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let renders = ended.each_ref().map(|ended| {
        let (ended, permit) = (Arc::clone(ended), isr.solo(key("/a")));
        spawn(async move {
            yield_now().await;
            ended.store(true, SeqCst);
            permit.finish(Outcome::Failed);
        })
    });
    idle(isr).await;
    assert!(ended.iter().all(|ended| ended.load(SeqCst)), "idle while a render ran");
    for render in renders {
        render.await.unwrap();
    }
}

#[test]
fn p21_idle_misses_no_end() {
    model(SCHEDULES, || idle_sees_the_end(|isr| async move { isr.idle().await }));
}

#[test]
#[should_panic(expected = "deadlock")]
fn p21_must_fail_twin_idle_that_registers_after_it_has_read_the_count() {
    model(SCHEDULES, || idle_sees_the_end(|isr| async move { isr.idle_registered_late().await }));
}

/// One writes, three read: from the start, late, and one who leaves.
async fn all_read_the_same(is_cut: bool) {
    let (mut writer, growing) = Growing::new((!is_cut).then_some(4));
    let readers = [0, 1, 2].map(|late| {
        let growing = growing.clone();
        spawn(async move {
            for _ in 0..late {
                yield_now().await;
            }
            let (mut reader, mut got) = (growing.reader(), Vec::new());
            loop {
                match std::future::poll_fn(|cx| reader.poll_chunk(cx)).await {
                    Some(Ok(bytes)) => got.extend_from_slice(&bytes),
                    Some(Err(_)) => return (got, false),
                    None => return (got, true),
                }
                if late == 2 {
                    return (got, !is_cut);
                }
            }
        })
    });
    for byte in 0..4 {
        writer.write(&[byte]);
        writer.show();
        yield_now().await;
    }
    if is_cut {
        writer.break_off(Broken::early())
    } else {
        drop(writer.finish().unwrap())
    }
    for reader in readers {
        let (got, is_whole) = reader.await.unwrap();
        assert!([0, 1, 2, 3].starts_with(&got));
        assert_eq!(is_whole, !is_cut);
    }
}

#[test]
fn p12_a_growing_body_misses_no_reader() {
    model(SCHEDULES, || all_read_the_same(false));
    model(SCHEDULES, || all_read_the_same(true));
}

#[test]
fn p12_a_layer_that_panics_while_it_boards_leaves_nothing_behind() {
    model(1, || async {
        let (isr, key) = (engine(2, None), key("/a"));
        let boards = std::panic::AssertUnwindSafe(|| {
            isr.board(&key, 0, || std::panic::resume_unwind(Box::new("the layer's code")))
        });
        assert!(std::panic::catch_unwind(boards).is_err());
        assert_eq!(isr.flights_in_the_table(), 0);
        assert!(matches!(isr.board(&key, 0, TagSet::default), Boarding::Lead(_)));
        spawn(async {}).await.unwrap();
    });
}
