//! What the documentation says about the sources.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::sources::{self, Source};
use crate::tokens::find;

const PROMISES: &str = "docs/promises.md";

/// Promises that no test proves, and tests that the page names but nobody finds.
pub(crate) fn promises(sources: &[Source]) -> Vec<Finding> {
    let page = sources::of(sources, PROMISES);
    let tests = tests(sources);
    let mut found = Vec::new();
    for (n, line) in page.text.lines().enumerate() {
        let at = |what: String| Finding::new(PROMISES, n + 1, what);
        let promise = line.strip_prefix("| P").and_then(|rest| rest.split(' ').next()?.parse::<u8>().ok());
        if let Some(number) = promise
            && !tests.iter().any(|test| test.starts_with(&format!("p{number:02}_")))
        {
            found.push(at(format!("no test's name begins with `p{number:02}_`")));
        }
        for named in words(line).filter(|word| is_test_name(word)) {
            let is_there =
                tests.iter().any(|test| *test == named || named.ends_with('_') && test.starts_with(named));
            if !is_there {
                found.push(at(format!("names the test `{named}`, which is not there")));
            }
        }
    }
    found
}

/// Tests that prove a promise by number, of which the page says nothing.
pub(crate) fn numbers(sources: &[Source]) -> Vec<Finding> {
    let page = sources::of(sources, PROMISES);
    let kept = page.text.split(|c: char| !c.is_alphanumeric());
    let is_kept = |number: u8| kept.clone().any(|word| word == format!("P{number}"));
    let mut found = Vec::new();
    for test in tests(sources) {
        let number = test.strip_prefix('p').and_then(|rest| rest.get(..2)?.parse::<u8>().ok());
        if let Some(number) = number.filter(|_| is_test_name(&test)).filter(|number| !is_kept(*number)) {
            found.push(Finding::new(
                PROMISES,
                0,
                format!("`{test}` proves P{number}, of which the page says nothing"),
            ));
        }
    }
    found
}

/// `p01_…`, `r06_…`: a letter, two digits, an underscore.
fn is_test_name(word: &str) -> bool {
    matches!(word.as_bytes(), [letter, tens, ones, b'_', ..]
        if letter.is_ascii_lowercase() && tens.is_ascii_digit() && ones.is_ascii_digit())
}

/// The names of all functions that only tests run.
fn tests(sources: &[Source]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources {
        let tests = source.tests();
        names.extend(find(&tests, &["fn"]).filter_map(|at| tests.get(at + 1)).map(|name| name.text.clone()));
    }
    names
}

/// What stands between backticks, word by word.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', '(', ')', ',', '…']))
}

/// Files that a page names but that are not there.
pub(crate) fn paths(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in sources.iter().filter(|source| source.path.ends_with(".md") && source.path != "CHANGELOG.md")
    {
        for (n, line) in page.text.lines().enumerate() {
            for word in words(line).filter(|word| word.ends_with(".rs")) {
                let ends = format!("/{word}");
                if !sources.iter().any(|source| source.path == word || source.path.ends_with(&ends)) {
                    found.push(Finding::new(
                        &page.path,
                        n + 1,
                        format!("names `{word}`, which is not there"),
                    ));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests_of_rules {
    use super::*;

    fn sources(page: &str) -> [Source; 2] {
        let test = "#[test] fn p01_a_thing() {} proptest! { #[test] fn p02_r03_more(a in 0..1) {} }";
        [Source::new(PROMISES, page), Source::new("tests/tests/a.rs", test)]
    }

    #[test]
    fn a_promise_without_a_test_is_refused() {
        let kept = "| P1 | A. |\n| P2 | B. |\n";
        assert_eq!(promises(&sources(kept)), []);
        assert_eq!(promises(&sources(&format!("{kept}| P3 | C. |\n"))).len(), 1);
        assert_eq!(promises(&sources(&format!("{kept}| P30 | C. |\n"))).len(), 1);
    }

    #[test]
    fn a_test_that_is_not_there_is_refused() {
        assert_eq!(promises(&sources("Run `cargo test p01_`: `p02_r03_more`, `src/p.rs`.")), []);
        assert_eq!(promises(&sources("Run `cargo test p03_`.")).len(), 1);
        assert_eq!(promises(&sources("See `p01_a_thin`.")).len(), 1);
    }

    #[test]
    fn a_number_that_is_no_promise_is_refused() {
        assert_eq!(numbers(&sources("\n| P1 | A. |\n| P2 | B. |\n")), []);
        assert_eq!(numbers(&sources("\n| P1 | A. |\n")).len(), 1);
    }

    #[test]
    fn a_path_that_is_not_there_is_refused() {
        assert_eq!(paths(&sources("See `tests/tests/a.rs` and `a.rs`.")), []);
        assert_eq!(paths(&sources("See `tests/b.rs`.")).len(), 1);
    }
}
