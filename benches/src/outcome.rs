//! How a part of the benchmark ends, and how it runs this program again.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::Command;

/// A benchmark stops at the first thing that goes wrong; a missed bar is no error.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs this program again and reads the `name number` lines that it prints.
pub fn child(args: &[&str]) -> Outcome<Numbers> {
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    if !output.status.success() {
        return Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let mut numbers = BTreeMap::new();
    for line in std::str::from_utf8(&output.stdout)?.lines() {
        let (name, number) =
            line.split_once(' ').ok_or_else(|| format!("not a number with a name: {line}"))?;
        numbers.insert(name.to_owned(), number.parse()?);
    }
    Ok(Numbers(numbers))
}

/// What a child measured.
#[derive(Debug)]
pub struct Numbers(BTreeMap<String, u64>);

impl Numbers {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Outcome<u64> {
        self.0.get(name).copied().ok_or_else(|| format!("the child process did not tell its `{name}`").into())
    }
}

/// A count as a float, for ratios.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub const fn float(count: u64) -> f64 {
    count as f64
}
