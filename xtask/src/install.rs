//! Tools that are missing: installed where that needs no question, named where it doesn't work.

use crate::shell::{Outcome, cargo, program};

/// A program some command needs, and the Debian packages that bring it.
pub(crate) struct Tool {
    binary: &'static str,
    packages: &'static [&'static str],
    why: &'static str,
}

/// The C compiler.
pub(crate) const CC: Tool = Tool {
    binary: "cc",
    packages: &["gcc", "libc6-dev"],
    why: "compiles the SQLite that the blog brings along",
};

/// The C++ compiler.
pub(crate) const CXX: Tool =
    Tool { binary: "c++", packages: &["g++"], why: "compiles libFuzzer, which finds the inputs for fuzzing" };

/// The instruction counter of the benchmark.
pub(crate) const VALGRIND: Tool =
    Tool { binary: "valgrind", packages: &["valgrind"], why: "counts the benchmark's CPU instructions" };

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";

/// Makes sure that `tools` are there: installs the missing ones with apt-get, as root or through a sudo that
/// asks for no password, and otherwise says what to install.
pub(crate) fn ensure(tools: &[Tool]) -> Outcome {
    let mut packages = Vec::new();
    for Tool { binary, packages: needed, why } in tools {
        if program(binary, &["--version"]).succeeds() {
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

/// Makes sure that `cargo deny` is there.
pub(crate) fn ensure_cargo_deny() -> Outcome {
    if cargo(&["deny", "--version"]).succeeds() {
        return cargo(&["deny", "--version"]).run();
    }
    println!("cargo-deny is missing; it checks licences, bans and sources");
    println!("installing version {DENY_VERSION} from source, once: about five minutes on one core");
    cargo(&["install", "--locked", "cargo-deny", "--version", DENY_VERSION]).run()
}

/// Makes sure that `cargo fuzz` is there.
pub(crate) fn ensure_cargo_fuzz() -> Outcome {
    if cargo(&["fuzz", "--version"]).succeeds() {
        return cargo(&["fuzz", "--version"]).run();
    }
    println!("cargo-fuzz is missing; it builds the fuzz targets");
    println!("installing version {FUZZ_VERSION} from source, once: about two minutes on one core");
    cargo(&["install", "--locked", "cargo-fuzz", "--version", FUZZ_VERSION]).run()
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
