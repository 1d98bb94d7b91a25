//! What the caller asks for.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use edge_isr_core::testing::Twin;

pub(crate) const USAGE: &str = "\
cargo xtask check-history [--seconds N] [--seed S] [--twin NAME]

  --seconds N   how long to look for violations, 20 by default; the twins come first and take their own time. From 600 on
                50,000 operations a second or fewer are a failure, too
  --seed S      play the episode of this seed and show what happened
  --twin NAME   with one protection removed, such as LateSnapshot";

/// The twins that histories tell from the engine. Those of flights that are dropped or full are for the models.
pub(crate) const TWINS: [Twin; 14] = [
    Twin::LateSnapshot,
    Twin::JoinOvertaken,
    Twin::FreshDownstream,
    Twin::CompareSeq,
    Twin::AppliedFirst,
    Twin::SlotsLate,
    Twin::MarkSet,
    Twin::SkipRecent,
    Twin::NoFloor,
    Twin::DeleteListed,
    Twin::LayerTagsOnly,
    Twin::TrustStore,
    Twin::IgnoreReceipt,
    Twin::NoCollapse,
];

/// What the caller asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) lasts: Duration,
    pub(crate) replay: Option<u64>,
    pub(crate) twin: Option<Twin>,
    /// Where a search begins; another one each time.
    pub(crate) first: u64,
}

impl Options {
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        // Any number that is another one each time.
        let first = RandomState::new().hash_one("first") >> 24;
        let mut options = Self { lasts: Duration::from_secs(20), replay: None, twin: None, first };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, args.next()),
            };
            let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
            match name.as_str() {
                "--seconds" => options.lasts = Duration::from_secs(number()?),
                "--seed" => options.replay = Some(number()?),
                "--twin" => options.twin = Some(twin(&value)?),
                _ => return Err(format!("don't know `{name}`")),
            }
        }
        Ok(options)
    }
}

fn twin(name: &str) -> Result<Twin, String> {
    let found = TWINS.into_iter().find(|twin| format!("{twin:?}").eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<String> = TWINS.iter().map(|twin| format!("{twin:?}")).collect();
        format!("no twin `{name}`; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused_by_name() {
        let read = |text: &str| Options::read(text.split_whitespace().map(str::to_owned));
        let options = read("--seconds 5 --twin=markset --seed 9").unwrap();
        assert_eq!((options.lasts, options.replay), (Duration::from_secs(5), Some(9)));
        assert_eq!(options.twin, Some(Twin::MarkSet));
        for (text, part) in
            [("--seconds", "value"), ("--seconds x", "number"), ("--x 1", "--x"), ("--twin x", "MarkSet")]
        {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }
}
