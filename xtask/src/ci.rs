//! `cargo xtask ci`: what a change must pass. Cheap steps first, so that a slip shows within seconds.

use crate::shell::{Outcome, cargo};
use crate::steps::{self, Step};
use crate::{check_history, coverage, features, fuzz, install, mutants, peers, rules, test};

pub(crate) fn run() -> Outcome {
    let mut steps = vec![
        Step::new("formatting", || cargo(&["fmt", "--all", "--check"]).run()),
        Step::new("the lock file is up to date", || cargo(&["fetch", "--locked"]).run()),
        Step::new("the fuzzers' lock file, too", fuzz::lock_step),
        Step::new("and that of the peers", peers::lock_step),
        Step::new("members inherit MSRV and lints", rules::members_inherit),
        Step::new("core's default features are light", rules::core_is_light),
        Step::new("lints, all features", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]).run()
        }),
        Step::new("lints, default features", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
        }),
        Step::new("each feature alone", features::each_alone),
        Step::new("docs", || {
            cargo(&["doc", "--workspace", "--no-deps", "--all-features"])
                .env("RUSTDOCFLAGS", "-D warnings")
                .run()
        }),
        Step::new("licences, bans and sources", || {
            install::ensure_subcommand(&install::DENY)?;
            cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]).run()
        }),
    ];
    steps.extend(test::steps());
    steps.push(Step::new("fuzzing", fuzz::step));
    steps.extend(check_history::steps(vec!["--seconds".to_owned(), "20".to_owned()]));
    steps.extend(coverage::steps());
    steps.extend(mutants::steps());
    steps::run(steps)
}
