//! Counts instructions and allocations per request: valgrind runs a scenario with two numbers of requests, and
//! what they differ by is the cost of the further requests, whatever the program does before and after.

use std::process::Command;

use crate::outcome::{Outcome, float};
use crate::scenario::Scenario;

/// The two numbers of requests.
const LENGTHS: (u64, u64) = (500, 2_500);

/// What valgrind is asked to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Instructions executed, by callgrind.
    Instructions,
    /// Calls of malloc and its kin, and the bytes they asked for, by memcheck.
    Allocations,
}

impl Count {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Instructions => &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
            Self::Allocations => &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"],
        }
    }

    /// The command, as it is run for one scenario.
    #[must_use]
    pub fn command(self, scenario: &str) -> String {
        let (fewer, more) = LENGTHS;
        format!("valgrind {} edge-isr-bench run {scenario} {fewer}, and {more}", self.arguments().join(" "))
    }

    /// The numbers on the line that ends a run: `Collected : 123`, or `total heap usage: 3 allocs, 2 frees, 9 bytes`.
    fn read(self, log: &str) -> Option<(u64, u64)> {
        let mark = match self {
            Self::Instructions => "Collected :",
            Self::Allocations => "total heap usage:",
        };
        let rest = log.lines().find_map(|line| line.split_once(mark))?.1.replace(',', "");
        let mut numbers = rest.split_whitespace().filter_map(|word| word.parse().ok());
        let first = numbers.next()?;
        Some((first, numbers.nth(1).unwrap_or(0)))
    }
}

/// The version of valgrind.
pub fn version() -> Outcome<String> {
    let missing =
        "valgrind counts the instructions; `cargo xtask bench` installs it, or `apt-get install valgrind`";
    let output = Command::new("valgrind").arg("--version").output().map_err(|_| missing)?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Instructions, or allocations and their bytes, per request.
pub fn per_request(count: Count, scenario: Scenario) -> Outcome<(f64, f64)> {
    between(count, &scenario.to_string(), LENGTHS)
}

/// The same of anything that this program does as `run <what> <requests>`, from two numbers of requests.
pub fn between(count: Count, what: &str, (fewer, more): (u64, u64)) -> Outcome<(f64, f64)> {
    let (first, second) = (run(count, what, fewer)?, run(count, what, more)?);
    let each = |second: u64, first: u64| float(second.saturating_sub(first)) / float(more - fewer);
    Ok((each(second.0, first.0), each(second.1, first.1)))
}

fn run(count: Count, scenario: &str, requests: u64) -> Outcome<(u64, u64)> {
    let output = Command::new("valgrind")
        .args(count.arguments())
        .arg(std::env::current_exe()?)
        .args(["run", scenario, &requests.to_string()])
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{scenario} under valgrind: {log}").into());
    }
    count.read(&log).ok_or_else(|| format!("valgrind did not tell its count of {scenario}: {log}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_valgrind_are_read() {
        assert_eq!(
            Count::Instructions.read("==1== Events    : Ir\n==1== Collected : 123456\n"),
            Some((123_456, 0))
        );
        let heap = "==1==   total heap usage: 1,234 allocs, 1,230 frees, 56,789 bytes allocated";
        assert_eq!(Count::Allocations.read(heap), Some((1234, 56_789)));
        assert_eq!(Count::Allocations.read("==1== nothing"), None);
    }
}
