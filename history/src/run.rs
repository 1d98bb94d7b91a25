//! One run: an episode, in which the dice choose who moves, or a storm of threads. Then a quiet end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_isr_core::Isr;
use edge_isr_core::testing::Twin;
use tokio::runtime::{Builder, Runtime};

use crate::ask::ask;
use crate::checker::{Violation, What};
use crate::history::{About, Event};
use crate::names::{Key, TENANTS, class_of};
use crate::reader::{Site, read_on};
use crate::stage;
use crate::tally::Count;
use crate::watch::Watch;
use crate::world::{Shape, World};
use crate::writer::{pass_time, write_on};
use crate::{rng, site};

/// The longest that the engine may take to come to rest, by the runtime's time.
const REST: u32 = 600;
const STORM_REST: u32 = 30;
const SECOND: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) world: Arc<World>,
    pub(crate) violation: Option<Violation>,
}

impl Shape {
    /// An episode's: small, so that its actors meet.
    fn of_episode() -> Self {
        let is_calm = rng::one_in(4);
        let or = |chance: usize| !is_calm && rng::one_in(chance);
        let has_worker = or(3);
        Self {
            items: rng::pick(&[1, 2, 4, 24]),
            pages: rng::pick(&[1, 2, 3, 6, 24]),
            readers: 2 + rng::below(5),
            writers: 1 + rng::below(3),
            moves: 60 + rng::below(400),
            write_every: rng::pick(&[2, 8, 30]),
            has_worker,
            has_tier: rng::one_in(3),
            is_tiny: rng::one_in(4),
            few_marks: rng::one_in(4),
            // A worker tries again after delays with dice of their own, which no seed replays: that is left to storms.
            has_faults: !has_worker && or(3),
            has_time: rng::one_in(2),
            is_calm,
            is_split: rng::one_in(6),
            is_exact: true,
        }
    }

    fn of_storm() -> Self {
        let episode = Self::of_episode();
        let has_faults = !episode.is_calm && rng::one_in(3);
        Self {
            has_faults,
            readers: 6,
            writers: 2,
            moves: usize::MAX,
            is_split: false,
            is_exact: false,
            ..episode
        }
    }
}

type Actor = Pin<Box<dyn Future<Output = ()> + Send>>;

fn actors(world: &Arc<World>, isr: &Isr, site: &Site) -> Vec<Actor> {
    let mut actors: Vec<Actor> = Vec::new();
    for _ in 0..world.shape.readers {
        actors.push(Box::pin(read_on(Arc::clone(world), site.clone())));
    }
    for writer in 0..world.shape.writers {
        actors.push(Box::pin(write_on(Arc::clone(world), isr.graph(), site.clone(), writer)));
    }
    if world.shape.has_time {
        actors.push(Box::pin(pass_time(Arc::clone(world))));
    }
    actors
}

/// Plays the episode of a seed: always the same one.
pub(crate) fn episode(seed: u64, twin: Option<Twin>) -> Result<Played, String> {
    rng::seed(seed);
    let world = World::new(Shape::of_episode());
    let runtime = exact_runtime(seed).map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(async {
        let (isr, site) = site::build(&world, twin).map_err(|error| error.to_string())?;
        let actors = actors(&world, &isr, &site);
        stage::set_up(actors.into_iter().map(|actor| actor as _).collect());
        if world.shape.has_worker {
            site::spawn_worker(&isr, &site);
        }
        if !stage::play().await {
            wedged(&world, "an actor");
        }
        stage::open();
        settle(&world, &isr, site, REST).await;
        Ok(())
    });
    drop(runtime);
    stage::clear();
    world.tally.add(Count::Episodes);
    let violation = world.take_violation();
    outcome.map(|()| Played { world, violation })
}

/// A runtime of one thread whose time stands still.
fn exact_runtime(seed: u64) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build()
}

/// Lets threads loose on one engine for a while.
pub(crate) fn storm(seed: u64, twin: Option<Twin>, lasts: Duration) -> Result<Played, String> {
    rng::seed(seed);
    let world = World::new(Shape::of_storm());
    let threads = std::sync::atomic::AtomicU64::new(seed);
    let set_up = move || {
        rng::seed(threads.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        stage::storm();
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .on_thread_start(set_up)
        .build()
        .map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(async {
        let (isr, site) = site::build(&world, twin).map_err(|error| error.to_string())?;
        if world.shape.has_worker {
            site::spawn_worker(&isr, &site);
        }
        let actors: Vec<_> = actors(&world, &isr, &site).into_iter().map(tokio::spawn).collect();
        let watch = Watch::start();
        while watch.elapsed() < lasts && !world.is_over() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.end();
        for actor in actors {
            match tokio::time::timeout(SECOND * STORM_REST, actor).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    world.violated(What::Panicked, &About::Everything, "an actor panicked".to_owned())
                }
                Err(_) => wedged(&world, "an actor"),
            }
        }
        settle(&world, &isr, site, STORM_REST).await;
        Ok(())
    });
    runtime.shutdown_background();
    world.tally.add(Count::Storms);
    let violation = world.take_violation();
    outcome.map(|()| Played { world, violation })
}

fn wedged(world: &World, who: &str) {
    world.violated(What::Wedged, &About::Everything, format!("{who} never comes to an end"));
}

/// Waits until nothing is in the air. Both times go on, so that what is to be tried again later is.
async fn rests(world: &World, isr: &Isr, seconds: u32) -> bool {
    for _ in 0..seconds {
        if tokio::time::timeout(SECOND, isr.idle()).await.is_ok() {
            return true;
        }
        world.clock.advance(SECOND);
    }
    wedged(world, "the engine");
    false
}

/// The quiet end: everything in the air lands, and then each page shows what was last announced (P6).
async fn settle(world: &Arc<World>, isr: &Isr, mut site: Site, rest: u32) {
    world.end();
    world.history.record(0, Event::Quiet);
    if !rests(world, isr, rest).await {
        return;
    }
    for page in 0..world.shape.pages {
        for tenant in 0..if class_of(page).has_tenants { TENANTS } else { 1 } {
            let key = Key { page, tenant, is_draft: false };
            ask(world, &mut site, key, None, false).await;
            if !rests(world, isr, rest).await {
                return;
            }
            let shown = ask(world, &mut site, key, None, false).await;
            world.tally.add(Count::Settled);
            let last = world.acknowledged(page).any;
            let is_last = shown
                .as_ref()
                .is_some_and(|shown| shown.items.iter().all(|&(item, version)| version >= last[item]));
            if !is_last {
                let items: Vec<usize> =
                    shown.iter().flat_map(|shown| &shown.items).map(|&(item, _)| item).collect();
                world.violated(
                    What::Trailing,
                    &About::Shown(key, &items, shown.as_ref().map_or(0, |shown| shown.render)),
                    format!("{key} shows {shown:?}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_keeps_its_promises_and_a_twin_does_not() {
        let broken = |twin| (0..60).find_map(|seed| episode(seed, twin).unwrap().violation);
        assert!(broken(None).is_none());
        for twin in [Twin::LateSnapshot, Twin::DeleteListed, Twin::NoCollapse] {
            assert!(broken(Some(twin)).is_some(), "{twin:?}");
        }
    }
}
