//! Episode after episode on every core, until one shows a violation or time is up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use edge_isr_core::testing::Twin;

use crate::checker::Violation;
use crate::run;
use crate::tally::Tally;
use crate::watch::Watch;

/// After the first violation, so long for one with a shorter story.
const SHORTER: Duration = Duration::from_millis(500);

/// A violation and the seed that shows it again.
#[derive(Debug, Clone)]
pub(crate) struct Caught {
    pub(crate) seed: u64,
    pub(crate) violation: Violation,
    pub(crate) after: Duration,
}

/// Plays the episodes of the seeds from `first` on. The violation with the shortest story, if there was one, and the
/// first seed that was not played.
pub(crate) fn episodes(
    first: u64,
    twin: Option<Twin>,
    most: Duration,
    tally: &Tally,
) -> Result<(Option<Caught>, u64), String> {
    let (next, is_over) = (AtomicU64::new(first), AtomicBool::new(false));
    let caught: Mutex<Option<Caught>> = Mutex::default();
    let watch = Watch::start();
    let hunt = || -> Result<(), String> {
        while watch.elapsed() < most && !is_over.load(SeqCst) {
            let seed = next.fetch_add(1, SeqCst);
            let played = run::episode(seed, twin)?;
            tally.merge(&played.world.tally);
            let mut caught = caught.lock().unwrap_or_else(PoisonError::into_inner);
            let since = caught.as_ref().map(|caught| caught.after);
            if let Some(violation) = played.violation {
                let is_shorter =
                    caught.as_ref().is_none_or(|caught| violation.story.len() < caught.violation.story.len());
                let after = since.unwrap_or_else(|| watch.elapsed());
                if is_shorter {
                    *caught = Some(Caught { seed, violation, after });
                }
            }
            if since.is_some_and(|since| watch.elapsed() > since + SHORTER) {
                is_over.store(true, SeqCst);
            }
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| -> Result<(), String> {
        let hunters: Vec<_> = (0..threads).map(|_| scope.spawn(hunt)).collect();
        for hunter in hunters {
            hunter.join().map_err(|_| "an episode's thread panicked".to_owned())??;
        }
        Ok(())
    })?;
    let caught = caught.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((caught, next.into_inner()))
}
