//! `cargo xtask bench`: the benchmark's own program, built for release, with valgrind at hand.

use crate::install;
use crate::shell::{Outcome, cargo};
use crate::steps::{self, Step};

const BUILD: [&str; 4] = ["build", "--release", "--package", "edge-isr-bench"];
const RUN: [&str; 8] =
    ["run", "--quiet", "--release", "--package", "edge-isr-bench", "--bin", "edge-isr-bench", "--"];

/// `args` go to the benchmark as they are.
pub(crate) fn run(args: Vec<String>) -> Outcome {
    steps::run(vec![
        Step::new("valgrind", || install::ensure(&[install::VALGRIND])),
        Step::new("build", || cargo(&BUILD).run()),
        Step::new("benchmark", move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            cargo(&[&RUN[..], &args].concat()).run()
        }),
    ])
}
