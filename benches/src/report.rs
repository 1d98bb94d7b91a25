//! What is printed: tables of numbers, and bars with a verdict.

use std::fmt::Display;
use std::process::ExitCode;

use crate::outcome::float;

/// Prints as it goes, and remembers which bars were missed.
#[derive(Debug, Default)]
pub struct Report {
    bars: usize,
    missed: Vec<String>,
}

impl Report {
    /// Begins a part.
    pub fn title(&self, title: &str) {
        println!("\n== {title} ==\n");
    }

    /// A line as it is.
    pub fn note(&self, text: impl Display) {
        println!("   {text}");
    }

    /// A number with nothing to be compared with.
    pub fn row(&self, what: &str, measured: impl Display) {
        println!("   {what:<58} {measured:>14}");
    }

    /// A number that has to be at most so large.
    pub fn at_most(&mut self, what: &str, measured: f64, bar: f64, unit: Unit) {
        let holds = measured <= bar;
        self.verdict(what, &unit.write(measured), &format!("<= {}", unit.write(bar)), holds);
    }

    /// A number that has to be at least so large.
    pub fn at_least(&mut self, what: &str, measured: f64, bar: f64, unit: Unit) {
        let holds = measured >= bar;
        self.verdict(what, &unit.write(measured), &format!(">= {}", unit.write(bar)), holds);
    }

    /// A number that has to be one value.
    pub fn exactly(&mut self, what: &str, measured: u64, bar: u64) {
        self.verdict(what, &measured.to_string(), &format!("= {bar}"), measured == bar);
    }

    fn verdict(&mut self, what: &str, measured: &str, bar: &str, holds: bool) {
        self.bars += 1;
        if !holds {
            self.missed.push(format!("{what}: {measured}, has to be {bar}"));
        }
        println!("   {what:<58} {measured:>14}   {bar:<14} {}", if holds { "PASS" } else { "FAIL" });
    }

    /// The last lines, and the exit status.
    pub fn conclude(&self) -> ExitCode {
        if self.bars == 0 {
            return ExitCode::SUCCESS;
        }
        println!("\n{} of {} bars hold.", self.bars - self.missed.len(), self.bars);
        for missed in &self.missed {
            println!("MISSED {missed}");
        }
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// How a number is written.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// A ratio.
    Times,
    /// A count.
    Plain,
    /// Of a hundred.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes, written as MiB.
    Mebibytes,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
}

impl Unit {
    /// The number with its unit.
    pub fn write(self, number: f64) -> String {
        match self {
            Self::Times => format!("{number:.3}x"),
            Self::Plain => grouped(number),
            Self::Percent => format!("{number:.2} %"),
            Self::Bytes => format!("{} B", grouped(number)),
            Self::Mebibytes => format!("{:.1} MiB", number / float(1 << 20)),
            Self::Micros => format!("{number:.2} us"),
            Self::Millis => format!("{number:.1} ms"),
        }
    }
}

/// A whole number with a comma between thousands; one decimal where it has any.
fn grouped(number: f64) -> String {
    let text =
        if (number - number.round()).abs() < 0.05 { format!("{number:.0}") } else { format!("{number:.1}") };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::with_capacity(text.len() + 4);
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in
            [(0.0, "0"), (999.0, "999"), (1234.0, "1,234"), (1234567.0, "1,234,567"), (18.5, "18.5")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
