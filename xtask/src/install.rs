//! Tools that are missing: installed where that needs no question, named where it doesn't work.

use std::env;
use std::path::Path;

use crate::shell::{Outcome, Program, cargo, program};

/// A program some command needs, and the Debian packages that bring it.
pub(crate) struct Tool<'a> {
    binary: &'a str,
    packages: &'a [&'a str],
    why: &'a str,
}

/// A subcommand of cargo that some command needs, installed from source.
pub(crate) struct Subcommand {
    name: &'static str,
    version: &'static str,
    why: &'static str,
    minutes: &'static str,
}

/// The C compiler.
pub(crate) const CC: Tool<'static> = Tool {
    binary: "cc",
    packages: &["gcc", "libc6-dev"],
    why: "compiles the SQLite that the blog brings along",
};

/// The C++ compiler.
pub(crate) const CXX: Tool<'static> =
    Tool { binary: "c++", packages: &["g++"], why: "compiles libFuzzer, which finds the inputs for fuzzing" };

/// A site for the gateway's tests.
pub(crate) const PYTHON: Tool<'static> =
    Tool { binary: "python3", packages: &["python3"], why: "is a site for the gateway's tests" };

/// What several nodes share, for core's tests.
pub(crate) const REDIS: Tool<'static> = Tool {
    binary: "redis-server",
    packages: &["redis-server"],
    why: "is what the backends on Redis are tested on",
};

/// The instruction counter of the benchmark.
pub(crate) const VALGRIND: Tool<'static> =
    Tool { binary: "valgrind", packages: &["valgrind"], why: "counts the benchmark's CPU instructions" };

/// The load of `cargo xtask bench --peers`, and what the gateway is compared with.
pub(crate) const WRK: Tool<'static> =
    Tool { binary: "wrk", packages: &["wrk"], why: "asks the servers of the benchmark" };
pub(crate) const NGINX: Tool<'static> = Tool {
    binary: "nginx",
    packages: &["nginx"],
    why: "is a site for the gateway's tests, and its peer in the benchmark",
};
pub(crate) const VARNISH: Tool<'static> =
    Tool { binary: "varnishd", packages: &["varnish"], why: "is what the gateway is compared with" };

/// Licences, bans and sources.
pub(crate) const DENY: Subcommand = Subcommand {
    name: "deny",
    version: "0.20.2",
    why: "checks licences, bans and sources",
    minutes: "five minutes on one core",
};

/// Coverage.
pub(crate) const LLVM_COV: Subcommand = Subcommand {
    name: "llvm-cov",
    version: "0.9.1",
    why: "runs tests and says which lines they ran",
    minutes: "a minute and a half on one core",
};

/// Mutation testing.
pub(crate) const MUTANTS: Subcommand = Subcommand {
    name: "mutants",
    version: "27.1.0",
    why: "changes the code and says what no test noticed",
    minutes: "three minutes on one core",
};

/// Fuzzing.
pub(crate) const FUZZ: Subcommand = Subcommand {
    name: "fuzz",
    version: "0.13.2",
    why: "builds the fuzz targets",
    minutes: "two minutes on one core",
};

/// Makes sure that `tools` are there: installs the missing ones with apt-get, as root or through a sudo that
/// asks for no password, and otherwise says what to install.
pub(crate) fn ensure(tools: &[Tool<'_>]) -> Outcome {
    let mut packages = Vec::new();
    for Tool { binary, packages: needed, why } in tools {
        // wrk, nginx and varnishd know no such flag and say so; what counts is that they are there.
        if program(binary, &["--version"]).starts() {
            println!("{binary} is there");
        } else {
            println!("{binary} is missing; it {why}");
            packages.extend(*needed);
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install these packages and run this again: {}", packages.join(" "));
    if !program("apt-get", &["--version"]).succeeds() {
        return Err(format!("there is no apt-get here; {by_hand}"));
    }
    let Some(prefix) = privilege() else {
        return Err(format!("neither root nor a sudo without password; {by_hand}"));
    };
    println!("installing with apt-get: {}", packages.join(" "));
    apt_get(prefix, &["update"], &[])?;
    apt_get(prefix, &["install", "-y", "--no-install-recommends"], &packages)
}

/// Makes sure that a subcommand of cargo is there.
pub(crate) fn ensure_subcommand(Subcommand { name, version, why, minutes }: &Subcommand) -> Outcome {
    if cargo(&[name, "--version"]).succeeds() {
        return cargo(&[name, "--version"]).run();
    }
    println!("cargo-{name} is missing; it {why}");
    println!("installing version {version} from source, once: about {minutes}");
    cargo(&["install", "--locked", &format!("cargo-{name}"), "--version", version]).run()
}

/// The two programs of LLVM that read what instrumented tests write down. Older ones than the compiler's LLVM
/// can't read it.
pub(crate) struct LlvmTools {
    /// Their version's ending, where they are Debian's; elsewhere cargo-llvm-cov finds them by itself.
    suffix: Option<String>,
}

impl LlvmTools {
    /// Takes those named by `LLVM_COV` and `LLVM_PROFDATA`, those that came with the toolchain, or Debian's of the
    /// compiler's version.
    pub(crate) fn ensure() -> Outcome<Self> {
        let named = ["LLVM_COV", "LLVM_PROFDATA"].iter().all(|name| env::var_os(name).is_some());
        let libraries = program("rustc", &["--print", "target-libdir"]).capture()?;
        let component = Path::new(libraries.trim()).with_file_name("bin").join("llvm-profdata");
        if named || component.exists() {
            return Ok(Self { suffix: None });
        }
        let version = program("rustc", &["--version", "--verbose"]).capture()?;
        let major = llvm_major(&version).ok_or("`rustc --version --verbose` names no LLVM")?;
        let (binary, package) = (format!("llvm-cov-{major}"), format!("llvm-{major}"));
        let tool =
            Tool { binary: &binary, packages: &[&package], why: "reads what instrumented tests write down" };
        ensure(&[tool]).map_err(|error| format!("{error}; or run `rustup component add llvm-tools`"))?;
        Ok(Self { suffix: Some(major.to_owned()) })
    }

    /// Tells cargo-llvm-cov where they are.
    pub(crate) fn tell(&self, run: Program) -> Program {
        match &self.suffix {
            None => run,
            Some(major) => run
                .env("LLVM_COV", &format!("llvm-cov-{major}"))
                .env("LLVM_PROFDATA", &format!("llvm-profdata-{major}")),
        }
    }
}

fn llvm_major(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next())
}

/// What goes in front of a program to run it as root; `None` where nothing does.
fn privilege() -> Option<&'static [&'static str]> {
    if program("id", &["-u"]).capture().is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    program("sudo", &["-n", "true"]).succeeds().then_some(&["sudo", "-n"])
}

fn apt_get(prefix: &[&str], verb: &[&str], packages: &[&str]) -> Outcome {
    // Through `env`, because sudo drops the variables of its caller.
    let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], verb, packages].concat();
    program(words[0], &words[1..]).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_which_llvm_it_has() {
        assert_eq!(llvm_major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"), Some("22"));
        assert_eq!(llvm_major("rustc 1.95.0\n"), None);
    }
}
