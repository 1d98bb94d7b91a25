//! `cargo xtask bench`: the benchmark's own program, built for release, with valgrind at hand.

use crate::install;
use crate::peers;
use crate::shell::{Outcome, cargo};
use crate::steps::{self, Step};

const BUILD: [&str; 4] = ["build", "--release", "--package", "edge-isr-bench"];
const RUN: [&str; 8] =
    ["run", "--quiet", "--release", "--package", "edge-isr-bench", "--bin", "edge-isr-bench", "--"];

/// `args` go to the benchmark as they are; `--peers` before them names another benchmark.
pub(crate) fn run(mut args: Vec<String>) -> Outcome {
    if args.first().is_some_and(|arg| arg == "--peers") {
        args.remove(0);
        return peers::run(args);
    }
    steps::run(vec![
        Step::new("valgrind", || install::ensure(&[install::VALGRIND])),
        Step::new("build", || cargo(&BUILD).run()),
        Step::new("benchmark", move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            cargo(&[&RUN[..], &args].concat()).run()
        }),
    ])
}
