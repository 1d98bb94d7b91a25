//! What the binary says, and how it ends, when it can't begin.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::process::{Command, Output};

/// Runs the gateway with nothing of ours in its environment but `variables`.
fn run(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("EDGE_ISR")) {
            gateway.env_remove(name);
        }
    }
    gateway.args(flags).envs(variables.iter().copied()).output().unwrap()
}

/// The one line of a refusal.
fn refusal(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } = run(flags, variables);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), &*stdout), (Some(2), &b""[..]), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim_end().to_owned()
}

#[test]
fn a_configuration_that_cannot_be_right_ends_with_one_line_and_2() {
    let file = std::env::temp_dir().join(format!("gateway-exit-{}.toml", std::process::id()));
    std::fs::write(&file, "origin = \"http://127.0.0.1:1\"\n\n[cache]\nmax_byte = 5\n").unwrap();
    let name = file.to_str().unwrap();
    let told = refusal(&["--config", name], &[]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(told, format!("gateway: {name}:4: unknown key cache.max_byte; did you mean cache.max_bytes"));

    assert_eq!(
        refusal(&["--config", name], &[]),
        format!("gateway: {name}: can't be read: no such file or directory")
    );
    assert!(refusal(&[], &[]).starts_with("gateway: no origin: "));
    assert!(refusal(&["--no-such-flag"], &[]).starts_with("gateway: unexpected argument '--no-such-flag'"));
    let told = refusal(&["--origin", "http://127.0.0.1:1"], &[("EDGE_ISR_CACHE__COMPRESS", "maybe")]);
    assert_eq!(told, "gateway: EDGE_ISR_CACHE__COMPRESS: cache.compress must be true or false, not `maybe`");
}

#[test]
fn what_is_asked_for_is_told_and_ends_with_0() {
    let help = run(&["--help"], &[]);
    assert!(help.status.success() && help.stderr.is_empty());
    let text = String::from_utf8(help.stdout).unwrap();
    for flag in ["--listen", "--origin", "--admin", "--config", "--log", "--check"] {
        assert!(text.contains(flag), "{text}");
    }
    let checked = run(&["--check", "--origin", "http://127.0.0.1:1"], &[]);
    assert!(checked.status.success() && checked.stderr.is_empty());
    assert_eq!(String::from_utf8(checked.stdout).unwrap(), "gateway: the settings are good\n");
}
