//! The workspace as cargo sees it: its members, their features, the target folder.

use std::path::PathBuf;

use crate::json::{self, Json};
use crate::shell::{Outcome, cargo};

/// The part of `cargo metadata` that the checks ask for.
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target: PathBuf,
}

/// A member of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// Whether it goes to users: its manifest doesn't say `publish = false`.
    pub(crate) published: bool,
    /// Also the implicit ones of optional dependencies.
    pub(crate) features: Vec<String>,
}

/// Asks cargo; touches neither the network nor the lock file.
pub(crate) fn load() -> Outcome<Metadata> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]).capture()?;
    read(&text).ok_or_else(|| "`cargo metadata` has an unknown form".to_owned())
}

fn read(text: &str) -> Option<Metadata> {
    let root = json::parse(text)?;
    let packages = root.get("packages")?.items()?.iter().map(package).collect::<Option<_>>()?;
    Some(Metadata { packages, target: root.get("target_directory")?.text()?.into() })
}

fn package(json: &Json) -> Option<Package> {
    Some(Package {
        name: json.get("name")?.text()?.to_owned(),
        manifest: json.get("manifest_path")?.text()?.into(),
        // `publish = false` is an empty list of registries, no word about it is null.
        published: json.get("publish")?.items() != Some(&[]),
        features: json.get("features")?.keys()?.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_and_a_private_member() {
        let text = r#"{"target_directory": "/t", "packages": [
            {"name": "a", "manifest_path": "/a/Cargo.toml", "publish": null, "features": {"default": ["x"], "x": []}},
            {"name": "b", "manifest_path": "/b/Cargo.toml", "publish": [], "features": {}}
        ]}"#;
        let metadata = read(text).expect("the form of cargo metadata");
        let [a, b] = &metadata.packages[..] else { panic!("two members") };
        assert_eq!((a.name.as_str(), a.published), ("a", true));
        assert_eq!(a.features, ["default", "x"]);
        assert_eq!((b.published, b.features.len()), (false, 0));
        assert_eq!(metadata.target, PathBuf::from("/t"));
    }
}
