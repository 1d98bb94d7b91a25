//! What the person who waits is told.

use std::time::Duration;

use crate::checker::Violation;
use crate::hunt::Caught;
use crate::tally::{Count, Tally};

/// What a run of five seconds or more must have come across, else it has checked nothing.
const FLOOR: &[Count] = &[
    Count::FreshHits,
    Count::FreshAfter,
    Count::StaleInvalidated,
    Count::StaleAged,
    Count::Led,
    Count::Collapsed,
    Count::Overtaken,
    Count::Spare,
    Count::Failed,
    Count::Unstored,
    Count::Owed,
    Count::Drafts,
    Count::HungUp,
    Count::Panics,
    Count::Hung,
    Count::Again,
    Count::Soft,
    Count::Hard,
    Count::Moves,
    Count::Settled,
    Count::Episodes,
    Count::Storms,
];

/// How many of each it takes.
const LEAST: u64 = 3;
const LEAST_STORMS: u64 = 1;

/// More operations than this are to be checked each second, while nothing else runs on the machine.
pub(crate) const BAR: u64 = 50_000;

/// A number with its thousands kept apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Operations for each second.
pub(crate) fn rate(tally: &Tally, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    tally.operations().saturating_mul(1000) / millis
}

pub(crate) fn progress(tally: &Tally, took: Duration) {
    let count = |count| grouped(tally.get(count));
    println!(
        "{:>5} s  {} operations, {} each second; {} episodes, {} storms, {} renders, {} invalidations; no violation",
        took.as_secs(),
        grouped(tally.operations()),
        grouped(rate(tally, took)),
        count(Count::Episodes),
        count(Count::Storms),
        count(Count::Renders),
        grouped(tally.get(Count::Soft) + tally.get(Count::Hard)),
    );
}

/// Whether a rate is above the bar.
pub(crate) fn holds(rate: u64) -> bool {
    rate > BAR
}

pub(crate) fn table(tally: &Tally, took: Duration) {
    println!("\nWhat was exercised in {:.1} s:", took.as_secs_f64());
    for &count in Count::ALL {
        println!("  {:<50} {:>16}", count.text(), grouped(tally.get(count)));
    }
    println!("  {:<50} {:>16}", "operations", grouped(tally.operations()));
    let rate = rate(tally, took);
    let verdict = if holds(rate) { "PASS" } else { "FAIL" };
    println!("  {:<50} {:>16}   > {} {verdict}", "operations each second", grouped(rate), grouped(BAR));
}

/// What was not exercised.
pub(crate) fn missing(tally: &Tally) -> Vec<&'static str> {
    let least = |count| if count == Count::Storms { LEAST_STORMS } else { LEAST };
    FLOOR.iter().filter(|&&count| tally.get(count) < least(count)).map(|count| count.text()).collect()
}

/// A violation with the interleaving that led to it.
pub(crate) fn story(violation: &Violation) {
    println!("\nVIOLATION of {}\n  {}", violation.what, violation.text);
    println!("\nWhat led to it, as far as it concerns it:");
    for line in &violation.story {
        println!("  {line}");
    }
}

pub(crate) fn caught(name: &str, caught: Option<&Caught>) {
    match caught {
        Some(Caught { seed, violation, after }) => println!(
            "  {name:<16} caught after {:>5.2} s  (--seed {seed})  {}",
            after.as_secs_f64(),
            violation.what
        ),
        None => println!("  {name:<16} NOT CAUGHT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_did_nothing_is_told_what_it_lacks() {
        assert_eq!(missing(&Tally::default()).len(), FLOOR.len());
        assert_eq!(
            (grouped(7), grouped(1234), grouped(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
    }

    #[test]
    fn the_bar_itself_is_not_above_it() {
        assert_eq!([BAR - 1, BAR, BAR + 1].map(holds), [false, false, true]);
    }
}
