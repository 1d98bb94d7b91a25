//! What is printed and written down: Markdown, so that a terminal and `docs/benchmarks.md` show the same.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use edge_isr_bench::outcome::Outcome;
use edge_isr_bench::report::Unit;

/// Prints as it goes, and keeps what it printed.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
    bars: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    part: String,
    what: String,
    measured: String,
    bar: String,
    holds: bool,
}

impl Report {
    /// Begins a part.
    pub fn title(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    pub fn note(&mut self, text: impl Display) {
        self.line(text);
    }

    /// A table: the first column is text, the others are numbers.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.line(format!("\n| {} |", head.join(" | ")));
        self.line(format!("|---|{}", "---:|".repeat(head.len() - 1)));
        for row in rows {
            self.line(format!("| {} |", row.join(" | ")));
        }
        self.line("");
    }

    /// A number that has to be at most so large.
    pub fn at_most(&mut self, what: impl Display, measured: f64, bar: f64, unit: Unit) {
        self.bar(what, unit.write(measured), format!("<= {}", unit.write(bar)), measured <= bar);
    }

    /// A number that has to be at least so large.
    pub fn at_least(&mut self, what: impl Display, measured: f64, bar: f64, unit: Unit) {
        self.bar(what, unit.write(measured), format!(">= {}", unit.write(bar)), measured >= bar);
    }

    /// A number that has to be one value.
    pub fn exactly(&mut self, what: impl Display, measured: u64, bar: u64) {
        self.bar(what, measured.to_string(), format!("= {bar}"), measured == bar);
    }

    fn bar(&mut self, what: impl Display, measured: String, bar: String, holds: bool) {
        let what = what.to_string();
        self.line(format!("- {} {what}: {measured}, has to be {bar}", verdict(holds)));
        let part = self.text.lines().rev().find_map(|line| line.strip_prefix("## ")).unwrap_or_default();
        self.bars.push(Bar { part: part.to_owned(), what, measured, bar, holds });
    }

    fn line(&mut self, text: impl Display) {
        let text = text.to_string();
        println!("{text}");
        self.text += &text;
        self.text.push('\n');
    }

    /// All bars once more, the exit status, and everything in a file, the bars before the parts.
    pub fn conclude(mut self, head: &str, file: Option<&Path>) -> Outcome<ExitCode> {
        if self.bars.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let parts = std::mem::take(&mut self.text);
        let missed = self.bars.iter().filter(|bar| !bar.holds).count();
        self.title("The bars");
        self.note(format!("{} of {} hold.", self.bars.len() - missed, self.bars.len()));
        let rows: Vec<Vec<String>> = self
            .bars
            .iter()
            .map(|Bar { part, what, measured, bar, holds }| {
                vec![format!("{part}: {what}"), measured.clone(), bar.clone(), verdict(*holds).to_owned()]
            })
            .collect();
        self.table(&["what", "measured", "bar", ""], &rows);
        if let Some(file) = file {
            fs::write(file, format!("{head}{}{parts}", self.text))?;
        }
        Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

const fn verdict(holds: bool) -> &'static str {
    if holds { "PASS" } else { "FAIL" }
}

/// The middle one.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
