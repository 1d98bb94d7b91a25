//! What the documentation says about the sources.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::sources::{self, Source};
use crate::tokens::find;

const PROMISES: &str = "docs/promises.md";
const PROOFS: &str = "docs/testing.md";

/// Promises that no test proves.
pub(crate) fn promises(sources: &[Source]) -> Vec<Finding> {
    let tests = tests(sources);
    let is_proved = |number: u8| tests.iter().any(|test| numbers_of(test).contains(&number));
    let rows = rows(sources, PROMISES).into_iter().filter(|(number, _)| !is_proved(*number));
    rows.map(|(number, row)| Finding::new(PROMISES, row.line, format!("no test's name has `p{number:02}_`")))
        .collect()
}

/// Where the table of proofs names other stories than those whose tests bear a promise's number.
pub(crate) fn proofs(sources: &[Source]) -> Vec<Finding> {
    let mut stories: BTreeMap<u8, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let Some(story) = source.path.strip_prefix("tests/tests/").and_then(|path| path.strip_suffix(".rs"))
        else {
            continue;
        };
        for number in tests_of(source).iter().flat_map(|test| numbers_of(test)) {
            stories.entry(number).or_default().insert(story);
        }
    }
    let (promised, proved) = (rows(sources, PROMISES), rows(sources, PROOFS));
    let mut found = Vec::new();
    for number in promised.keys().filter(|number| !proved.contains_key(number)) {
        found.push(Finding::new(PROOFS, 0, format!("says nothing of what proves P{number}")));
    }
    for (number, row) in &proved {
        let at = |what: String| Finding::new(PROOFS, row.line, what);
        if !promised.contains_key(number) {
            found.push(at(format!("P{number} is not promised")));
        }
        let named: BTreeSet<&str> = row.second.split(", ").filter(|story| !story.is_empty()).collect();
        let proving = stories.remove(number).unwrap_or_default();
        found.extend(proving.difference(&named).map(|story| at(format!("`{story}` proves P{number}, too"))));
        found.extend(
            named.difference(&proving).map(|story| at(format!("no test in `{story}` proves P{number}"))),
        );
    }
    found
}

/// A line of a table that begins with a promise's number.
struct Row<'a> {
    line: usize,
    /// What stands in its second column.
    second: &'a str,
}

fn rows<'a>(sources: &'a [Source], page: &str) -> BTreeMap<u8, Row<'a>> {
    let row = |(n, line): (usize, &'a str)| {
        let mut columns = line.strip_prefix("| P")?.split('|').map(str::trim);
        let number = columns.next()?.split(' ').next()?.parse().ok()?;
        Some((number, Row { line: n + 1, second: columns.next()? }))
    };
    sources::of(sources, page).text.lines().enumerate().filter_map(row).collect()
}

/// Tests that prove a promise by number, of which the page says nothing.
pub(crate) fn numbers(sources: &[Source]) -> Vec<Finding> {
    let page = sources::of(sources, PROMISES);
    let kept = page.text.split(|c: char| !c.is_alphanumeric());
    let is_kept = |number: u8| kept.clone().any(|word| word == format!("P{number}"));
    let mut found = Vec::new();
    for test in tests(sources) {
        for number in numbers_of(&test).into_iter().filter(|number| !is_kept(*number)) {
            let what = format!("`{test}` proves P{number}, of which the page says nothing");
            found.push(Finding::new(PROMISES, 0, what));
        }
    }
    found
}

/// The promises that a test's name begins with: those of `x04_p15_p06_…` are 15 and 6.
fn numbers_of(test: &str) -> Vec<u8> {
    let parts = test.split_inclusive('_').take_while(|part| part.len() == 4 && is_test_name(part));
    parts.filter_map(|part| part.strip_prefix('p')?.get(..2)?.parse().ok()).collect()
}

/// `p01_…`, `r06_…`: a letter, two digits, an underscore.
fn is_test_name(word: &str) -> bool {
    matches!(word.as_bytes(), [letter, tens, ones, b'_', ..]
        if letter.is_ascii_lowercase() && tens.is_ascii_digit() && ones.is_ascii_digit())
}

/// The names of all functions that only tests run.
fn tests(sources: &[Source]) -> BTreeSet<String> {
    sources.iter().flat_map(tests_of).collect()
}

fn tests_of(source: &Source) -> Vec<String> {
    let tests = source.tests();
    find(&tests, &["fn"]).filter_map(|at| tests.get(at + 1)).map(|name| name.text.clone()).collect()
}

/// What stands between backticks, word by word.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', '(', ')', ',', '…']))
}

/// Files and tests that a page names, or links to, but that are not there.
pub(crate) fn names(sources: &[Source]) -> Vec<Finding> {
    let tests = tests(sources);
    let is_test = |named: &str| {
        tests.iter().any(|test| test == named || named.ends_with('_') && test.starts_with(named))
    };
    let is_file = |named: &str| {
        let ends = format!("/{named}");
        sources.iter().any(|source| source.path == named || source.path.ends_with(&ends))
    };
    let is_at = |path: &str| {
        let folder = format!("{path}/");
        sources.iter().any(|source| source.path == path || source.path.starts_with(&folder))
    };
    let mut found = Vec::new();
    for page in sources.iter().filter(|source| source.path.ends_with(".md") && source.path != "CHANGELOG.md")
    {
        for (n, line) in page.text.lines().enumerate() {
            let files = words(line)
                .filter(|word| [".rs", ".toml", ".md"].iter().any(|kind| word.ends_with(kind)))
                .filter(|word| !is_file(word));
            let tests = words(line).filter(|word| is_test_name(word) && !is_test(word));
            let links = links(line).filter(|link| !is_at(&target(&page.path, link)));
            for word in files.chain(tests).chain(links) {
                found.push(Finding::new(&page.path, n + 1, format!("names `{word}`, which is not there")));
            }
        }
    }
    found
}

/// Where a line's links lead, those out of the tree and those within the page apart.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    links.filter(|link| !link.is_empty() && !link.contains("://"))
}

/// The path of what a page links to.
fn target(page: &str, link: &str) -> String {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for step in link.split('/') {
        match step {
            "." => {}
            ".." => _ = path.pop(),
            _ => path.push(step),
        }
    }
    path.join("/")
}

#[cfg(test)]
mod tests_of_rules {
    use super::*;

    fn sources(page: &str) -> [Source; 2] {
        let test = "#[test] fn p01_a_thing() {} proptest! { #[test] fn r03_p02_more(a in 0..1) {} }";
        [Source::new(PROMISES, page), Source::new("tests/tests/a.rs", test)]
    }

    #[test]
    fn a_name_begins_with_the_promises_it_proves() {
        assert_eq!(numbers_of("x04_p15_p06_of_p07_and_more"), [15, 6]);
        assert!(numbers_of("of_p07_").is_empty());
    }

    #[test]
    fn a_table_of_proofs_that_is_not_that_of_the_names_is_refused() {
        let found = |table: &str| {
            let [promises, story] = sources("| P1 | A. |\n| P2 | B. |\n");
            let unit = Source::new("edge-isr-core/tests/b.rs", "#[test] fn p01_beyond_stories() {}");
            proofs(&[promises, story, unit, Source::new(PROOFS, table)]).len()
        };
        assert_eq!(found("| P1 one | a | loom |\n| P2 two | a | |\n"), 0);
        for stale in [
            "| P1 one | a | |\n",
            "| P1 one | a | |\n| P2 two | | |\n",
            "| P1 one | a, b | |\n| P2 two | a | |\n",
            "| P1 one | a | |\n| P2 two | a | |\n| P3 three | | |\n",
        ] {
            assert_eq!(found(stale), 1, "{stale}");
        }
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
        assert_eq!(names(&sources("Run `cargo test p01_`: `r03_p02_more`, `tests/a.rs`.")), []);
        assert_eq!(names(&sources("Run `cargo test p03_`.")).len(), 1);
        assert_eq!(names(&sources("See `p01_a_thin`.")).len(), 1);
    }

    #[test]
    fn a_number_that_is_no_promise_is_refused() {
        assert_eq!(numbers(&sources("\n| P1 | A. |\n| P2 | B. |\n")), []);
        assert_eq!(numbers(&sources("\n| P1 | A. |\n")).len(), 1);
    }

    #[test]
    fn a_path_that_is_not_there_is_refused() {
        for kept in
            ["`tests/tests/a.rs` and `a.rs`", "[a](../tests/tests) [b](promises.md#c) [d](https://e.f/g)"]
        {
            assert_eq!(names(&sources(kept)), []);
        }
        for broken in ["`tests/b.rs`", "`b.toml`", "[b](b.md)", "[a](tests/tests/a.rs)", "[a](../tests/b)"] {
            assert_eq!(names(&sources(broken)).len(), 1, "{broken}");
        }
    }
}
