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
            print!("{text}");
            Ok(())
        }
        Ok(Asked::Check(config)) => {
            Gateway::check(&config).map_err(Into::into).map(|()| println!("gateway: the settings are good"))
        }
        Ok(Asked::Serve(config, filter)) => {
            log::begin(filter).map_err(Into::into).and_then(|()| run(&config))
        }
        Err(bad) => Err(bad.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
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
        say(&gateway, config)?;
        gateway.run(told_to_stop()).await;
        Ok(())
    })
}

/// Says on standard output what is served where. Whether anybody reads it is no concern of those who are served.
fn say(gateway: &Gateway, config: &Config) -> io::Result<()> {
    let (origin, here) = (config.origin.to_string(), gateway.local_addr()?);
    let admin = gateway.admin_addr().map_or_else(String::new, |admin| format!(", admin at http://{admin}/"));
    let _ = writeln!(io::stdout(), "gateway: http://{here}/ serves {origin}{admin}");
    Ok(())
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
