//! One flight a key: boarding it, its end, and that it leaves nothing behind.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::super::busy::Busy;
use super::super::test_engine::{Engine, key, policy};
use super::*;
use crate::clock::Moment;
use crate::isr::stream::Growing;
use crate::model::reason::Reason;
use crate::model::snapshot::Incarnation;

const MOST: usize = 2;

fn flights() -> (Arc<Flights>, Arc<Busy>) {
    let busy = Arc::new(Busy::default());
    (Arc::new(Flights::new(MOST, Arc::clone(&busy))), busy)
}

fn written(path: &str) -> CacheKey {
    key(path).to_owned(Arc::new(key(path).scope()))
}

fn snapshot(seq: u64) -> Snapshot {
    Snapshot { incarnation: Incarnation::from_bytes([1; 16]), seq }
}

/// Boards a flight that anybody may join.
fn board(flights: &Arc<Flights>, key: &CacheKey) -> Boarding {
    flights.board(key, |_| true, || (snapshot(1), Box::default()))
}

fn lead(flights: &Arc<Flights>, key: &CacheKey) -> Permit {
    let Boarding::Lead(permit) = board(flights, key) else { panic!("someone leads already") };
    permit
}

fn follow(flights: &Arc<Flights>, key: &CacheKey) -> Follower {
    let Boarding::Follow(follower) = board(flights, key) else {
        panic!("nobody leads, or all places are taken")
    };
    follower
}

/// How the flight ends; in paused time a flight that never does is noticed at once.
async fn ended(follower: Follower) -> Outcome {
    timeout(Duration::from_secs(60), follower.outcome()).await.expect("whoever waits is released")
}

fn shards_in_use(flights: &Flights) -> usize {
    flights.shards.iter().filter(|shard| !lock(shard).is_empty()).count()
}

#[tokio::test(start_paused = true)]
async fn p11_the_first_leads_the_others_follow_and_all_get_the_same_page() {
    let (flights, _) = flights();
    let key = written("/a");
    let permit = lead(&flights, &key);
    assert_eq!((permit.key(), permit.snapshot()), (&key, snapshot(1)));
    let (one, two) = (follow(&flights, &key), follow(&flights, &key));
    assert_eq!(one.snapshot(), snapshot(1), "a follower can tell what the render may have seen");
    let engine = Engine::new();
    let page = engine.page("/a", &policy());
    permit.finish(Outcome::Page(Arc::clone(&page)));
    for follower in [one, two] {
        let Outcome::Page(handed) = ended(follower).await else { panic!("the flight ended with a page") };
        assert!(Arc::ptr_eq(&handed, &page));
    }
}

#[test]
fn p11_one_flight_per_key_and_none_shared_by_two() {
    let (flights, _) = flights();
    let (one, two) = (written("/a"), written("/b"));
    // The hash only finds the place; the key decides.
    let twin = two.clone().colliding_with(&one);
    let first = lead(&flights, &one);
    let collided = lead(&flights, &twin);
    assert_eq!((first.key(), collided.key()), (&one, &twin));
    assert!(flights.is_aloft(&one) && flights.is_aloft(&twin) && !flights.is_aloft(&two));
    drop(first);
    assert!(!flights.is_aloft(&one) && flights.is_aloft(&twin), "one lands, the other goes on");
    drop(follow(&flights, &twin));
    drop(lead(&flights, &one));
}

#[tokio::test(start_paused = true)]
async fn p14_a_job_waits_for_the_render_of_its_page_that_began_too_early_and_for_no_other() {
    let (flights, _) = flights();
    let (one, other) = (written("/a"), written("/b"));
    let first = lead(&flights, &one);
    let began = first.snapshot().seq;
    assert!(flights.begun_before(&one, began).is_none(), "it is new enough");
    assert!(flights.begun_before(&other, began + 1).is_none(), "nobody renders that page");
    let collided = other.colliding_with(&one);
    assert!(flights.begun_before(&collided, began + 1).is_none(), "the key decides, not its hash");
    let older = flights.begun_before(&one, began + 1).expect("a render that began before");
    drop(first);
    assert!(matches!(ended(older).await, Outcome::Abandoned));
    assert!(flights.begun_before(&one, began + 1).is_none(), "it has landed");
}

#[test]
fn p15_as_many_follow_as_may_and_a_place_given_up_is_free_again() {
    let (flights, _) = flights();
    let key = written("/a");
    let _permit = lead(&flights, &key);
    let mut places: Vec<Follower> = (0..MOST).map(|_| follow(&flights, &key)).collect();
    for _ in 0..3 {
        // Being turned away takes no place either.
        assert!(matches!(board(&flights, &key), Boarding::Full));
    }
    places.pop();
    places.push(follow(&flights, &key));
    assert!(matches!(board(&flights, &key), Boarding::Full));
}

#[tokio::test(start_paused = true)]
async fn p12_a_permit_that_is_dropped_releases_those_who_wait() {
    let (flights, _) = flights();
    let key = written("/a");
    let permit = lead(&flights, &key);
    let follower = follow(&flights, &key);
    drop(permit);
    assert!(matches!(ended(follower).await, Outcome::Abandoned));
    assert!(!flights.is_aloft(&key));
    drop(lead(&flights, &key));
}

#[tokio::test(start_paused = true)]
async fn p12_nobody_is_answered_before_the_flight_ends() {
    let (flights, _) = flights();
    let key = written("/a");
    let permit = lead(&flights, &key);
    let waiting = tokio::spawn(ended(follow(&flights, &key)));
    yield_now().await;
    assert!(!waiting.is_finished());
    permit.finish(Outcome::TimedOut);
    assert!(matches!(waiting.await.unwrap(), Outcome::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn p14_a_leader_whose_answer_still_streams_holds_nobody_up() {
    let (flights, busy) = flights();
    let key = written("/a");
    let permit = lead(&flights, &key);
    let mut before = follow(&flights, &key);
    permit.announce(AtHead::Undecided);
    let mut after = follow(&flights, &key);
    for follower in [&mut before, &mut after] {
        let news = timeout(Duration::from_secs(60), follower.news()).await;
        assert!(matches!(news, Ok(News::AtHead(AtHead::Undecided))), "whoever waits goes alone");
    }
    assert!(busy.is_busy(), "the leader's own answer is still going on");
    let waiting = tokio::spawn(ended(after));
    yield_now().await;
    assert!(!waiting.is_finished(), "the end is still to come, for those who need it");
    permit.finish(Outcome::Unshareable(Reason::TooLarge));
    assert!(matches!(waiting.await.unwrap(), Outcome::Unshareable(Reason::TooLarge)));
    assert!(!busy.is_busy() && !flights.is_aloft(&key));
}

#[tokio::test(start_paused = true)]
async fn p11_whoever_waits_or_comes_reads_along_once_the_head_says_so() {
    let (flights, _) = flights();
    let (key, engine) = (written("/a"), Engine::new());
    let permit = lead(&flights, &key);
    let mut before = follow(&flights, &key);
    let (writer, body) = Growing::new(None);
    let streaming = Arc::new(Streaming::new(engine.page("/a", &policy()), body));
    permit.announce(AtHead::Shared(Arc::clone(&streaming)));
    let offered = |flight: &Flight| flight.streaming().is_some_and(|own| Arc::ptr_eq(&own, &streaming));
    let Boarding::Follow(mut after) = flights.board(&key, offered, || panic!("somebody leads")) else {
        panic!("it may be joined")
    };
    for follower in [&mut before, &mut after] {
        let News::AtHead(AtHead::Shared(handed)) = follower.news().await else { panic!("its head has come") };
        assert!(Arc::ptr_eq(&handed, &streaming));
    }
    permit.finish(Outcome::Page(Arc::clone(streaming.page())));
    let late = before.news().await;
    assert!(matches!(late, News::Landed(Outcome::Page(_))), "at the end the page counts, not its head");
    drop(writer);
    assert_eq!(Arc::strong_count(&streaming), 1, "a flight that landed keeps no body");
}

#[tokio::test(start_paused = true)]
async fn p12_what_was_said_first_stands() {
    let (flights, _) = flights();
    let permit = lead(&flights, &written("/a"));
    let follower = follow(&flights, &written("/a"));
    // Its permit is dropped right after.
    permit.finish(Outcome::Unshareable(Reason::TooLarge));
    assert!(matches!(ended(follower).await, Outcome::Unshareable(Reason::TooLarge)));
}

#[tokio::test(start_paused = true)]
async fn p01_an_overtaken_flight_is_joined_by_nobody_and_still_serves_its_own() {
    let (flights, _) = flights();
    let key = written("/a");
    let known: Box<[TagId]> = Box::new([TagId(7)]);
    let Boarding::Lead(old) = flights.board(&key, |_| true, || (snapshot(1), known)) else {
        panic!("nobody leads yet")
    };
    let early = follow(&flights, &key);
    let joinable = |flight: &Flight| {
        assert_eq!((flight.snapshot(), flight.known()), (snapshot(1), &[TagId(7)][..]));
        false
    };
    let Boarding::Lead(new) = flights.board(&key, joinable, || (snapshot(2), Box::default())) else {
        panic!("the flight may not be joined")
    };
    assert_eq!(follow(&flights, &key).snapshot(), snapshot(2), "whoever comes now joins the new one");
    old.finish(Outcome::Failed);
    assert!(matches!(ended(early).await, Outcome::Failed));
    assert!(flights.is_aloft(&key), "the new one is still in the air");
    drop(new);
    assert!(!flights.is_aloft(&key));
}

#[tokio::test(start_paused = true)]
async fn p14_a_flight_that_nobody_can_join_stands_in_nobodys_way() {
    let (flights, busy) = flights();
    let key = written("/a");
    let solo = flights.solo(key.clone(), snapshot(3));
    assert_eq!((solo.key(), solo.snapshot()), (&key, snapshot(3)));
    assert!(busy.is_busy() && !flights.is_aloft(&key));
    let permit = lead(&flights, &key);
    solo.finish(Outcome::Failed);
    assert!(flights.is_aloft(&key), "the end of the one is not the end of the other");
    drop(permit);
    assert!(!busy.is_busy());
}

#[test]
fn p12_a_panic_while_a_flight_begins_leaves_the_key_free() {
    let (flights, busy) = flights();
    let key = written("/a");
    let begin = || flights.board(&key, |_| true, || panic!("told to"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(begin)).is_err());
    assert!(!flights.is_aloft(&key) && !busy.is_busy());
    assert_eq!(shards_in_use(&flights), 0);
    drop(lead(&flights, &key));
}

#[test]
fn p24_a_flight_says_whether_it_is_asked_with_one_visitors_credentials() {
    let (flights, _) = flights();
    let mut permit = lead(&flights, &written("/a"));
    assert!(!permit.is_for_one());
    permit.keep_to_one();
    assert!(permit.is_for_one());
}

#[test]
fn a_render_is_counted_from_when_the_handler_is_polled() {
    let (flights, _) = flights();
    let mut permit = lead(&flights, &written("/a"));
    assert_eq!(permit.began(), None, "waiting for room is no rendering");
    permit.begin(Moment::from_nanos(7));
    assert_eq!(permit.began(), Some(Moment::from_nanos(7)));
}

#[test]
fn p15_flights_that_landed_take_no_room() {
    let (flights, busy) = flights();
    let permits: Vec<Permit> = (0..1_000).map(|n| lead(&flights, &written(&format!("/{n}")))).collect();
    assert!(shards_in_use(&flights) > SHARDS / 2, "keys spread over the locks");
    drop(permits);
    assert_eq!(shards_in_use(&flights), 0);
    assert!(!busy.is_busy());
}
