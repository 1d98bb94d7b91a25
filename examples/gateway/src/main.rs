//! The command line; everything else is in the library, where tests can reach it.

use std::error::Error;
use std::process::ExitCode;

use gateway::Gateway;
use gateway::config::{self, Asked, Config};

fn main() -> ExitCode {
    let done = match config::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Asked::Say(text)) => {
            print!("{text}");
            Ok(())
        }
        Ok(Asked::Serve(config, _log)) => run(&config),
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
    tokio::runtime::Runtime::new()?.block_on(async {
        let gateway = Gateway::bind(config).await?;
        gateway.run(told_to_stop()).await;
        Ok(())
    })
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
