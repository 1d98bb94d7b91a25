//! One target: its run, what is said of it, and what is kept of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::files;
use crate::shell::{Outcome, Program, program, root};

/// How much of a log is shown where a run broke: the panic and the first calls of its trace come before the input.
const LAST_LINES: usize = 60;

pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    /// The target folder of fuzzing.
    pub(super) folder: &'a Path,
    pub(super) program: PathBuf,
}

impl Target<'_> {
    fn crashes(&self) -> PathBuf {
        self.folder.join("crashes").join(self.name)
    }

    /// What runs have found so far; the next one begins with it.
    fn found(&self) -> PathBuf {
        self.folder.join("corpus").join(self.name)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("logs").join(format!("{}.log", self.name))
    }

    /// One line about a run that broke nothing; else what to do, at the end of the log's last lines.
    pub(super) fn fuzz(&self, seconds: u32) -> Result<String, String> {
        let regressions = format!("fuzz/regressions/{}", self.name);
        let mut args = vec![
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", self.crashes().display()),
            "-max_len=2048".to_owned(),
            "-timeout=10".to_owned(),
            self.found().display().to_string(),
            format!("fuzz/corpus/{}", self.name),
        ];
        args.extend(root().join(&regressions).is_dir().then_some(regressions));
        for folder in [self.crashes(), self.found(), self.folder.join("logs")] {
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let outcome = self.program(&args).log(&self.log());
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        match outcome {
            Ok(()) => {
                Ok(summary(&log).unwrap_or_else(|| format!("no word of its end in {}", self.log().display())))
            }
            Err(reason) => Err(format!("{}\n{}", last_lines(&log), self.advice(&log, &reason))),
        }
    }

    /// Adds the inputs that reach code which no committed one reaches, each as short as it was found. How often they
    /// reach it does not count: that would be thousands, which the plain test has no time for.
    pub(super) fn keep(&self) -> Outcome {
        let committed = format!("fuzz/corpus/{}", self.name);
        let before = files(&root().join(&committed)).len();
        let options =
            ["-set_cover_merge=1", "-use_counters=0", &committed, &self.found().display().to_string()];
        self.program(&options.map(str::to_owned)).log(&self.log())?;
        println!("{} inputs added to {committed}", files(&root().join(&committed)).len() - before);
        Ok(())
    }

    /// What to do with the input that broke it.
    fn advice(&self, log: &str, reason: &str) -> String {
        let written = |line: &'_ str| Some(line.split_once("Test unit written to ")?.1.to_owned());
        let Some(input) = log.lines().find_map(written) else {
            return format!("{reason}; the whole log: {}", self.log().display());
        };
        let program = self.program.display();
        format!(
            "target {0} broke on {input}\n  replay it:  {program} {input}\n  \
             shorten it: {program} -minimize_crash=1 -runs=100000 {input}\n  \
             copied to fuzz/regressions/{0}/, `cargo xtask test` replays it from then on",
            self.name
        )
    }

    fn program(&self, args: &[String]) -> Program {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        program(&self.program.to_string_lossy(), &args)
    }
}

/// What libFuzzer's last line says: `#4541 DONE cov: 812 ft: 2345 corp: 402/12Kb lim: 2048 exec/s: 2270 rss: 85Mb`.
fn summary(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.starts_with('#') && line.contains("DONE"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
    let (runs, rate) = (words.first()?.strip_prefix('#')?, after("exec/s:")?);
    let corpus = after("corp:")?.split('/').next()?;
    Some(format!("{runs:>9} executions {rate:>7}/s {corpus:>6} inputs in the corpus"))
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read() {
        let log = "INFO: seed corpus\n#2\tINITED cov: 1 ft: 1 corp: 1/1b exec/s: 0 rss: 27Mb\n\
                   #4541\tDONE   cov: 812 ft: 2345 corp: 402/12Kb lim: 2048 exec/s: 2270 rss: 85Mb\n\
                   Done 4541 runs in 2 second(s)\n";
        let line = "     4541 executions    2270/s    402 inputs in the corpus";
        assert_eq!(summary(log).as_deref(), Some(line));
        assert_eq!(summary("Segmentation fault"), None);
        assert_eq!(last_lines(&"x\n".repeat(99)).lines().count(), LAST_LINES);
    }
}
