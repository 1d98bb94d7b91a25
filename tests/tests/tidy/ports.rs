//! Each port's contract in words, and the suite that proves it.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::sources::Source;
use crate::tokens::find;

const PORTS: &[&str] = &["store", "graph", "queue", "connector", "origin"];

/// What becomes of a port that has no suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSuite {
    /// It is let pass.
    Tolerated,
    /// It is a finding.
    Refused,
}

/// The clauses that a port's documentation lists are those of its suite, by name.
pub(crate) fn contracts(sources: &[Source], no_suite: NoSuite) -> Vec<Finding> {
    let mut found = Vec::new();
    for port in PORTS {
        let (file, folder) = (format!("edge-isr-core/src/{port}.rs"), format!("edge-isr-core/src/{port}/"));
        let is_room = |source: &&Source| source.path == file || source.path.starts_with(&folder);
        let mut promised = BTreeSet::new();
        for source in sources.iter().filter(is_room).filter(|source| !source.is_test_file()) {
            for (name, clauses) in traits(source) {
                if clauses.is_empty() {
                    let what =
                        format!("trait `{name}` has no `# Contract`: list its clauses as \"1. `name`: …\"");
                    found.push(Finding::new(&source.path, 0, what));
                }
                promised.extend(clauses);
            }
        }
        let path = format!("edge-isr-core/src/testing/contract/{port}.rs");
        let Some(suite) = sources.iter().find(|source| source.path == path) else {
            if no_suite == NoSuite::Refused {
                found.push(Finding::new(&path, 0, format!("the port `{port}` has no suite")));
            }
            continue;
        };
        let proved = clauses_of(suite);
        for clause in promised.difference(&proved) {
            let what = format!("has no `pub async fn {clause}`, which the port's `# Contract` promises");
            found.push(Finding::new(&path, 0, what));
        }
        for clause in proved.iter().filter(|clause| !is_run(sources, clause)) {
            let what = format!("defines `{clause}`, which no macro lists: nobody runs it");
            found.push(Finding::new(&path, 0, what));
        }
        for clause in proved.difference(&promised) {
            let what =
                format!("proves `{clause}`, which the port's `# Contract` does not list: add it there");
            found.push(Finding::new(&path, 0, what));
        }
    }
    found
}

/// The public traits of a file that others implement, each with the clauses of its contract.
fn traits(source: &Source) -> Vec<(String, BTreeSet<String>)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut all = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let Some(rest) = line.strip_prefix("pub trait ") else { continue };
        let name = rest.split(|byte: char| !byte.is_alphanumeric()).next().unwrap_or_default();
        // Conveniences for callers; nobody implements them.
        if name.ends_with("Ext") {
            continue;
        }
        let docs =
            lines[..n].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
        let docs: Vec<&str> = docs.copied().collect::<Vec<_>>().into_iter().rev().collect();
        all.push((name.to_owned(), contract(&docs)));
    }
    all
}

/// The names in "1. `name`: …" of the section `# Contract`.
fn contract(docs: &[&str]) -> BTreeSet<String> {
    let section = docs.iter().skip_while(|line| **line != "/// # Contract").skip(1);
    let section = section.take_while(|line| !line.starts_with("/// # "));
    let clause = |line: &&str| {
        let (number, rest) = line.strip_prefix("/// ")?.split_once(". `")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| rest.split('`').next())?.map(str::to_owned)
    };
    section.filter_map(clause).collect()
}

fn clauses_of(suite: &Source) -> BTreeSet<String> {
    let tokens: Vec<_> = suite.tokens.iter().collect();
    find(&tokens, &["pub", "async", "fn"]).map(|at| tokens[at + 3].text.clone()).collect()
}

/// Whether a clause is named elsewhere than where it is defined.
fn is_run(sources: &[Source], clause: &str) -> bool {
    let suites =
        sources.iter().filter(|source| source.path.starts_with("edge-isr-core/src/testing/contract/"));
    let mut pairs = suites.flat_map(|suite| suite.tokens.windows(2));
    pairs.any(|pair| pair[0].text != "fn" && pair[1].text == clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = "/// Keeps.\n///\n/// # Contract\n///\n/// 1. `one`: a thing\n///    and more.\n/// 2. `two`: b.\n\
                        ///\n/// # Cancellation\n///\n/// 3. `three`: no clause.\n#[async_trait]\npub trait Keep {}\n";

    fn found(port: &str, suite: Option<&str>, no_suite: NoSuite) -> Vec<String> {
        let mut sources = vec![Source::new("edge-isr-core/src/store/mod.rs", port)];
        sources.extend(suite.map(|suite| Source::new("edge-isr-core/src/testing/contract/store.rs", suite)));
        let all = contracts(&sources, no_suite).into_iter().map(|finding| finding.what);
        all.filter(|what| !what.contains("has no suite") || what.contains("store")).collect()
    }

    #[test]
    fn a_clause_without_a_proof_and_a_proof_without_a_clause_are_refused() {
        let suite = "macro_rules! a { () => { [one, two, three] } }\n\
                     pub async fn one() {} pub async fn two() {} fn helper() {}";
        assert_eq!(found(PORT, Some(suite), NoSuite::Tolerated), [""; 0]);
        assert!(
            found(PORT, Some("pub async fn one() {}"), NoSuite::Tolerated)[0].contains("`pub async fn two`")
        );
        let more = format!("{suite} pub async fn three() {{}}");
        assert!(found(PORT, Some(&more), NoSuite::Tolerated)[0].contains("proves `three`"));
    }

    #[test]
    fn a_port_without_a_contract_is_refused() {
        assert!(found("pub trait Keep {}", None, NoSuite::Tolerated)[0].contains("no `# Contract`"));
        assert_eq!(found("pub trait KeepExt {}", None, NoSuite::Tolerated), [""; 0]);
        assert_eq!(found(PORT, None, NoSuite::Tolerated), [""; 0]);
        assert!(found(PORT, None, NoSuite::Refused)[0].contains("no suite"));
    }
}
