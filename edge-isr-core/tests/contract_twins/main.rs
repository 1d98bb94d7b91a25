//! Each clause of a contract has a backend that does not keep it, on which it must fail.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

mod connector;
mod graph;
mod origin;
mod queue;
mod store;

/// One test a clause: `broken(Flaw)` is a backend with that flaw, and the clause has to panic on it.
macro_rules! must_fail {
    ($port:ident, $($clause:ident ($($argument:expr),+ $(,)?): $said:literal,)+) => {
        $(
            #[test]
            #[should_panic(expected = $said)]
            fn $clause() {
                edge_isr_core::testing::contract::run(
                    edge_isr_core::testing::contract::$port::$clause($($argument),+),
                );
            }
        )+

        #[test]
        fn every_clause_has_a_twin() {
            let twins = [$(stringify!($clause)),+];
            for clause in crate::clauses(include_str!(concat!("../../src/testing/contract/", stringify!($port), ".rs"))) {
                assert!(twins.contains(&clause), "`{clause}` has no twin");
            }
        }
    };
}
pub(crate) use must_fail;

/// The clauses of a file.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
}
