//! `cargo xtask coverage`: which lines of core its unit tests and the stories run, file by file, with a bar.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::install::{self, LlvmTools};
use crate::shell::{Outcome, cargo, root};
use crate::steps::{self, Step};
use crate::{lcov, metadata};

/// More than this percentage of core's lines must be run, all files together.
const BAR: f64 = 90.0;

/// The sources that count.
const COUNTED: &str = "edge-isr-core/src";

/// What is run: core's own tests, the adapters' and the stories, which drive core through a whole application.
const PACKAGES: &[&str] = &["edge-isr-core", "edge-isr-tower", "edge-isr-axum", "edge-isr-stories"];

pub(crate) fn run() -> Outcome {
    steps::run(steps())
}

/// The steps, for `ci`.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("cargo-llvm-cov", || install::ensure_subcommand(&install::LLVM_COV)),
        Step::new("coverage of core", measure),
    ]
}

fn measure() -> Outcome {
    let tools = LlvmTools::ensure()?;
    let target = metadata::load()?.target.join("coverage");
    fs::create_dir_all(&target).map_err(|error| format!("{} can't be made: {error}", target.display()))?;
    let report = target.join("core.lcov").to_string_lossy().into_owned();
    // Whether a test passes is what `cargo xtask test` says; here it is what the tests run.
    let mut args = vec!["llvm-cov", "--locked", "--all-features", "--lib", "--tests", "--ignore-run-fail"];
    args.extend(["--lcov", "--output-path", &report]);
    args.extend(PACKAGES.iter().flat_map(|package| ["--package", package]));
    let run = cargo(&args).env("CARGO_TARGET_DIR", &target.to_string_lossy());
    tools.tell(run).run()?;
    let text = fs::read_to_string(&report).map_err(|error| format!("{report} can't be read: {error}"))?;
    let files = counted(&lcov::parse(&text));
    println!("\n{}", table(&files));
    judge(&files)
}

/// A file of core and those of its lines that count.
struct File {
    name: String,
    lines: usize,
    /// The numbers of those that no test runs.
    missed: Vec<usize>,
}

impl File {
    fn percent(&self) -> f64 {
        percent(self.lines, self.missed.len())
    }
}

/// Keeps core's files and, in each, what comes before its tests.
fn counted(all: &[lcov::File]) -> Vec<File> {
    let folder = root().join(COUNTED);
    let mut files: Vec<File> = all
        .iter()
        .filter_map(|file| {
            let name = Path::new(&file.path).strip_prefix(&folder).ok()?.to_string_lossy().into_owned();
            let end = first_test_line(&fs::read_to_string(&file.path).ok()?);
            let lines = file.lines.iter().filter(|(number, _)| *number < end);
            let missed = lines.clone().filter(|(_, runs)| *runs == 0).map(|(number, _)| *number).collect();
            let counted = File { name, lines: lines.count(), missed };
            (!is_for_tests(&counted.name) && counted.lines > 0).then_some(counted)
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// Whether a whole file is tests, or a double for them: some folder or file of its path begins with `test`.
fn is_for_tests(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with("test"))
}

/// The number of the line where the tests inside a file begin; past the end if it has none. A module of tests in
/// a file of its own may be named anywhere.
fn first_test_line(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |pair: &[&str]| {
        pair[0].starts_with("#[cfg(")
            && pair[0].contains("test")
            && pair[1].starts_with("mod ")
            && pair[1].ends_with('{')
    };
    lines.windows(2).position(begins).map_or(usize::MAX, |at| at + 1)
}

fn table(files: &[File]) -> String {
    let mut text = format!(
        "Lines of {COUNTED} that the tests of {} run. Tests inside the files, test doubles and the commands of \
         xtask do not count. Which tests fail, `cargo xtask test` says.\n\n{:<34} {:>6} {:>6} {:>7}  not run\n",
        PACKAGES.join(", "),
        "file",
        "lines",
        "missed",
        "%"
    );
    for file in files {
        let _ = writeln!(
            text,
            "{:<34} {:>6} {:>6} {:>7.2}  {}",
            file.name,
            file.lines,
            file.missed.len(),
            file.percent(),
            ranges(&file.missed)
        );
    }
    let (lines, missed) = sums(files);
    let _ = write!(text, "{:<34} {lines:>6} {missed:>6} {:>7.2}", "together", percent(lines, missed));
    text
}

fn judge(files: &[File]) -> Outcome {
    let (lines, missed) = sums(files);
    let percent = percent(lines, missed);
    if lines == 0 {
        return Err("the report names no line of core".to_owned());
    }
    if percent <= BAR {
        return Err(format!("the tests run {percent:.2} % of core's lines, not more than {BAR} %"));
    }
    Ok(())
}

fn sums(files: &[File]) -> (usize, usize) {
    (files.iter().map(|file| file.lines).sum(), files.iter().map(|file| file.missed.len()).sum())
}

#[expect(clippy::cast_precision_loss, reason = "no file has 2^52 lines")]
fn percent(lines: usize, missed: usize) -> f64 {
    100.0 * (lines - missed) as f64 / lines.max(1) as f64
}

/// `3-5 9`: the numbers, those in a row as one.
fn ranges(numbers: &[usize]) -> String {
    let rows = numbers.chunk_by(|one, next| one + 1 == *next);
    let text = |row: &[usize]| match row {
        [first, .., last] => format!("{first}-{last}"),
        _ => row.iter().map(ToString::to_string).collect(),
    };
    rows.map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: usize, missed: usize) -> File {
        File { name: "model/a.rs".to_owned(), lines, missed: (1..=missed).collect() }
    }

    #[test]
    fn the_bar_is_for_all_files_together() {
        assert!(judge(&[file(1_000, 99)]).is_ok());
        assert!(judge(&[file(1_000, 100)]).is_err(), "the bar itself is not above it");
        assert!(judge(&[file(10, 9), file(90, 0)]).is_ok());
        assert!(judge(&[file(10, 10), file(90, 0)]).is_err());
        assert!(judge(&[]).is_err());
    }

    #[test]
    fn what_comes_after_the_tests_begin_does_not_count() {
        assert_eq!(first_test_line("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 3);
        assert_eq!(first_test_line("#[cfg(all(test, not(loom)))]\nmod tests {\n"), 1);
        assert_eq!(first_test_line("#[cfg(test)]\nmod tests;\n\nfn a() {}\n"), usize::MAX);
        // An item for tests within the code does not end it.
        assert_eq!(first_test_line("    #[cfg(test)]\n    fn only() {}\nfn a() {}\n"), usize::MAX);
        for (name, is) in [
            ("testing/clock.rs", true),
            ("isr/fill/tests.rs", true),
            ("isr/test_engine.rs", true),
            ("isr/fill.rs", false),
        ] {
            assert_eq!(is_for_tests(name), is, "{name}");
        }
    }

    #[test]
    fn numbers_in_a_row_are_one() {
        assert_eq!(ranges(&[3, 4, 5, 9, 11, 12]), "3-5 9 11-12");
        assert_eq!(ranges(&[]), "");
    }
}
