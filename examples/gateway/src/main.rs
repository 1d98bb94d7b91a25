//! The command line; everything else is in the library, where tests can reach it.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use gateway::config::{self, Asked, Config};
use gateway::{Gateway, log};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let done = match config::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Asked::Say(text)) => {
            say(&text);
            Ok(())
        }
        Ok(Asked::Check(config)) => {
            Gateway::check(&config).map_err(Into::into).map(|()| say("gateway: the settings are good\n"))
        }
        Ok(Asked::Serve(config, filter)) => {
            log::begin(filter).map_err(Into::into).and_then(|()| run(&config))
        }
        Err(bad) => Err(bad.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever can't be told is told by the exit code.
            let _ = writeln!(io::stderr(), "gateway: {}", config::on_one_line(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    // With one core there is nobody to share work with, and asking costs.
    let has_one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut runtime = if has_one_core { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    runtime.enable_all().build()?.block_on(async {
        let gateway = Gateway::bind(config).await?;
        say(&what_is_served(&gateway, config)?);
        gateway.run(told_to_stop()).await;
        Ok(())
    })
}

/// Says something on standard output. Whether anybody reads it is no concern of those who are served.
fn say(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// What is served where.
fn what_is_served(gateway: &Gateway, config: &Config) -> io::Result<String> {
    let (origin, here) = (config.origin.to_string(), gateway.local_addr()?);
    let admin = gateway.admin_addr().map_or_else(String::new, |admin| format!(", admin at http://{admin}/"));
    Ok(format!("gateway: http://{here}/ serves {origin}{admin}\n"))
}

/// Waits for Ctrl-C or, on Unix, SIGTERM. A signal that cannot be listened for never comes.
async fn told_to_stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
