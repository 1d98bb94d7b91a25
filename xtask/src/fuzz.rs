//! `cargo xtask fuzz`: looks for inputs that break a target, for so many seconds each.
//!
//! The targets stand in edge-isr-core's `testing::targets`, the inputs they begin with in `fuzz/corpus`. What a run
//! adds goes below the target folder, and so do crashes.

use std::fs;
use std::path::{Path, PathBuf};

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
    let mut broken = Vec::new();
    for name in &options.targets {
        let target = Target { name, folder: &folder, program: folder.join(&host).join("release").join(name) };
        if target.fuzz(options.seconds).is_err() {
            target.explain()?;
            broken.push(name.as_str());
        } else if options.keeps {
            target.keep()?;
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("broken: {}", broken.join(", "))) }
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
    if let Err(reason) =
        install::ensure(&[install::CXX]).and_then(|()| install::ensure_subcommand(&install::FUZZ))
    {
        return Ok(Err(reason));
    }
    let fetch = ["fetch", "--manifest-path", "fuzz/Cargo.toml"];
    if cargo(&[&fetch[..], &["--locked"]].concat()).run().is_ok() {
        return Ok(Ok(()));
    }
    match cargo(&fetch).run() {
        Ok(()) => Err("fuzz/Cargo.lock was out of date and is now renewed: commit it".to_owned()),
        Err(reason) => Ok(Err(reason)),
    }
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

struct Target<'a> {
    name: &'a str,
    folder: &'a Path,
    program: PathBuf,
}

impl Target<'_> {
    fn crashes(&self) -> PathBuf {
        self.folder.join("crashes").join(self.name)
    }

    /// What runs have found so far; the next one begins with it.
    fn found(&self) -> PathBuf {
        self.folder.join("corpus").join(self.name)
    }

    fn fuzz(&self, seconds: u32) -> Outcome {
        for folder in [self.crashes(), self.found()] {
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let mut args = vec![
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", self.crashes().display()),
            "-max_len=2048".to_owned(),
            "-timeout=10".to_owned(),
            "-verbosity=0".to_owned(),
            "-print_final_stats=1".to_owned(),
            self.found().display().to_string(),
            format!("fuzz/corpus/{}", self.name),
        ];
        let regressions = format!("fuzz/regressions/{}", self.name);
        args.extend(root().join(&regressions).is_dir().then_some(regressions));
        self.run(&args)
    }

    /// Adds the inputs that reach code which no committed one reaches, each as short as it was found.
    fn keep(&self) -> Outcome {
        let committed = format!("fuzz/corpus/{}", self.name);
        let before = files(&root().join(&committed)).len();
        self.run(&["-merge=1".to_owned(), committed.clone(), self.found().display().to_string()])?;
        println!("{} inputs added to {committed}", files(&root().join(&committed)).len() - before);
        Ok(())
    }

    /// Says what to do with a crash.
    fn explain(&self) -> Outcome {
        let crashes = files(&self.crashes());
        let newest =
            crashes.iter().max_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        let Some(path) = newest else { return Err(format!("{} ended without a crash", self.name)) };
        println!("\ntarget {} broke on {}", self.name, path.display());
        println!("  replay it:  {} {}", self.program.display(), path.display());
        println!(
            "  shorten it: {} -minimize_crash=1 -runs=100000 {}",
            self.program.display(),
            path.display()
        );
        println!("  copied to fuzz/regressions/{}/, `cargo xtask test` replays it from then on", self.name);
        Ok(())
    }

    fn run(&self, args: &[String]) -> Outcome {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        program(&self.program.to_string_lossy(), &args).run()
    }
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
