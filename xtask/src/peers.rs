//! `cargo xtask bench --peers`: edge-isr beside other caches, written down in `docs/benchmarks.md`.

use crate::install::{self, NGINX, VALGRIND, VARNISH, WRK};
use crate::metadata;
use crate::shell::{Outcome, cargo, program};
use crate::steps::{self, Step};

const MANIFEST: &str = "benches/peers/Cargo.toml";
const DOCUMENT: &str = "docs/benchmarks.md";

/// `args` go to the benchmark as they are; without any it measures everything, and only then it writes.
pub(crate) fn run(args: Vec<String>) -> Outcome {
    let target = metadata::load()?.target;
    // Its dependencies are others than everything else's, so it keeps its own target folder.
    let folder = target.join("peers");
    let folder_name = folder.to_string_lossy().into_owned();
    steps::run(vec![
        Step::new("tools", || install::ensure(&[VALGRIND, WRK, NGINX, VARNISH])),
        Step::new("build the gateway", || cargo(&["build", "--release", "--package", "gateway"]).run()),
        Step::new("build the benchmark", move || {
            let build = ["build", "--release", "--manifest-path", MANIFEST];
            cargo(&build).env("CARGO_TARGET_DIR", &folder_name).run()
        }),
        Step::new("benchmark", move || {
            let gateway = target.join("release/gateway").to_string_lossy().into_owned();
            let mut words = vec!["--gateway", &gateway];
            if args.is_empty() {
                words.extend(["--write", DOCUMENT]);
            }
            words.extend(args.iter().map(String::as_str));
            program(&folder.join("release/edge-isr-peers").to_string_lossy(), &words).run()
        }),
    ])
}

/// For `ci`: whether `benches/peers/Cargo.lock` is what the manifests ask for, as far as that can be known here.
pub(crate) fn lock_step() -> Outcome {
    let update = ["update", "--workspace", "--manifest-path", MANIFEST];
    if cargo(&[&update[..], &["--locked"]].concat()).run().is_ok() {
        return Ok(());
    }
    match cargo(&update).run() {
        Ok(()) => Err("benches/peers/Cargo.lock was out of date and is now renewed: commit it".to_owned()),
        Err(reason) => {
            println!("not known here: {reason}");
            Ok(())
        }
    }
}
