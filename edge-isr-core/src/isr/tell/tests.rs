//! Caches that fail in every way, told under virtual time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;

use super::calls::Item;
use super::outbox::{MOST_ITEMS, MOST_SHARES, Outbox};
use super::settling::{MOST as MOST_SETTLING, Opened, Place};
use super::ticket::Share;
use super::{Asked, Listed, Telling};
use crate::clock::{Clock, Moment};
use crate::connector::{Connector, Purge, PurgeLimits};
use crate::error::Result;
use crate::isr::progress::{PurgeState, Round, Watched};
use crate::isr::{Isr, Receipt, Stage};
use crate::model::rate::Rate;
use crate::model::reason::Reason;
use crate::model::snapshot::Mode;
use crate::model::tag::{Tag, tag};
use crate::sync::{Mutex, lock};
use crate::testing::{PurgeFault, RecordingConnector};

const S: Duration = Duration::from_secs(1);

/// Tokio's time, which stands still unless everybody sleeps.
#[derive(Debug)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Moment {
        Moment::default().after(self.0.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// Writes down when it was called, too.
#[derive(Debug, Clone)]
struct Timed {
    connector: RecordingConnector,
    at: Arc<Mutex<Vec<Instant>>>,
}

#[async_trait]
impl Connector for Timed {
    fn name(&self) -> &'static str {
        self.connector.name()
    }

    fn limits(&self) -> PurgeLimits {
        self.connector.limits()
    }

    async fn purge(&self, purge: &Purge) -> Result<()> {
        lock(&self.at).push(Instant::now());
        self.connector.purge(purge).await
    }
}

impl Timed {
    fn new(connector: &RecordingConnector) -> Self {
        Self { connector: connector.clone(), at: Arc::default() }
    }

    /// The times from one call to the next.
    fn gaps(&self) -> Vec<Duration> {
        lock(&self.at).windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

fn engine(connectors: impl IntoIterator<Item = impl Connector>) -> Isr {
    let builder = Isr::builder().clock(Arc::new(Virtual(Instant::now())));
    connectors.into_iter().fold(builder, |builder, connector| builder.connector(connector)).build().unwrap()
}

async fn soft(isr: &Isr, tags: impl IntoIterator<Item = Tag>) -> Receipt {
    isr.graph().revalidate_by_tags(tags).await.unwrap()
}

/// Begins invalidations, none of which waits for another.
async fn all_at_once(isr: &Isr, tags: impl IntoIterator<Item = Tag>) -> Vec<Receipt> {
    let tasks: Vec<_> = tags
        .into_iter()
        .map(|tag| {
            let isr = isr.clone();
            tokio::spawn(async move { soft(&isr, [tag]).await })
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap());
    }
    receipts
}

fn state(receipt: &Receipt) -> PurgeState {
    receipt.purges()[0].1.clone()
}

fn told(tags: impl IntoIterator<Item = Tag>) -> Purge {
    Purge { tags: tags.into_iter().collect(), ..Purge::default() }
}

#[tokio::test(start_paused = true)]
async fn p22_what_comes_while_a_call_waits_for_its_retry_is_said_in_few_calls_after_it() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1, PurgeFault::Unavailable);
    let first = soft(&isr, [Tag::named("first")]).await;
    assert!(matches!(state(&first), PurgeState::Retrying(why) if why.contains("told to fail")));
    let tags = || (0..250).map(|n| tag("t", format!("{n:03}")));
    let receipts = all_at_once(&isr, tags().chain([Tag::named("first")]).chain(tags())).await;
    isr.idle().await;
    assert!(receipts.iter().chain([&first]).all(|receipt| state(receipt) == PurgeState::Confirmed));
    let seen = cdn.seen();
    let first = told([Tag::named("first")]);
    assert_eq!(seen[..2], [first.clone(), first]);
    let after: Vec<Tag> = seen[2..].iter().flat_map(|purge| purge.tags.clone()).collect();
    let all: Vec<Tag> = [Tag::named("first")].into_iter().chain(tags()).collect();
    assert_eq!((seen.len(), after), (5, all), "each once more, in three calls");
}

#[tokio::test(start_paused = true)]
async fn p22_a_call_that_fails_is_repeated_with_growing_delays_and_then_given_up() {
    let cdn = RecordingConnector::default();
    let timed = Timed::new(&cdn);
    let isr = engine([timed.clone()]);
    cdn.set_failing(true);
    let receipt = soft(&isr, [Tag::named("a"), Tag::named("b")]).await;
    assert!(matches!(state(&receipt), PurgeState::Retrying(_)));
    assert!(
        isr.health()
            .notes
            .iter()
            .all(|note| (note.reason, &*note.subject) != (Reason::PurgeFailed, "recording"))
    );
    isr.idle().await;
    let gaps = timed.gaps();
    assert_eq!(gaps.len(), 4);
    for (n, gap) in gaps.iter().enumerate() {
        let least = S * (1 << n);
        assert!((least..=least * 2 + S / 100).contains(gap), "{gaps:?}");
    }
    assert!(matches!(state(&receipt), PurgeState::Failed(why) if why.contains("told to fail")));
    let given_up = |note: &&crate::Note| (note.reason, &*note.subject) == (Reason::PurgeFailed, "recording");
    assert_eq!(isr.health().notes.iter().find(given_up).map(|note| note.count), Some(1));
    cdn.set_failing(false);
    assert_eq!(state(&soft(&isr, [Tag::named("a")]).await), PurgeState::Confirmed);
}

#[tokio::test(start_paused = true)]
async fn p22_a_cache_that_says_when_is_not_asked_before_and_is_asked_more_often() {
    let cdn = RecordingConnector::default();
    let timed = Timed::new(&cdn);
    let isr = engine([timed.clone()]);
    cdn.fail_next(8, PurgeFault::Throttled(30 * S));
    let receipt = soft(&isr, [Tag::named("a")]).await;
    assert!(matches!(state(&receipt), PurgeState::Retrying(why) if why.contains("30 s")));
    isr.idle().await;
    let gaps = timed.gaps();
    assert!(gaps.len() == 8 && gaps.iter().all(|gap| (30 * S..=37 * S).contains(gap)), "{gaps:?}");
    assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]), "each a little more, by chance");
    assert_eq!(state(&receipt), PurgeState::Confirmed);
}

#[tokio::test(start_paused = true)]
async fn p15_p22_a_cache_that_always_asks_to_be_left_alone_is_given_up_with_all_that_waits_for_it() {
    let limits = PurgeLimits { tags: 1, ..PurgeLimits::default() };
    let cdn = RecordingConnector::with_limits(limits);
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1_000, PurgeFault::Throttled(100 * S));
    let begin = Instant::now();
    let receipt = soft(&isr, (0..50).map(|n| tag("t", n))).await;
    isr.idle().await;
    assert!(begin.elapsed() <= 601 * S && begin.elapsed() > 400 * S, "{:?}", begin.elapsed());
    assert!(matches!(state(&receipt), PurgeState::Failed(why) if why.contains("100 s")));
    assert!(cdn.seen().len() <= 6);
}

#[tokio::test(start_paused = true)]
async fn p22_a_rejected_item_takes_no_other_with_it() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    let [a, bad, c] = ["a", "bad", "c"].map(Tag::named);
    cdn.reject([bad.clone()]);
    let receipts = all_at_once(&isr, [a.clone(), bad.clone(), c.clone()]).await;
    isr.idle().await;
    let alone = [&a, &bad, &c].map(|tag| told([tag.clone()]));
    assert_eq!(cdn.seen()[0], told([a, bad, c]));
    assert_eq!(cdn.seen()[1..], alone);
    let states: Vec<PurgeState> = receipts.iter().map(state).collect();
    assert!(
        matches!(&states[..], [PurgeState::Confirmed, PurgeState::Failed(_), PurgeState::Confirmed]),
        "{states:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn p15_p22_an_item_of_a_rejected_call_is_asked_five_times_and_that_once() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1, PurgeFault::Rejected);
    cdn.fail_next(1_000, PurgeFault::Unavailable);
    soft(&isr, ["a", "b"].map(Tag::named)).await;
    isr.idle().await;
    for name in ["a", "b"] {
        let asked = cdn.seen().iter().filter(|purge| purge.tags.contains(&Tag::named(name))).count();
        assert_eq!(asked, 6, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn p07_p22_each_connector_has_its_own_state_whatever_it_is_called() {
    let (good, bad) = (RecordingConnector::default(), RecordingConnector::default());
    let isr = engine([good.clone(), bad.clone(), good.clone()]);
    bad.fail_next(1, PurgeFault::Rejected);
    let receipt = soft(&isr, [Tag::named("a")]).await;
    let states: Vec<PurgeState> = receipt.purges().into_iter().map(|(_, state)| state).collect();
    assert!(
        matches!(&states[..], [PurgeState::Confirmed, PurgeState::Failed(_), PurgeState::Confirmed]),
        "{states:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn p07_p22_a_connector_that_panics_or_hangs_is_asked_again_and_takes_nothing_down() {
    let (bad, good) = (RecordingConnector::default(), RecordingConnector::default());
    let isr = engine([bad.clone(), good.clone()]);
    for (fault, why) in [(PurgeFault::Panics, "it panicked"), (PurgeFault::Hangs, "no answer in time")] {
        bad.fail_next(1, fault);
        let receipt = soft(&isr, [Tag::named("a")]).await;
        let retrying = PurgeState::Retrying(why.to_owned());
        assert_eq!(receipt.purges(), [("recording", retrying), ("recording", PurgeState::Confirmed)]);
        isr.idle().await;
        assert!(receipt.purges().iter().all(|(_, state)| *state == PurgeState::Confirmed));
    }
    assert_eq!((bad.seen().len(), good.seen().len()), (4, 2));
    assert_eq!(isr.stats().count(Reason::PurgeRetried), 2, "counted, though it confirmed in the end");
    let named = |note: &crate::Note| note.reason == Reason::PurgeRetried && note.subject == "recording";
    assert!(isr.health().notes.iter().any(named));
}

#[tokio::test(start_paused = true)]
async fn p22_calls_keep_the_rate_also_those_that_are_repeated() {
    let limits = PurgeLimits { tags: 1, rate: Some(Rate::per_second(10)), ..PurgeLimits::default() };
    let cdn = RecordingConnector::with_limits(limits);
    let timed = Timed::new(&cdn);
    let isr = engine([timed.clone()]);
    cdn.fail_next(10, PurgeFault::Unavailable);
    let begin = Instant::now();
    soft(&isr, (0..50).map(|n| tag("t", n))).await;
    isr.idle().await;
    let gaps = timed.gaps();
    assert!(gaps.len() == 59 && gaps.iter().all(|gap| *gap >= S / 10), "{gaps:?}");
    assert!(begin.elapsed() < 9 * S, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn p22_everything_says_all_that_is_no_harder() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1, PurgeFault::Unavailable);
    soft(&isr, [Tag::named("first")]).await;
    let graph = isr.graph();
    let hard = {
        let graph = graph.clone();
        tokio::spawn(async move { graph.expire_by_tags([Tag::named("hard")]).await.unwrap() })
    };
    let before = tokio::spawn({
        let isr = isr.clone();
        async move { soft(&isr, [Tag::named("before")]).await }
    });
    tokio::task::yield_now().await;
    let all = graph.all(Mode::Soft).await.unwrap();
    let after = soft(&isr, [Tag::named("after")]).await;
    let (hard, before) = (hard.await.unwrap(), before.await.unwrap());
    isr.idle().await;
    assert!(
        [&hard, &before, &all, &after].into_iter().all(|receipt| state(receipt) == PurgeState::Confirmed)
    );
    let seen = cdn.seen();
    let everything = Purge { everything: true, ..Purge::default() };
    let is_hard = Purge { mode: Mode::Hard, ..told([Tag::named("hard")]) };
    assert!(seen[2..].contains(&everything) && seen[2..].contains(&is_hard), "{seen:?}");
    assert!(seen[2..].iter().all(|purge| !purge.tags.contains(&Tag::named("before"))), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn p07_p21_what_a_shutdown_breaks_off_is_not_confirmed() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1, PurgeFault::Hangs);
    let waiting = tokio::spawn({
        let isr = isr.clone();
        async move { all_at_once(&isr, [Tag::named("a"), Tag::named("b")]).await }
    });
    tokio::time::sleep(S).await;
    let begin = Instant::now();
    isr.shutdown(S).await;
    assert!(begin.elapsed() <= 2 * S);
    let broken_off = PurgeState::Failed("it was broken off".to_owned());
    for receipt in waiting.await.unwrap() {
        assert_eq!(receipt.wait(Stage::Purged, S).await.purges, [("recording", broken_off.clone())]);
    }
}

#[tokio::test]
async fn p07_a_runtime_that_ends_leaves_nothing_confirmed_and_nobody_waiting() {
    let cdn = RecordingConnector::default();
    let isr = engine([cdn.clone()]);
    cdn.fail_next(1, PurgeFault::Unavailable);
    let (other, receipt) = (isr.clone(), Arc::new(Mutex::new(None)));
    let written = Arc::clone(&receipt);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        *lock(&written) = Some(runtime.block_on(soft(&other, [Tag::named("a")])));
    })
    .join()
    .unwrap();
    let receipt = lock(&receipt).take().unwrap();
    assert_eq!(state(&receipt), PurgeState::Failed("it was broken off".to_owned()));
    // The next one finds that nobody talks, and talks.
    assert_eq!(state(&soft(&isr, [Tag::named("a")]).await), PurgeState::Confirmed);
    isr.idle().await;
}

fn outbox() -> Outbox {
    let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
    Outbox::new(Arc::new(RecordingConnector::default()), &clock)
}

#[tokio::test]
async fn p15_p22_beyond_the_bound_everything_is_said_instead() {
    let (outbox, watched) = (outbox(), Arc::new(Watched::new(["recording"].into_iter())));
    let share = || Share::begin(0, Round::Last, [Arc::downgrade(&watched)].into()).0;
    for n in 0..MOST_ITEMS {
        let mode = if n == 7 { Mode::Hard } else { Mode::Soft };
        assert_eq!(outbox.put([Item::Tag(tag("t", n))].into(), mode, share()), n == 0);
    }
    outbox.put([Item::Tag(Tag::named("more"))].into(), Mode::Soft, share());
    let entries = outbox.take().unwrap();
    assert_eq!(entries.keys().collect::<Vec<_>>(), [&Item::Everything]);
    let entry = entries.into_values().next().unwrap();
    assert_eq!((entry.mode, entry.shares.len()), (Mode::Hard, MOST_ITEMS + 1));
    assert!(outbox.take().is_none());
}

#[tokio::test]
async fn p15_tellings_that_nobody_can_ask_for_take_no_room() {
    let outbox = outbox();
    for _ in 0..10_000 {
        let watched = Arc::<Watched>::default();
        let share = Share::begin(0, Round::Last, [Arc::downgrade(&watched)].into()).0;
        outbox.put([Item::Tag(Tag::named("t"))].into(), Mode::Soft, share);
    }
    assert!(outbox.take().unwrap().into_values().all(|entry| entry.shares.len() < 128));
}

#[tokio::test]
async fn p15_p22_receipts_that_are_kept_take_no_more_room_than_the_bound_and_each_is_told() {
    let outbox = outbox();
    let items: std::collections::BTreeSet<Item> = (0..10_000).map(|n| Item::Url(format!("/{n}"))).collect();
    let watched: Vec<_> = (0..150).map(|_| Arc::new(Watched::new(["recording"].into_iter()))).collect();
    for watched in &watched {
        let share = Share::begin(0, Round::Last, [Arc::downgrade(watched)].into()).0;
        outbox.put(items.clone(), Mode::Soft, share);
    }
    let entries = outbox.take().unwrap();
    let shares: usize = entries.values().map(|entry| entry.shares.len()).sum();
    assert!(entries.contains_key(&Item::Everything) && shares <= MOST_SHARES, "{shares}");
    assert!(watched.iter().all(|watched| watched.now().purges[0].1 == PurgeState::Pending));
    entries.into_values().flat_map(|entry| entry.shares).for_each(Share::confirm);
    assert!(watched.iter().all(|watched| watched.now().purges[0].1 == PurgeState::Confirmed));
}

#[tokio::test]
async fn p22_p29_a_page_that_is_listed_no_more_is_said_only_if_it_was_named_when_it_was() {
    let isr = engine([RecordingConnector::default()]);
    let limits = PurgeLimits { tags: 9, urls: 0, bytes: 99, rate: None };
    let (own, url) = ([tag("u", 1)], "http://h/".to_owned());
    for (named, is_whole) in [(vec![], false), (vec![Item::Tag(tag("t", 1))], true)] {
        let named: std::collections::BTreeSet<Item> = named.into_iter().collect();
        let mut listed = Listed::by_request(Asked { urls: [url.clone()].into(), named: named.clone() });
        listed.add_lost(&own[0], &url);
        assert_eq!(isr.narrow_items(&limits, &own, &listed).await, (named, is_whole));
    }
}

#[tokio::test(start_paused = true)]
async fn p22_second_purges_that_wait_together_wait_for_no_task_that_is_gone() {
    let isr = engine([RecordingConnector::default()]);
    let telling = Telling {
        tags: [tag("t", 1)].into(),
        mode: Mode::Hard,
        listed: Listed::default(),
        watched: Vec::new(),
        round: Round::Last,
    };
    let place = || isr.0.settling.place(&telling);
    let _own: Vec<Place> = (0..MOST_SETTLING).map(|_| place()).collect();
    assert!(matches!(place(), Place::Begins) && matches!(place(), Place::Joined));
    drop(Opened::new(&isr));
    assert!(matches!(place(), Place::Begins), "its runtime ended before it was told");
    let opened = Opened::new(&isr);
    assert!(opened.close().is_empty());
    assert!(matches!(place(), Place::Begins), "one that is told is closed once");
}

#[tokio::test(start_paused = true)]
async fn p15_p22_more_second_purges_than_may_wait_are_one_of_everything_after_the_settle_time_of_each() {
    let cdn = RecordingConnector::default();
    let timed = Timed::new(&cdn);
    let isr = engine([timed.clone()]);
    let begin = Instant::now();
    let mut receipts = Vec::new();
    for n in 0..1_000 {
        receipts.push(isr.graph().expire_by_tags([tag("t", n)]).await.unwrap());
        if n == 500 {
            tokio::time::sleep(S).await;
        }
    }
    let at_once = cdn.seen().len();
    isr.idle().await;
    assert!(receipts.iter().all(|receipt| receipt.progress().has_reached(Stage::Purged)));
    assert!(receipts.iter().all(|receipt| state(receipt) == PurgeState::Confirmed));
    let again = cdn.seen().split_off(at_once);
    let told: usize = again.iter().map(|purge| purge.tags.len()).sum();
    let everything = again.iter().filter(|purge| purge.everything && purge.mode == Mode::Hard).count();
    assert_eq!((at_once, told, everything), (1_000, 256, 1));
    let last = lock(&timed.at).last().unwrap().duration_since(begin);
    assert!(last >= 3 * S && last < 5 * S, "the last was asked for after a second: {last:?}");
}
