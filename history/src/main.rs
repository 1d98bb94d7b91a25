//! The history checker: `cargo xtask check-history`.
//!
//! It drives random reads, renders, commits, invalidations, cancellations and evictions through the real layer and the
//! real engine, writes down what happened, and checks every answer against what was acknowledged before it. In
//! *episodes* one thread plays all actors and dice choose who moves, also between two steps of the engine: the seed of
//! an episode replays it. In *storms* threads do. Twins of the engine, each with one protection removed, show that the
//! checker can tell.
//!
//! | file | what is in it |
//! |---|---|
//! | `names`, `world`, `shown` | the data, the pages that show it, what was acknowledged about it |
//! | `app`, `tier`, `site` | the handler, the second tier, the engine and the layer put together |
//! | `reader`, `writer` | the actors |
//! | `ask` | one request, and what its answer is checked by |
//! | `stage`, `apart` | who moves next, and who stops in the middle |
//! | `checker` | the promises as rules about one answer |
//! | `run`, `hunt` | one run; runs until time is up |
//! | `history`, `tally`, `report` | what happened, counted, told |

mod apart;
mod app;
mod ask;
mod checker;
mod history;
mod hunt;
mod names;
mod options;
mod reader;
mod report;
mod rng;
mod run;
mod shown;
mod site;
mod stage;
mod tally;
mod tier;
mod watch;
mod world;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use edge_isr_core::testing::Twin;

use options::{Options, TWINS, USAGE};
use tally::Tally;
use watch::Watch;

/// How long a twin may take to be caught.
const PATIENCE: Duration = Duration::from_secs(20);
/// A turn of episodes, a storm, and how often to tell how it goes.
const EPISODES: Duration = Duration::from_millis(1500);
const STORM: Duration = Duration::from_millis(500);
const PROGRESS: Duration = Duration::from_secs(10);
/// How many episodes are played twice.
const REPLAYED: u64 = 20;
/// Runs that are shorter are not asked what they exercised.
const SHORT: Duration = Duration::from_secs(5);
/// Runs as long as this are measurements: they have to hold the bar of operations, too. Shorter ones only say whether
/// they did, since a gate must not depend on the machine's speed.
const LONG: Duration = Duration::from_secs(600);

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match (options.replay, options.twin) {
        (Some(seed), twin) => replay(seed, twin),
        (None, Some(twin)) => show(&options, twin),
        (None, None) => everything(&options),
    };
    if let Err(error) = outcome {
        eprintln!("\nerror: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn everything(options: &Options) -> Outcome {
    replays(options.first)?;
    println!("Twins, each with one protection removed:");
    let mut uncaught = Vec::new();
    for twin in TWINS {
        let (caught, _) = hunt::episodes(options.first, Some(twin), PATIENCE, &Tally::default())?;
        report::caught(&format!("{twin:?}"), caught.as_ref());
        if caught.is_none() {
            uncaught.push(format!("{twin:?}"));
        }
    }
    println!("\nThe engine, for {} s from seed {}:", options.lasts.as_secs(), options.first);
    let tally = Tally::default();
    let watch = Watch::start();
    let (mut next, mut told) = (options.first, Duration::ZERO);
    while watch.elapsed() < options.lasts {
        let left = options.lasts.saturating_sub(watch.elapsed());
        let (caught, after) = hunt::episodes(next, None, EPISODES.min(left), &tally)?;
        if let Some(caught) = caught {
            report::story(&caught.violation);
            return Err(format!(
                "a violation; `cargo xtask check-history --seed {}` shows it again",
                caught.seed
            ));
        }
        next = after;
        let played = run::storm(next, None, STORM.min(options.lasts.saturating_sub(watch.elapsed())))?;
        tally.merge(&played.world.tally);
        if let Some(violation) = played.violation {
            report::story(&violation);
            return Err(format!(
                "a violation in the storm of seed {next}; threads don't replay, run it again"
            ));
        }
        if watch.elapsed() >= told + PROGRESS {
            told = watch.elapsed();
            report::progress(&tally, told);
        }
    }
    let took = watch.elapsed();
    report::table(&tally, took);
    if !uncaught.is_empty() {
        return Err(format!("not caught within {} s: {}", PATIENCE.as_secs(), uncaught.join(", ")));
    }
    let missing = report::missing(&tally);
    if options.lasts >= SHORT && !missing.is_empty() {
        return Err(format!("hardly exercised: {}", missing.join(", ")));
    }
    let rate = report::rate(&tally, took);
    if options.lasts >= LONG && !report::holds(rate) {
        let (rate, bar) = (report::grouped(rate), report::grouped(report::BAR));
        return Err(format!("{rate} operations each second, has to be more than {bar}"));
    }
    println!("\n0 violations; each of {} twins caught", TWINS.len());
    Ok(())
}

/// Plays some episodes twice: a seed that shows something else each time is of no use.
fn replays(first: u64) -> Outcome {
    // tokio throws dice too, for `select!` and for the order in which it wakes; they follow the seed only so.
    if !cfg!(tokio_unstable) {
        println!("Built without `--cfg tokio_unstable`: seeds do not replay exactly.\n");
        return Ok(());
    }
    let digest = |seed| run::episode(seed, None).map(|played| played.world.history.digest());
    for seed in first..first + REPLAYED {
        if digest(seed)? != digest(seed)? {
            return Err(format!("the episode of seed {seed} is another one each time"));
        }
    }
    Ok(())
}

/// One twin, with the story of its violation.
fn show(options: &Options, twin: Twin) -> Outcome {
    let (caught, _) = hunt::episodes(options.first, Some(twin), PATIENCE, &Tally::default())?;
    report::caught(&format!("{twin:?}"), caught.as_ref());
    let caught = caught.ok_or_else(|| format!("{twin:?} was not caught"))?;
    report::story(&caught.violation);
    Ok(())
}

/// The episode of a seed.
fn replay(seed: u64, twin: Option<Twin>) -> Outcome {
    let played = run::episode(seed, twin)?;
    println!("The episode of seed {seed}: {:#?}", played.world.shape);
    println!("Its digest: {:016x}", played.world.history.digest());
    match played.violation {
        Some(violation) => {
            report::story(&violation);
            Err("a violation".to_owned())
        }
        None => {
            println!("No violation.");
            Ok(())
        }
    }
}
