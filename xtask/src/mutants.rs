//! `cargo xtask mutants`: changes the code that decides, one place at a time, and expects a test to turn red.

use std::fs;

use crate::shell::{Outcome, cargo};
use crate::steps::{self, Step};
use crate::{install, metadata};

const PACKAGE: &str = "edge-isr-core";

/// The modules whose mutants must all be caught, each by its own tests: what a page may be used for, what may be
/// stored, and who renders. A mutant without a test that could catch it stands in `.cargo/mutants.toml`, with the
/// reason.
const MODULES: &[&str] = &["model/verdict", "model/decide", "model/storable", "isr/flight", "isr/fill"];

/// A hanging test is a caught mutant; this long, since a baseline of milliseconds says little about a busy machine.
const LEAST_TIMEOUT_SECONDS: &str = "10";

pub(crate) fn run() -> Outcome {
    steps::run(steps())
}

/// The steps, for `ci`.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("cargo-mutants", || install::ensure_subcommand(&install::MUTANTS)),
        Step::new("mutants", mutate),
    ]
}

fn mutate() -> Outcome {
    let target = metadata::load()?.target.join("mutants");
    fs::create_dir_all(&target).map_err(|error| format!("{} can't be made: {error}", target.display()))?;
    let (target, files, tests) = (target.to_string_lossy(), files(), tests());
    let mut args =
        vec!["mutants", "--package", PACKAGE, "--all-features", "--no-shuffle", "--colors", "never"];
    args.extend(["--minimum-test-timeout", LEAST_TIMEOUT_SECONDS, "--output", &target]);
    args.extend(files.iter().flat_map(|file| ["--file", file]));
    args.extend(["--", "--lib", "--"]);
    args.extend(tests.iter().map(String::as_str));
    let exit = cargo(&args)
        // A folder of its own, kept from run to run: only core is built again, and nothing of the usual builds.
        .env("CARGO_TARGET_DIR", &format!("{target}/build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Core is built once for each mutant, each time with one function changed: the gate's own builds need no
        // incremental data and turn it off, these are what it is for.
        .env("CARGO_INCREMENTAL", "1")
        .exit_code()?;
    judge(exit, |list| fs::read_to_string(format!("{target}/mutants.out/{list}.txt")))
}

/// Each module's file, and its folder if it has one.
fn files() -> Vec<String> {
    let both = |module: &&str| ["", "/**/*"].map(|rest| format!("{PACKAGE}/src/{module}{rest}.rs"));
    MODULES.iter().flat_map(both).collect()
}

/// The paths that the modules' tests begin with.
fn tests() -> Vec<String> {
    MODULES.iter().map(|module| format!("{}::", module.replace('/', "::"))).collect()
}

/// Exit codes of cargo-mutants: 2 for missed mutants, 3 for hanging ones, whether or not some were missed.
fn judge(exit: i32, list: impl Fn(&str) -> std::io::Result<String>) -> Outcome {
    let count = |name| list(name).map(|text| text.lines().count());
    let counts = || Ok([count("caught")?, count("timeout")?, count("unviable")?, count("missed")?]);
    if !matches!(exit, 0 | 2 | 3) {
        return Err(format!("cargo-mutants ended with exit code {exit}"));
    }
    let [caught, hanging, unviable, missed] = counts()
        .map_err(|error: std::io::Error| format!("the lists of cargo-mutants can't be read: {error}"))?;
    println!("{caught} caught, {hanging} caught by a time-out, {unviable} did not compile, {missed} missed");
    match (missed, caught) {
        (0, 0) => Err("no mutant was caught: the tests or the files were not found".to_owned()),
        (0, _) => Ok(()),
        _ => Err(format!("{missed} mutants were missed: write the tests that tell them from the code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(exit: i32, caught: &str, missed: &str) -> Outcome {
        judge(exit, |name| {
            let text = match name {
                "caught" => caught,
                "missed" => missed,
                _ => "",
            };
            Ok(text.to_owned())
        })
    }

    #[test]
    fn a_missed_mutant_fails_and_a_hanging_one_hides_none() {
        assert!(judged(0, "a\nb\n", "").is_ok());
        assert!(judged(3, "a\n", "").is_ok(), "a time-out is a catch");
        assert!(judged(2, "a\n", "b\n").is_err());
        assert!(judged(3, "a\n", "b\n").is_err());
    }

    #[test]
    fn a_run_that_proves_nothing_fails() {
        assert!(judged(0, "", "").is_err());
        assert!(judged(4, "a\n", "").is_err(), "the tests failed before anything was changed");
        assert!(judge(0, |_| Err(std::io::ErrorKind::NotFound.into())).is_err());
    }

    #[test]
    fn every_module_is_there() {
        for module in MODULES {
            let path = crate::shell::root().join(PACKAGE).join("src").join(module);
            assert!(path.with_extension("rs").is_file() || path.join("mod.rs").is_file(), "{module}");
        }
    }
}
