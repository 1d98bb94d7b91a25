//! Every fuzz target over every committed input and over mutations of them: what a fuzzer once found, found again
//! by a plain test, on machines that have no fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use edge_isr_core::testing::targets::{ALL, Target};

/// For each target, however many its inputs: as many as fit into a second or two without optimization.
const MUTATIONS: usize = 500;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The inputs of a folder in the order of their names; none where there is no folder.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a readable file"))).collect()
}

fn committed(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = inputs(&fuzz().join("corpus").join(name));
    assert!(!all.is_empty(), "no input in fuzz/corpus/{name}");
    all.extend(inputs(&fuzz().join("regressions").join(name)));
    all
}

/// Runs the target; where it panics, that is said with the input in the form in which a program is given it.
fn failure((name, target): Target, input: &[u8], from: &Path) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| target(input))).err()?;
    Some(format!("{name}, from {}: b\"{}\"", from.display(), input.escape_ascii()))
}

/// SplitMix64: the same numbers at every run and on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((word ^ (word >> 31)) % end.max(1) as u64).expect("below an usize")
    }

    /// One to four changes: a byte changed, put in, taken out or doubled, or the end of another input put on.
    fn mutate(&mut self, input: &[u8], others: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        const TELLING: &[u8] = b"\n,;:=\"\\%/.~-|*? \tWab019\0\x7f\xff";
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let byte = TELLING[self.below(TELLING.len())];
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 if at < bytes.len() => bytes.insert(at, bytes[at]),
                3 => {
                    let other = &others[self.below(others.len())].1;
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
                }
                _ => bytes.insert(at, byte),
            }
        }
        bytes.truncate(4096);
        bytes
    }
}

#[test]
fn every_target_holds_on_the_committed_inputs() {
    let mut failures = Vec::new();
    for target in ALL {
        let all = committed(target.0);
        failures.extend(all.iter().filter_map(|(path, input)| failure(target, input, path)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_target_holds_on_mutations_of_the_committed_inputs() {
    let mut failures = Vec::new();
    for target in ALL {
        let all = committed(target.0);
        let mut numbers = Numbers(1);
        for (path, input) in all.iter().cycle().take(MUTATIONS) {
            failures.extend(failure(target, &numbers.mutate(input, &all), path));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// A target without a program is never fuzzed, a folder without a target never read.
#[test]
fn targets_programs_and_folders_are_the_same() {
    let names: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |kind: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(kind)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    assert!(stems("regressions").is_subset(&names), "a regression in no target's folder is never played");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no program in fuzz/Cargo.toml");
    }
}
