//! What the binary says, and how it ends, when it can't begin.
#![allow(clippy::unwrap_used, reason = "what can't go on fails its test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

/// The gateway with nothing of ours in its environment but `variables`.
fn command(flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("EDGE_ISR")) {
            gateway.env_remove(name);
        }
    }
    gateway.args(flags).envs(variables.iter().copied());
    gateway
}

fn run(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    command(flags, variables).output().unwrap()
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

#[cfg(target_os = "linux")]
#[test]
fn what_nobody_can_be_told_is_told_by_the_exit_code() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for (flags, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["--check", "--origin", "http://127.0.0.1:1"], 0),
        (&["--no-such-flag"], 2),
        (&["--check"], 2),
    ] {
        let ended = command(flags, &[]).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{flags:?}");
        // A panic would be told where it can be.
        let told = command(flags, &[]).stdout(full()).output().unwrap();
        let told = String::from_utf8(told.stderr).unwrap();
        assert!(!told.contains("panicked"), "{flags:?}: {told}");
    }
}

#[test]
fn a_port_in_use_ends_with_one_line_and_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let origin = ("EDGE_ISR_ORIGIN", "http://127.0.0.1:1");
    let told = |key: &str| format!("gateway: cannot listen on {address} ({key}): address already in use");
    assert_eq!(refusal(&["--listen", &address], &[origin]), told("listen"));
    let token = ("EDGE_ISR_ADMIN_TOKEN", "t");
    assert_eq!(
        refusal(&["--listen", "127.0.0.1:0", "--admin", &address], &[origin, token]),
        told("admin.listen")
    );
}

/// A gateway that runs, ended with the test whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is answered to a request for one answer.
fn ask(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "{request} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n").unwrap();
    let mut answer = String::new();
    socket.write_all(b"\r\n").unwrap();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn p32_p21_it_says_what_is_served_where_logs_no_secret_and_ends_well_when_told() {
    const SECRET: &str = "hunter2-of-the-operator";
    const WRONG: &str = "hunter3-of-a-stranger";
    // Nothing listens there: that is told, too.
    let origin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let origin = format!("http://{origin}");
    let flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--origin", &origin, "--log", "trace"];
    let mut gateway = command(&flags, &[("EDGE_ISR_ADMIN_TOKEN", SECRET)]);
    let gateway = gateway.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut gateway = Running(gateway);
    let mut line = String::new();
    BufReader::new(gateway.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Vec<_> = line.split("http://").skip(1).filter_map(|rest| rest.split('/').next()).collect();
    let [public, told, admin] = addresses[..] else { panic!("{line}") };
    assert_eq!(line, format!("gateway: http://{public}/ serves {origin}/, admin at http://{admin}/\n"));
    assert!(origin.ends_with(told));

    assert!(ask(public, "GET /a?query-of-a-visitor").starts_with("HTTP/1.1 502 "));
    for (request, status) in
        [("TRACE /t?query-of-a-visitor", "405"), ("garbage of query-of-a-visitor", "400")]
    {
        assert!(ask(public, request).starts_with(&format!("HTTP/1.1 {status} ")));
    }
    for (token, status) in [(SECRET, "200"), (WRONG, "401")] {
        let answer = ask(admin, &format!("GET /stats HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let ended = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", gateway.0.id())).status().unwrap();
    assert!(ended.success());
    let mut log = String::new();
    gateway.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(gateway.0.wait().unwrap().success(), "{log}");
    for part in [
        "gateway::access: method=GET host=\"site\" path=\"/a\" status=502",
        "gateway::access: method=TRACE host=\"site\" path=\"/t\" status=405",
        "gateway::access: method= host=\"\" path=\"\" status=400",
        "failure=Refused",
        "no token",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    for secret in [SECRET, WRONG, "query-of-a-visitor", "hunter"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
