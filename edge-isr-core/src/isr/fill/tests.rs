//! Who leads, who joins, and what those who waited are given; the second tier.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;

use super::super::Limits;
use super::super::flight::{AtHead, Streaming};
use super::super::stream::Growing;
use super::super::test_engine::{Engine, key, policy};
use super::*;
use crate::error::{Error, Result as StoreResult};
use crate::model::policy::Policy;
use crate::model::snapshot::Mode;
use crate::model::tag::Tag;
use crate::store::{PageStore, Put};

/// Boards for the bearer of a receipt, with a tag that is known before the render.
fn board(engine: &Engine, owed: u64) -> Boarding {
    engine.isr.board(&engine.key("/a"), owed, || TagSet::from_iter([Tag::named("known")]))
}

fn leads(boarding: &Boarding) -> bool {
    matches!(boarding, Boarding::Lead(_))
}

#[test]
fn p09_a_flight_is_joined_until_a_hard_invalidation_overtakes_it() {
    let engine = Engine::new();
    // A mark from before the flight is none that overtakes it.
    engine.mark("known", Mode::Hard);
    let first = board(&engine, 0);
    assert!(leads(&first));
    assert!(matches!(board(&engine, 0), Boarding::Follow(_)));
    engine.mark("another", Mode::Hard);
    assert!(matches!(board(&engine, 0), Boarding::Follow(_)), "it concerns another page");
    engine.mark("known", Mode::Soft);
    assert!(matches!(board(&engine, 0), Boarding::Follow(_)), "soft: those who wait are judged at the end");
    engine.mark("known", Mode::Hard);
    let second = board(&engine, 0);
    assert!(leads(&second));
    assert!(matches!(board(&engine, 0), Boarding::Follow(_)));
}

#[test]
fn p01_a_flight_whose_head_has_come_is_joined_only_while_its_page_is_fresh() {
    for overtake in
        [|engine: &Engine| engine.invalidate(Mode::Soft), |engine: &Engine| engine.pass_seconds(10)]
    {
        let engine = Engine::new();
        let (_writer, body) = Growing::new(None);
        let streaming = Streaming::new(engine.page("/b", &policy()), body);
        let permit = engine.lead("/a");
        permit.announce(AtHead::Shared(Arc::new(streaming)));
        assert!(matches!(engine.board("/a"), Boarding::Follow(_)));
        overtake(&engine);
        assert!(leads(&engine.board("/a")));
    }
}

#[test]
fn p09_a_flight_that_began_before_the_visitors_own_change_is_not_joined() {
    let engine = Engine::new();
    engine.mark("another", Mode::Soft);
    let permit = board(&engine, 0);
    assert!(leads(&permit));
    assert!(matches!(board(&engine, 1), Boarding::Follow(_)), "it began after the change");
    engine.mark("another", Mode::Soft);
    assert!(leads(&board(&engine, 2)));
}

#[test]
fn p09_implicit_tags_overtake_a_flight_too() {
    for everything in ["~all", "~host:h.example"] {
        let engine = Engine::new();
        let _permit = engine.lead("/a");
        assert!(matches!(engine.board("/a"), Boarding::Follow(_)));
        engine.mark(everything, Mode::Hard);
        assert!(leads(&engine.board("/a")), "{everything}");
    }
}

#[tokio::test(start_paused = true)]
async fn p11_a_stale_page_is_renewed_once() {
    let engine = Engine::new();
    let key = engine.key("/a");
    assert!(!engine.isr.is_being_renewed(&key));
    let permit = engine.lead("/a");
    assert!(engine.isr.is_being_renewed(&key));
    assert!(!engine.isr.is_being_renewed(&engine.key("/b")));
    engine.isr.refuse(&permit, StatusCode::OK, Reason::SetCookie);
    drop(permit);
    assert!(engine.isr.is_being_renewed(&key), "its answer would not be stored");
    assert!(!engine.isr.is_being_renewed(&engine.key("/b")));
    engine.isr.shutdown(Duration::ZERO).await;
    assert!(engine.isr.is_being_renewed(&engine.key("/b")), "nothing more is begun");
}

#[test]
fn p14_what_was_not_storable_is_passed_for_the_time_that_was_set_and_no_longer() {
    let limits = Limits { pass_ttl: Duration::from_secs(3), ..Limits::default() };
    let engine = Engine::with(|builder| builder.limits(limits));
    let key = engine.key("/a");
    assert!(!engine.isr.is_passed(&key));
    engine.isr.refuse(&engine.lead("/a"), StatusCode::OK, Reason::SetCookie);
    assert!(engine.isr.is_passed(&key) && !engine.isr.is_passed(&engine.key("/b")));
    engine.pass_seconds(2);
    assert!(engine.isr.is_passed(&key));
    engine.pass_seconds(1);
    assert!(!engine.isr.is_passed(&key));
    engine.pass_seconds(1);
    assert!(!engine.isr.is_passed(&key));
}

#[test]
fn p14_what_may_be_about_one_request_has_nobody_pass() {
    let engine = Engine::new();
    let key = engine.key("/a");
    let mut permit = engine.lead("/a");
    permit.ask_as_visitor();
    engine.isr.refuse(&permit, StatusCode::BAD_REQUEST, Reason::Status);
    assert!(!engine.isr.is_passed(&key));
    engine.isr.refuse(&permit, StatusCode::NOT_FOUND, Reason::Status);
    assert!(engine.isr.is_passed(&key));
    engine.isr.refuse(&engine.lead("/b"), StatusCode::BAD_REQUEST, Reason::Status);
    assert!(engine.isr.is_passed(&engine.key("/b")), "by the key alone, it is about the page");
}

#[test]
fn p14_the_right_to_render_alone_begins_where_invalidations_stand() {
    let engine = Engine::new();
    engine.invalidate(Mode::Soft);
    let solo = engine.isr.solo(engine.key("/a"));
    assert_eq!((solo.snapshot().seq, engine.isr.seq()), (1, 1));
    engine.invalidate(Mode::Soft);
    assert_eq!((solo.snapshot().seq, engine.isr.seq()), (1, 2));
    assert!(leads(&engine.board("/a")), "nobody joins it");
}

#[test]
fn p15_the_operator_is_told_of_hosts_for_which_there_is_no_room() {
    let limits = Limits { hosts: 1, ..Limits::default() };
    let engine = Engine::with(|builder| builder.limits(limits));
    let of = |authority| engine.isr.own_key(&KeyRef { authority, ..key("/a") });
    assert!(!of("one.example").scope().is_displaced());
    assert!(engine.isr.health().is_good());
    assert!(!of("two.example").scope().is_displaced(), "it takes the place of one asked for once");
    assert_eq!(engine.isr.stats().count(Reason::HostLimit), 1);
    of("two.example");
    // Now in use, so that there is no place for a third, whose pages are not stored.
    assert!(of("three.example").scope().is_displaced());
    let health = engine.isr.health();
    assert_eq!(health.notes.len(), 1);
    assert_eq!((health.notes[0].reason, health.notes[0].count), (Reason::HostLimit, 2));
}

/// What a visitor who waited gets: whether it was overtaken, or that there is nothing for them.
fn handed(engine: &Engine, page: &Arc<Page>, owed: u64, arrived: u64) -> Result<bool, Forward> {
    engine.isr.hand_out(page, owed, arrived).map(|out| out.overtaken).map_err(|miss| {
        assert!(miss.reason == Reason::Overtaken && miss.spare.is_none());
        miss.forward
    })
}

#[test]
fn p11_those_who_waited_get_the_page_even_if_its_lifetime_was_shorter_than_the_wait() {
    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    let out = engine.isr.hand_out(&page, 0, 0).unwrap();
    assert!(Arc::ptr_eq(&out.page, &page) && out.now == engine.isr.now());
    for _ in 0..3 {
        assert_eq!(handed(&engine, &page, 9, 9), Ok(false));
        engine.pass_seconds(20);
    }
}

#[test]
fn p09_those_who_waited_never_get_what_was_invalidated_hard() {
    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    engine.invalidate(Mode::Hard);
    assert_eq!(handed(&engine, &page, 0, 0), Err(Forward::Miss));
}

#[test]
fn p09_a_page_invalidated_softly_during_the_wait_is_theirs_if_it_is_no_older_than_their_request() {
    let engine = Engine::new();
    engine.invalidate(Mode::Soft);
    let strict = Policy::new().s_maxage(Duration::from_secs(10));
    let page = engine.page("/a", &strict);
    engine.invalidate(Mode::Soft);
    assert_eq!(handed(&engine, &page, 0, 0), Ok(true));
    assert_eq!(handed(&engine, &page, 0, 1), Ok(true), "begun right after they came");
    assert_eq!(handed(&engine, &page, 0, 2), Err(Forward::Stale), "they came after the invalidation");
    assert_eq!(handed(&engine, &page, 1, 1), Ok(true), "their own change is in it");
    assert_eq!(handed(&engine, &page, 2, 1), Err(Forward::Stale), "their own change is not");
}

#[test]
fn p09_within_its_stale_window_a_softly_invalidated_page_is_for_everyone_without_a_receipt() {
    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    engine.invalidate(Mode::Soft);
    assert_eq!(handed(&engine, &page, 0, 1), Ok(true));
    assert_eq!(handed(&engine, &page, 1, 1), Err(Forward::Stale));
    engine.pass_seconds(14);
    assert_eq!(handed(&engine, &page, 0, 1), Ok(true));
    engine.pass_seconds(1);
    assert_eq!(handed(&engine, &page, 0, 1), Err(Forward::Stale), "the window is over");
}

#[test]
fn p11_a_failure_is_handed_to_those_who_waited_for_it_whatever_was_invalidated() {
    let engine = Engine::new();
    let failure = engine.admit(&engine.lead("/a"), &policy(), StatusCode::BAD_GATEWAY);
    let stored = policy().status(StatusCode::NOT_FOUND, Duration::from_secs(60));
    let missing = engine.admit(&engine.lead("/b"), &stored, StatusCode::NOT_FOUND);
    engine.invalidate(Mode::Hard);
    engine.mark("~all", Mode::Hard);
    assert_eq!(handed(&engine, &failure, 0, 0), Ok(false));
    assert_eq!(
        handed(&engine, &missing, 0, 0),
        Err(Forward::Miss),
        "a stored page is judged, whatever its status"
    );
}

#[test]
fn p19_a_page_stands_in_for_a_failed_render_within_its_window_and_never_after_a_hard_invalidation() {
    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    let stands_in = |engine: &Engine| engine.isr.stand_in(&page).map(|out| out.overtaken);
    assert_eq!(stands_in(&engine), Some(false));
    engine.pass_seconds(19);
    assert_eq!(stands_in(&engine), Some(false), "past its lifetime, within the window");
    engine.invalidate(Mode::Soft);
    assert_eq!(stands_in(&engine), Some(true));
    let out = engine.isr.stand_in(&page).unwrap();
    assert!(Arc::ptr_eq(&out.page, &page) && out.now == engine.isr.now());
    engine.pass_seconds(1);
    assert_eq!(stands_in(&engine), None, "the window is over");

    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    engine.invalidate(Mode::Hard);
    assert!(engine.isr.stand_in(&page).is_none());
}

#[tokio::test(start_paused = true)]
async fn p12_a_failed_render_is_counted_and_those_who_wait_are_told_why() {
    let failures = [
        (Outcome::Panicked, Some(Reason::RenderPanicked)),
        (Outcome::TimedOut, Some(Reason::RenderTimeout)),
        (Outcome::Failed, Some(Reason::RenderFailed)),
        (Outcome::Unshareable(Reason::Private), None),
    ];
    for (outcome, reason) in failures {
        let engine = Engine::new();
        let permit = engine.lead("/a");
        let Boarding::Follow(follower) = engine.board("/a") else { panic!("a flight is in the air") };
        engine.isr.fail(permit, outcome.clone());
        let told = tokio::time::timeout(WAIT, follower.outcome()).await.expect("whoever waits is released");
        assert_eq!(format!("{told:?}"), format!("{outcome:?}"));
        let counted: Vec<(Reason, u64)> = engine.isr.stats().iter().collect();
        assert_eq!(counted, reason.map(|reason| (reason, 1)).into_iter().collect::<Vec<_>>());
    }
}

/// A second tier that takes its time, holds one page whatever it is asked for, and may be out of order.
#[derive(Debug, Clone, Default)]
struct Tier(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    takes: Duration,
    fails: bool,
    /// What it holds can't be read.
    is_corrupt: bool,
    page: Option<Arc<Page>>,
    removed: Vec<CacheKey>,
}

impl Tier {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn holds(&self) -> bool {
        self.0.lock().unwrap().page.is_some()
    }

    async fn work(&self) -> StoreResult<()> {
        let (takes, fails) = {
            let state = self.0.lock().unwrap();
            (state.takes, state.fails)
        };
        tokio::time::sleep(takes).await;
        match fails {
            true => Err(Error::Unavailable { backend: "tier", queued: false, source: "told to fail".into() }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl PageStore for Tier {
    async fn get(&self, _: &CacheKey) -> StoreResult<Option<Arc<Page>>> {
        self.work().await?;
        if self.0.lock().unwrap().is_corrupt {
            return Err(Error::Corrupt { backend: "tier", what: "page", source: "cut off".into() });
        }
        Ok(self.0.lock().unwrap().page.clone())
    }

    async fn put(&self, _: &CacheKey, page: Arc<Page>) -> StoreResult<Put> {
        self.work().await?;
        self.set(|state| state.page = Some(page));
        Ok(Put::Kept)
    }

    async fn remove(&self, keys: &[CacheKey]) -> StoreResult<()> {
        self.work().await?;
        self.set(|state| {
            state.page = None;
            state.removed.extend_from_slice(keys);
        });
        Ok(())
    }
}

/// How long a miss waits for the tier; writing to it may take five times as long.
const WAIT: Duration = Duration::from_millis(40);

fn tiered() -> (Engine, Tier) {
    let (tier, limits) = (Tier::default(), Limits { store_wait: WAIT, ..Limits::default() });
    let second = tier.clone();
    let engine =
        Engine::with(|builder| builder.limits(limits).store(second).build_id(crate::BuildId::Ignore));
    (engine, tier)
}

#[tokio::test(start_paused = true)]
async fn p04_a_page_of_the_second_tier_is_taken_into_memory_and_anothers_is_not() {
    let (engine, tier) = tiered();
    let key = engine.key("/a");
    assert!(engine.isr.fetch(&key).await.unwrap().is_none());
    let page = engine.page("/a", &policy());
    engine.isr.0.pages.remove_page(key.hash(), &page);
    tier.set(|state| state.page = Some(Arc::clone(&page)));
    let anothers = engine.isr.fetch(&engine.key("/b")).await;
    assert_eq!(anothers.unwrap_err(), Reason::StoreCorrupt, "it is not the page of that key");
    assert_eq!((engine.isr.stats().pages, engine.isr.stats().count(Reason::StoreCorrupt)), (0, 1));
    let fetched = engine.isr.fetch(&key).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&fetched, &page));
    assert_eq!((engine.isr.stats().pages, engine.isr.health().notes.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn p34_what_a_second_tier_can_t_read_is_a_miss_that_is_counted_by_its_own_name() {
    let (engine, tier) = tiered();
    tier.set(|state| state.is_corrupt = true);
    let corrupt = engine.isr.fetch(&engine.key("/a")).await;
    assert_eq!(corrupt.unwrap_err(), Reason::StoreCorrupt);
    assert_eq!(engine.isr.stats().count(Reason::StoreCorrupt), 1);
    assert_eq!(engine.isr.stats().count(Reason::StoreUnavailable), 0);
}

#[tokio::test(start_paused = true)]
async fn p04_a_second_tier_that_is_slow_or_down_means_a_render_and_a_note_for_the_operator() {
    for (takes, fails) in [(WAIT + Duration::from_millis(2), false), (Duration::ZERO, true)] {
        let (engine, tier) = tiered();
        let (key, page) = (engine.key("/a"), engine.page("/a", &policy()));
        tier.set(|state| (state.page, state.takes, state.fails) = (Some(page), takes, fails));
        assert_eq!(engine.isr.fetch(&key).await.unwrap_err(), Reason::StoreUnavailable);
        let health = engine.isr.health();
        assert_eq!(
            (health.notes[0].reason, &*health.notes[0].subject),
            (Reason::StoreUnavailable, "page store")
        );
    }
    let alone = Engine::new();
    assert!(
        alone.isr.fetch(&alone.key("/a")).await.unwrap().is_none(),
        "without one there is nothing to wait for"
    );
}

#[tokio::test(start_paused = true)]
async fn p04_writing_to_the_second_tier_may_take_longer_than_reading_and_not_forever() {
    let (engine, tier) = tiered();
    let (key, page) = (engine.key("/a"), engine.page("/a", &policy()));
    tier.set(|state| state.takes = WAIT * 5 - Duration::from_millis(2));
    engine.isr.pass_on(&key, &page).await;
    assert!(tier.holds() && engine.isr.health().is_good());
    engine.isr.forget(&key).await;
    assert!(!tier.holds());
    assert!(tier.0.lock().unwrap().removed.iter().eq([&key]));

    tier.set(|state| state.takes = WAIT * 5 + Duration::from_millis(2));
    engine.isr.pass_on(&key, &page).await;
    assert!(!tier.holds());
    assert_eq!(engine.isr.stats().count(Reason::StoreUnavailable), 1);
    tier.set(|state| state.page = Some(page));
    engine.isr.forget(&key).await;
    assert!(tier.holds(), "what stays there is judged when it is read");
}

#[tokio::test(start_paused = true)]
async fn p04_a_second_tier_that_takes_no_page_is_noted() {
    let (engine, tier) = tiered();
    tier.set(|state| state.fails = true);
    engine.isr.pass_on(&engine.key("/a"), &engine.page("/a", &policy())).await;
    assert_eq!(engine.isr.health().notes[0].reason, Reason::StoreUnavailable);
}
