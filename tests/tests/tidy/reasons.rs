//! Each reason has a test that names it, and a line in the documentation.

use crate::finding::Finding;
use crate::sources::{self, Source};
use crate::tokens::{find, string};

const REASONS: &str = "edge-isr-core/src/model/reason.rs";
const DOCS: &str = "docs/reasons.md";

/// A variant of `Reason`, and its word.
type Named<'a> = (&'a str, &'a str);

/// Reasons that no test names.
pub(crate) fn untested(sources: &[Source]) -> Vec<Finding> {
    let named = |(name, word): &Named<'_>| {
        let sources = sources.iter().filter(|source| source.is_rust() && source.path != REASONS);
        sources.into_iter().any(|source| names(source, name, word))
    };
    let all = reasons(sources::of(sources, REASONS));
    assert!(!all.is_empty(), "the reasons are declared in another way: teach tidy/reasons.rs");
    let missing = all.iter().filter(|reason| !named(reason));
    let what = |word| format!("no test names it: assert `{word}` where it is the outcome");
    missing.map(|(name, word)| Finding::new(&format!("Reason::{name}"), 0, what(word))).collect()
}

/// Whether the tests of a file name a reason: by its variant, as `detail=…`, in an assertion, or, where the word
/// can't be anything else, in a table.
fn names(source: &Source, name: &str, word: &str) -> bool {
    let tests = source.tests();
    let is_named = find(&tests, &["Reason", "::", name]).next().is_some();
    let detail = format!("detail={word}");
    let is_said = |text: &str, is_asserted: bool| {
        let rest = text.split_once(&detail).map(|(_, rest)| rest);
        let is_detail = rest.is_some_and(|rest| !rest.starts_with(|c: char| c == '-' || c.is_alphanumeric()));
        is_detail || text == word && (is_asserted || word.contains('-'))
    };
    is_named || tests.iter().any(|token| string(token).is_some_and(|text| is_said(text, token.is_asserted)))
}

/// Reasons that the documentation does not have.
pub(crate) fn undocumented(sources: &[Source]) -> Vec<Finding> {
    let docs = sources::of(sources, DOCS);
    let missing = |(_, word): &Named<'_>| !docs.text.contains(&format!("\n| `{word}` | "));
    let all = reasons(sources::of(sources, REASONS)).into_iter().filter(missing);
    all.map(|(_, word)| Finding::new(DOCS, 0, format!("lacks a line for `{word}`"))).collect()
}

/// `Name = "word",` behind its documentation.
fn reasons(source: &Source) -> Vec<Named<'_>> {
    let code = source.code();
    let Some(start) = find(&code, &["reasons", "!", "{"]).next() else { return Vec::new() };
    let declared = source.tokens.iter().filter(|token| token.line >= code[start].line).collect::<Vec<_>>();
    let declared = declared.windows(4).filter(|four| four[0].text == "]" && four[2].text == "=");
    declared.filter_map(|four| Some((four[1].text.as_str(), string(four[3])?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = "macro_rules! reasons { () => {} }\n\
                            reasons! {\n/// A.\nLate = \"late\",\n/// B.\n/// C.\nBadHost = \"bad-host\",\n}\n";

    fn found(test: &str, docs: &str) -> (usize, usize) {
        let sources =
            [Source::new(REASONS, DECLARED), Source::new(DOCS, docs), Source::new("tests/tests/a.rs", test)];
        (untested(&sources).len(), undocumented(&sources).len())
    }

    #[test]
    fn a_reason_without_a_test_is_refused() {
        let all = "\n| `late` | A. |\n| `bad-host` | B. |\n";
        assert_eq!(found("", all), (2, 0));
        for test in [
            "fn f() { assert_eq!(detail(), \"late\"); assert_eq!(reason(), Reason::BadHost); }",
            "fn f() { check(\"a;detail=late\"); for (a, b) in [(1, \"bad-host\")] {} }",
        ] {
            assert_eq!(found(test, all), (0, 0), "{test}");
        }
        for test in [
            "fn f() { say(\"late\"); }",
            "fn f() { check(\"detail=late-tag\"); }",
            "/// Reason::Late, \"late\"\nfn f() {}",
        ] {
            assert_eq!(found(test, all), (2, 0), "{test}");
        }
    }

    #[test]
    fn a_reason_without_a_line_in_the_docs_is_refused() {
        assert_eq!(found("", "\n| `late` | A. |\n").1, 1);
        assert_eq!(found("", "`late` and `bad-host`").1, 2);
    }
}
