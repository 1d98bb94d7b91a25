//! Authors, who commit and then invalidate, and the clocks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use edge_isr_core::{Graph, Mode, Receipt};

use crate::apart::apart;
use crate::ask::ask;
use crate::history::Event;
use crate::names::{self, CLASSES, GROUPS, Key, SECTIONS, Target};
use crate::reader::{Owed, Site, any_key};
use crate::rng;
use crate::stage::gate;
use crate::tally::Count;
use crate::world::World;

/// An author who writes one thing after the other, and reads some of their own writes.
pub(crate) async fn write_on(world: Arc<World>, graph: Graph, mut site: Site, writer: usize) {
    loop {
        for _ in 0..world.shape.write_every {
            gate().await;
        }
        if !world.takes_move() {
            return;
        }
        let target = any_target(&world);
        let items: Vec<usize> = (0..world.shape.items).filter(|&item| target.has_item(item)).collect();
        for _ in 0..=rng::below(2) {
            if !items.is_empty() {
                world.commit(writer, rng::pick(&items));
            }
        }
        gate().await;
        let mode = if !world.shape.is_calm && rng::one_in(3) { Mode::Hard } else { Mode::Soft };
        let versions = world.announce(target);
        world.history.record(writer as u64, Event::Invalidates { writer, target, mode });
        world.invalidating(target);
        let receipt = if world.shape.is_split && rng::one_in(2) {
            let graph = graph.clone();
            let invalidated = apart(move || at_once(invalidate(&graph, target, mode))).await;
            invalidated.ok().flatten()
        } else {
            invalidate(&graph, target, mode).await.ok()
        };
        let Some(receipt) = receipt else { continue };
        world.acknowledge(target, mode, &versions);
        let seq = receipt.seq();
        world.history.record(writer as u64, Event::Acknowledged { writer, target, seq });
        world.tally.add(if mode == Mode::Hard { Count::Hard } else { Count::Soft });
        if !world.shape.is_calm && rng::one_in(2) {
            let owed = Owed::new(&world, receipt, versions);
            gate().await;
            if let Some(key) = page_within(&world, target) {
                ask(&world, &mut site, key, Some(&owed), false).await;
            }
        }
    }
}

fn any_target(world: &World) -> Target {
    let items = world.shape.items;
    let some = |most: usize| (0..=rng::below(most)).fold(0, |set, _| set | 1 << rng::below(items));
    match rng::below(24) {
        0..=9 => Target::Items(some(1)),
        10..=14 => Target::Items(some(5)),
        15..=16 => Target::Group(rng::below(GROUPS.min(items))),
        17..=18 => Target::PageTag(rng::below(world.shape.pages)),
        19 => Target::Url(rng::below(world.shape.pages)),
        20 => Target::Prefix(rng::below(CLASSES.len() * SECTIONS)),
        21 => Target::Route(rng::below(CLASSES.len())),
        22 => Target::Host,
        _ => Target::All,
    }
}

async fn invalidate(graph: &Graph, target: Target, mode: Mode) -> edge_isr_core::Result<Receipt> {
    match target {
        Target::Items(_) | Target::Group(_) | Target::PageTag(_) if mode == Mode::Hard => {
            graph.expire_by_tags(target.tags()).await
        }
        Target::Items(_) | Target::Group(_) | Target::PageTag(_) => {
            graph.revalidate_by_tags(target.tags()).await
        }
        Target::Url(page) => graph.by_url(names::path(page), mode).await,
        Target::Prefix(at) => graph.by_prefix(Target::prefix(at), mode).await,
        Target::Route(class) => graph.by_route(CLASSES[class].pattern, mode).await,
        Target::Host => graph.by_host(names::HOST, mode).await,
        Target::All => graph.all(mode).await,
    }
}

/// The output of a future that waits for nothing.
fn at_once<T>(future: impl Future<Output = edge_isr_core::Result<T>>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output.ok(),
        Poll::Pending => None,
    }
}

/// A page that an invalidation may be about.
fn page_within(world: &World, target: Target) -> Option<Key> {
    (0..4).map(|_| any_key(world)).find(|key| target.has_page(key.page))
}

/// Moves the clocks now and then.
pub(crate) async fn pass_time(world: Arc<World>) {
    loop {
        for _ in 0..40 {
            gate().await;
        }
        if !world.shape.is_exact {
            // Threads have a pace of their own.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if world.is_over() {
            return;
        }
        world.tally.add(Count::Moves);
        // In a storm nobody could tell whether a receipt was valid all the time.
        if world.shape.is_exact && rng::one_in(6) {
            // Backwards or forwards, by up to a day.
            let second = 1_700_000_000 + rng::below(172_800) as u64;
            world.clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            world.history.record(0, Event::WallSet);
            continue;
        }
        let millis = 1 + rng::below(rng::pick(&[100, 2_000, 8_000])) as u64;
        // Timers only where nobody minds that a wait ends early.
        let timers = world.shape.is_exact && !world.shape.is_calm && rng::one_in(3);
        world.clock.advance(Duration::from_millis(millis));
        world.history.record(0, Event::Moved { millis, timers });
        if timers {
            tokio::time::advance(Duration::from_millis(millis)).await;
        }
    }
}
