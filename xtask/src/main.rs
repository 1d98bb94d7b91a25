//! The project's own commands: `cargo xtask test`, `cargo xtask ci`, `cargo xtask bench`, `cargo xtask fuzz`,
//! `cargo xtask check-history`.
//!
//! Plain std, so that it builds in a second. Here: the table of commands and nothing else. `test`, `ci`, `bench`,
//! `check_history`, `coverage` and `mutants` each list the [`steps`] of one command, `fuzz` is one; `features` and
//! `rules` hold the checks that are more than one call; `shell` runs programs, `install` fetches missing ones,
//! `metadata` (on `json`) knows the workspace, `lcov` reads a report.

mod bench;
mod check_history;
mod ci;
mod coverage;
mod features;
mod fuzz;
mod install;
mod json;
mod lcov;
mod metadata;
mod mutants;
mod peers;
mod rules;
mod shell;
mod steps;
mod test;

use std::process::ExitCode;

use crate::shell::Outcome;

struct Command {
    name: &'static str,
    about: &'static str,
    run: Run,
}

enum Run {
    Plain(fn() -> Outcome),
    WithArgs(fn(Vec<String>) -> Outcome),
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "install what the tests need and is missing, then run all of them: unit, integration, doc, models",
        run: Run::Plain(test::run),
    },
    Command {
        name: "ci",
        about: "the whole gate: formatting, lints, each feature alone, docs, licences, and `test`, `fuzz`, `check-history`, `coverage`, `mutants`",
        run: Run::Plain(ci::run),
    },
    Command {
        name: "coverage",
        about: "which lines of core the tests run, file by file; fails at 90 % of all or below",
        run: Run::Plain(coverage::run),
    },
    Command {
        name: "mutants",
        about: "change the code that decides about pages, place by place; fails where no test notices",
        run: Run::Plain(mutants::run),
    },
    Command {
        name: "bench",
        about: "build the benchmark for release and run it with the remaining arguments; installs valgrind. \
                --peers: edge-isr beside other caches, into docs/benchmarks.md; installs wrk, nginx and varnish, too",
        run: Run::WithArgs(bench::run),
    },
    Command {
        name: "fuzz",
        about: "look for inputs that break a reader: [--seconds N] [--keep] [TARGET…]; installs cargo-fuzz",
        run: Run::WithArgs(fuzz::run),
    },
    Command {
        name: "check-history",
        about: "random histories against the real engine; twins show it can tell. [--seconds N] [--seed S] [--twin NAME]",
        run: Run::WithArgs(check_history::run),
    },
    Command { name: "help", about: "print this list", run: Run::Plain(help) },
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "help".to_owned());
    let args: Vec<String> = args.collect();
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { name.as_str() };

    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return usage(&format!("no command `{name}`"));
    };
    let outcome = match command.run {
        Run::Plain(run) if args.is_empty() => run(),
        Run::Plain(_) => return usage(&format!("`{name}` takes no arguments")),
        Run::WithArgs(run) => run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> Outcome {
    print!("{}", listing());
    Ok(())
}

fn usage(error: &str) -> ExitCode {
    eprint!("error: {error}\n\n{}", listing());
    ExitCode::from(2)
}

fn listing() -> String {
    let mut text = "Usage: cargo xtask <command>\n\nCommands:\n".to_owned();
    for Command { name, about, .. } in COMMANDS {
        text += &format!("  {name:<13} {about}\n");
    }
    text
}
