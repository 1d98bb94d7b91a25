//! `cargo xtask fuzz`: looks for inputs that break a target, for so many seconds each.
//!
//! The targets stand in edge-isr-core's `testing::targets`, the inputs they begin with in `fuzz/corpus`. What a run
//! adds goes below the target folder, and so do logs and crashes.

mod target;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use self::target::Target;
use crate::shell::{Outcome, cargo, program, root};
use crate::{install, metadata};

const USAGE: &str = "cargo xtask fuzz [--seconds N] [--keep] [TARGET…]";

struct Options {
    seconds: u32,
    /// Whether inputs that reach new code are added to `fuzz/corpus`.
    keeps: bool,
    targets: Vec<String>,
}

pub(crate) fn run(args: Vec<String>) -> Outcome {
    let options = read(args, &targets()?)?;
    if let Err(reason) = tools()? {
        println!("no fuzzing here ({reason}): the committed inputs and mutations of them instead");
        return cargo(&["test", "-p", "edge-isr-core", "--features", "testing", "--test", "corpus"]).run();
    }
    // Compiled with other flags than everything else, so it keeps its own target folder.
    let folder = metadata::load()?.target.join("fuzz");
    let host = host()?;
    build(&folder, &host)?;
    let programs = folder.join(&host).join("release");
    let targets =
        options.targets.iter().map(|name| Target { name, folder: &folder, program: programs.join(name) });
    let targets: Vec<Target<'_>> = targets.collect();
    let broken = fuzz(&targets, options.seconds);
    for target in targets.iter().filter(|target| options.keeps && !broken.contains(&target.name)) {
        target.keep()?;
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("broken: {}", broken.join(", "))) }
}

/// Runs as many at a time as there are processors, says what came of each, and returns those that broke.
fn fuzz<'a>(targets: &[Target<'a>], seconds: u32) -> Vec<&'a str> {
    let at_once = thread::available_parallelism().map_or(1, NonZero::get).min(targets.len());
    println!("{} targets, {seconds} s each, {at_once} at a time", targets.len());
    let (waiting, broken) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(target) = next() {
                    match target.fuzz(seconds) {
                        Ok(line) => println!("  {:<14} {line}", target.name),
                        Err(lines) => {
                            println!("  {:<14} BROKE\n{lines}", target.name);
                            broken.lock().into_iter().for_each(|mut broken| broken.push(target.name));
                        }
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_unstable();
    broken
}

/// Every target for half a minute, for `ci`.
pub(crate) fn step() -> Outcome {
    run(Vec::new())
}

fn read(args: Vec<String>, known: &[String]) -> Outcome<Options> {
    let mut options = Options { seconds: 30, keeps: false, targets: Vec::new() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--keep" => options.keeps = true,
            "--seconds" => {
                // Zero is what libFuzzer calls forever.
                let seconds = args.next().and_then(|text| text.parse().ok()).filter(|&seconds| seconds > 0);
                options.seconds = seconds.ok_or(format!("--seconds needs a number above zero; {USAGE}"))?;
            }
            _ if known.contains(&arg) => options.targets.push(arg),
            _ => return Err(format!("no target `{arg}`, only {}; {USAGE}", known.join(", "))),
        }
    }
    if options.targets.is_empty() {
        options.targets = known.to_vec();
    }
    Ok(options)
}

/// One program a target: the names of the files in `fuzz/fuzz_targets`.
fn targets() -> Outcome<Vec<String>> {
    let mut names: Vec<String> = files(&root().join("fuzz/fuzz_targets"))
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    if names.is_empty() { Err("fuzz/fuzz_targets is empty".to_owned()) } else { Ok(names) }
}

/// What a build needs: a compiler for libFuzzer, `cargo fuzz`, and the crates. `Ok(Err(…))` says what can't be had.
fn tools() -> Outcome<Outcome> {
    let tools = install::ensure(&[install::CXX]).and_then(|()| install::ensure_subcommand(&install::FUZZ));
    if tools.is_err() { Ok(tools) } else { crates() }
}

/// Downloads what `fuzz/Cargo.lock` names. An error if that isn't what the manifests ask for, `Ok(Err(…))` if it can't
/// be had.
fn crates() -> Outcome<Outcome> {
    let fetch = ["fetch", "--manifest-path", "fuzz/Cargo.toml"];
    if cargo(&[&fetch[..], &["--locked"]].concat()).run().is_ok() {
        return Ok(Ok(()));
    }
    match cargo(&fetch).run() {
        Ok(()) => Err("fuzz/Cargo.lock was out of date and is now renewed: commit it".to_owned()),
        Err(reason) => Ok(Err(reason)),
    }
}

/// For `ci`, early: whether `fuzz/Cargo.lock` is what the manifests ask for, as far as that can be known here.
pub(crate) fn lock_step() -> Outcome {
    if let Err(reason) = crates()? {
        println!("not known here: {reason}");
    }
    Ok(())
}

/// Without a sanitizer: they want a nightly compiler and halve the speed, and look for faults of unsafe code, which
/// this project has none of. Panics, overflows and broken properties need none.
fn build(folder: &Path, host: &str) -> Outcome {
    cargo(&["fuzz", "build", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--target", host])
        .env("CARGO_TARGET_DIR", &folder.to_string_lossy())
        .run()
}

fn host() -> Outcome<String> {
    let text = program("rustc", &["-vV"]).capture()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &str) -> Outcome<Options> {
        read(words.split_whitespace().map(str::to_owned).collect(), &["key".to_owned(), "tag".to_owned()])
    }

    #[test]
    fn words_are_targets_or_settings() {
        let all = read_words("").expect("nothing to refuse");
        assert_eq!((all.seconds, all.keeps, all.targets.len()), (30, false, 2));
        let one = read_words("--seconds 5 tag --keep").expect("known words");
        assert_eq!((one.seconds, one.keeps, &*one.targets), (5, true, &["tag".to_owned()][..]));
        for wrong in ["tags", "--seconds", "--seconds 0", "--seconds tag", "-s"] {
            assert!(read_words(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_targets_are_found() {
        assert!(targets().is_ok_and(|names| names.contains(&"cache_control".to_owned())));
    }
}
