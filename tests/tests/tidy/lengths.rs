//! How long files and functions may be.

use crate::finding::Finding;
use crate::sources::Source;
use crate::tokens::{Token, closing};

/// The most lines of a file without its unit tests.
const CODE: usize = 300;
/// The most lines of a file with them.
const WHOLE: usize = 500;
/// The most lines of a file that is nothing but tests.
const TESTS: usize = 750;
/// The most lines with code in a function, as `clippy::too_many_lines` counts them.
const FUNCTION: usize = 70;

/// Files that are longer than a reader holds in mind.
pub(crate) fn of_files(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let whole = source.text.lines().count();
        let what = if source.is_test_file() {
            (whole > TESTS).then(|| format!("{whole} lines of tests, of {TESTS}: split them by subject"))
        } else {
            let code = whole - tested_lines(source);
            let long =
                (code > CODE).then(|| format!("{code} lines, of {CODE}: make it a room of smaller files"));
            let unit = || format!("{whole} lines, of {WHOLE}: move its tests into a file beside it");
            long.or_else(|| (whole > WHOLE).then(unit))
        };
        found.extend(what.map(|what| Finding::new(&source.path, 0, what)));
    }
    found
}

/// The lines of unit tests inside a file.
fn tested_lines(source: &Source) -> usize {
    let mut lines = 0;
    for stretch in source.tokens.chunk_by(|a, b| a.is_test == b.is_test) {
        if let [first, .., last] = stretch
            && first.is_test
        {
            lines += last.last_line - first.line + 1;
        }
    }
    lines
}

/// Functions that are longer than a screen, in what users run.
pub(crate) fn of_functions(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && !source.is_test_file()) {
        let tokens = source.code();
        for (n, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "fn") {
            let Some(open) = body(&tokens, n) else { continue };
            let lines = code_lines(&tokens[open + 1..closing(&tokens, open)]);
            if lines > FUNCTION {
                let what = format!("`{}` has {lines} lines of code, of {FUNCTION}", tokens[n + 1].text);
                found.push(Finding::new(&source.path, token.line, what));
            }
        }
    }
    found
}

/// Where the body of a function opens; `None` for a declaration and for a type.
fn body(tokens: &[&Token], at: usize) -> Option<usize> {
    // A type has no name: `fn(u8) -> u8`.
    tokens.get(at + 1).filter(|name| name.text != "(")?;
    let mut n = at + 1;
    loop {
        match tokens.get(n)?.text.as_str() {
            "{" => return Some(n),
            ";" | "}" => return None,
            "(" | "[" => n = closing(tokens, n) + 1,
            _ => n += 1,
        }
    }
}

fn code_lines(tokens: &[&Token]) -> usize {
    let mut lines: Vec<usize> = tokens.iter().flat_map(|token| token.line..=token.last_line).collect();
    lines.dedup();
    lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str, text: &str) -> usize {
        of_files(&[Source::new(path, text)]).len()
    }

    #[test]
    fn long_files_are_refused() {
        let (code, tests) = ("fn f() {}\n".repeat(CODE), "    fn f() {}\n".repeat(140));
        assert_eq!(files("a/src/a.rs", &code), 0);
        assert_eq!(files("a/src/a.rs", &format!("{code}\n")), 1);
        let with_tests = format!("{code}#[cfg(test)]\nmod tests {{\n{tests}}}\n");
        assert_eq!(files("a/src/a.rs", &with_tests), 0, "its tests don't count as code");
        assert_eq!(files("a/src/a.rs", &with_tests.replace("#[cfg(test)]", "")), 1);
        assert_eq!(files("a/src/a.rs", &with_tests.replace(&tests, &tests.repeat(2))), 1, "but they count");
        assert_eq!(files("a/tests/a.rs", &"//\n".repeat(TESTS)), 0);
        assert_eq!(files("tests/tests/a.rs", &"//\n".repeat(TESTS + 1)), 1);
    }

    #[test]
    fn long_functions_are_refused_and_comments_cost_nothing() {
        let function = |lines: usize| {
            format!(
                "impl A {{ fn f<T>(a: [u8; 2]) -> u8\nwhere T: A,\n{{\n{}}} }}",
                "f();\n// why\n\n".repeat(lines)
            )
        };
        let found = |text: &str| of_functions(&[Source::new("a/src/a.rs", text)]).len();
        assert_eq!((found(&function(FUNCTION)), found(&function(FUNCTION + 1))), (0, 1));
        assert_eq!(found(&format!("#[cfg(test)] mod tests {{ {} }}", function(FUNCTION + 1))), 0);
        let types = format!(
            "trait A {{ fn f(&self); }} type F = fn(u8) -> u8; mod b {{ {} }}",
            "fn f() {}\n".repeat(99)
        );
        assert_eq!(found(&types), 0, "a declaration has no body");
    }
}
