//! Running other programs: each is shown before it starts, timed, and fails in one clear line.
//!
//! The only place that reads the time. What to run stands in `test`, `ci` and `bench`.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// What a command or a step comes to; the error is one line for the person who ran it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// A program with its arguments, run at the root of the workspace.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// The cargo that started this xtask, with `args`.
pub(crate) fn cargo(args: &[&str]) -> Program {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    Program { shown: shown("cargo", args), command: command(&cargo, args) }
}

/// Any other program found on the path.
pub(crate) fn program(name: &str, args: &[&str]) -> Program {
    Program { shown: shown(name, args), command: command(&OsString::from(name), args) }
}

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

impl Program {
    /// Sets an environment variable and shows it in front of the program, as a shell would take it.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        let value = if value.contains(' ') { format!("'{value}'") } else { value.to_owned() };
        self.shown = format!("{name}={value} {}", self.shown);
        self
    }

    /// Runs it with its output on ours.
    pub(crate) fn run(mut self) -> Outcome {
        println!("$ {}", self.shown);
        let watch = Stopwatch::start();
        let status = self.command.status().map_err(|error| self.unstarted(&error))?;
        self.judge(status)?;
        println!("  ({})", watch.read());
        Ok(())
    }

    /// Runs it with its output on ours and returns its exit code, whatever that means.
    pub(crate) fn exit_code(mut self) -> Outcome<i32> {
        println!("$ {}", self.shown);
        let watch = Stopwatch::start();
        let status = self.command.status().map_err(|error| self.unstarted(&error))?;
        println!("  ({})", watch.read());
        status.code().ok_or_else(|| format!("`{}` was ended by a signal", self.shown))
    }

    /// Runs it with its output in a new file, which begins with what is run.
    pub(crate) fn log(mut self, path: &Path) -> Outcome {
        let logs = File::create(path).and_then(|mut log| {
            writeln!(log, "$ {}", self.shown)?;
            Ok((log.try_clone()?, log))
        });
        let (out, err) = logs.map_err(|error| format!("{}: {error}", path.display()))?;
        let status = self.command.stdin(Stdio::null()).stdout(out).stderr(err).status();
        self.judge(status.map_err(|error| self.unstarted(&error))?)
    }

    /// Runs it quietly and returns what it printed; what it complained about stays visible.
    pub(crate) fn capture(mut self) -> Outcome<String> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(|error| self.unstarted(&error))?;
        self.judge(output.status)?;
        String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed no UTF-8", self.shown))
    }

    /// Whether it exists and succeeds; prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// Whether it exists, whatever it makes of its arguments; prints nothing.
    pub(crate) fn starts(mut self) -> bool {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    fn unstarted(&self, error: &std::io::Error) -> String {
        format!("`{}` did not start: {error}", self.shown)
    }

    fn judge(&self, status: ExitStatus) -> Outcome {
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(format!("`{}` failed with exit code {code}", self.shown)),
            None => Err(format!("`{}` was ended by a signal", self.shown)),
        }
    }
}

fn command(name: &OsString, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root());
    command
}

fn shown(name: &str, args: &[&str]) -> String {
    [&[name], args].concat().join(" ")
}

/// How long something took.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a stopwatch for the person who waits; no library code runs on it"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start: `0.4 s`, `72.0 s`, `12 min 5 s`.
    pub(crate) fn read(&self) -> String {
        let seconds = self.0.elapsed().as_secs_f64();
        if seconds < 120.0 {
            return format!("{seconds:.1} s");
        }
        let whole = self.0.elapsed().as_secs();
        format!("{} min {} s", whole / 60, whole % 60)
    }
}
