//! `cargo xtask check-history`: random histories against the real engine, and twins that show the checker can tell.

use std::env;

use crate::metadata;
use crate::shell::{Outcome, Program, cargo};
use crate::steps::{self, Step};

const BUILD: [&str; 5] = ["build", "--profile", "history", "--package", "edge-isr-history"];
const RUN: [&str; 7] = ["run", "--quiet", "--profile", "history", "--package", "edge-isr-history", "--"];

/// `args` go to the checker as they are.
pub(crate) fn run(args: Vec<String>) -> Outcome {
    steps::run(steps(args))
}

/// The steps, for `ci`.
pub(crate) fn steps(args: Vec<String>) -> Vec<Step> {
    vec![
        Step::new("build the history checker", || checker(&BUILD)?.run()),
        Step::new("histories", move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            checker(&[&RUN[..], &args].concat())?.run()
        }),
    ]
}

/// A seed replays an episode only where tokio throws its own dice by the seed too, which takes this flag; under
/// another flag everything is compiled anew, so it keeps its own target folder.
fn checker(args: &[&str]) -> Outcome<Program> {
    let target = metadata::load()?.target.join("history");
    let flags = env::var("RUSTFLAGS").unwrap_or_default() + " --cfg tokio_unstable";
    Ok(cargo(args).env("CARGO_TARGET_DIR", &target.to_string_lossy()).env("RUSTFLAGS", flags.trim_start()))
}
