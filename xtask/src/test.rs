//! `cargo xtask test`: everything that can fail a test, on a machine that may have only Rust.

use std::env;

use crate::shell::{Outcome, cargo};
use crate::steps::{self, Step};
use crate::{install, metadata};

pub(crate) fn run() -> Outcome {
    steps::run(steps())
}

/// The steps, for `ci`.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("what the tests need", || {
            install::ensure(&[install::CC, install::NGINX, install::PYTHON, install::REDIS])
        }),
        Step::new("unit, integration and doc tests", || {
            cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]).run()
        }),
        Step::new("loom models", || models("loom", "default")),
        Step::new("shuttle models", || models("shuttle", "twins")),
    ]
}

/// The models compile everything under another flag, so they keep their own target folder: in the common one
/// they would make the next build start from nothing.
fn models(tool: &str, features: &str) -> Outcome {
    let target = metadata::load()?.target.join(tool);
    let flags = format!("{} --cfg {tool}", env::var("RUSTFLAGS").unwrap_or_default());
    cargo(&["test", "-p", "edge-isr-core", "--release", "--features", features, "--test", tool])
        .env("CARGO_TARGET_DIR", &target.to_string_lossy())
        // The models take their time in themselves; optimising across crates costs more than it saves.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("RUSTFLAGS", flags.trim_start())
        .run()
}
