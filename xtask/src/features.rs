//! Each feature of each published crate must compile by itself: users turn on one, tests turn on all.

use crate::metadata;
use crate::shell::{Outcome, cargo};

/// Checks every published crate without features, then with each of them alone.
pub(crate) fn each_alone() -> Outcome {
    for package in metadata::load()?.packages.iter().filter(|package| package.published) {
        let bare = ["check", "--package", &package.name, "--no-default-features"];
        cargo(&bare).run()?;
        for feature in &package.features {
            cargo(&[&bare[..], &["--features", feature]].concat()).run()?;
        }
    }
    Ok(())
}
