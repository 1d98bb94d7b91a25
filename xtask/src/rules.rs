//! Rules about the workspace that no compiler checks: what members inherit, what core may depend on.

use std::fs;

use crate::metadata;
use crate::shell::{Outcome, cargo};

/// Crates, each with its relatives (`hyper` stands for `hyper-util` too), that core's default features never pull.
const TOO_HEAVY: &[&str] = &[
    "redis",
    // HTTP clients.
    "reqwest",
    "hyper",
    "ureq",
    "isahc",
    "surf",
    "awc",
    "attohttpc",
    "curl",
    "fred",
    // TLS.
    "rustls",
    "native-tls",
    "openssl",
    "ring",
    "aws-lc",
    "boring",
    "mbedtls",
    "schannel",
    "security-framework",
];

/// Every member takes its minimal Rust version and its lints from the root manifest.
pub(crate) fn members_inherit() -> Outcome {
    let packages = metadata::load()?.packages;
    for package in &packages {
        let path = package.manifest.display();
        let manifest = fs::read_to_string(&package.manifest).map_err(|error| format!("{path}: {error}"))?;
        if let Some(missing) = not_inherited(&manifest) {
            return Err(format!("{path} lacks `{missing}`"));
        }
    }
    println!("{} members inherit both", packages.len());
    Ok(())
}

fn not_inherited(manifest: &str) -> Option<&'static str> {
    let mut table = String::new();
    let (mut version, mut lints) = (false, false);
    for line in manifest.lines() {
        let line: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match (table.as_str(), line.as_str()) {
            ("[package]", "rust-version.workspace=true") => version = true,
            ("[lints]", "workspace=true") => lints = true,
            _ if line.starts_with('[') => table = line,
            _ => {}
        }
    }
    if !version {
        return Some("rust-version.workspace = true");
    }
    (!lints).then_some("[lints] workspace = true")
}

/// Core's default features pull no Redis, no HTTP client and no TLS, on any platform.
pub(crate) fn core_is_light() -> Outcome {
    let flags = ["-e", "normal", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let tree = cargo(&[&["tree", "-p", "edge-isr-core"], &flags[..]].concat()).capture()?;
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    if !names.contains(&"edge-isr-core") {
        return Err("`cargo tree` did not list edge-isr-core itself".to_owned());
    }
    if let Some(heavy) = names.iter().find(|name| too_heavy(name)) {
        return Err(format!(
            "edge-isr-core's default features pull {heavy}; \
             `cargo tree -p edge-isr-core -e normal -i {heavy}` says through what"
        ));
    }
    println!("{} crates, none of them for Redis, HTTP clients or TLS", names.len());
    Ok(())
}

fn too_heavy(name: &str) -> bool {
    TOO_HEAVY
        .iter()
        .any(|heavy| name.strip_prefix(heavy).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relatives_are_heavy_and_namesakes_are_not() {
        for name in ["redis", "hyper", "hyper-util", "rustls-pki-types", "openssl-sys", "aws-lc-rs"] {
            assert!(too_heavy(name), "{name}");
        }
        for name in ["ringbuf", "redistribute", "http", "spring"] {
            assert!(!too_heavy(name), "{name}");
        }
    }

    #[test]
    fn a_manifest_must_inherit_both() {
        let version = "[package]\nname = \"a\"\nrust-version.workspace = true\n";
        let lints = "[lints] # as everywhere\nworkspace = true\n";
        assert_eq!(not_inherited(&format!("{version}{lints}")), None);
        assert_eq!(not_inherited(version), Some("[lints] workspace = true"));
        assert_eq!(not_inherited(lints), Some("rust-version.workspace = true"));
        let commented = format!("[package]\n# rust-version.workspace = true\n{lints}");
        assert_eq!(not_inherited(&commented), Some("rust-version.workspace = true"));
    }
}
